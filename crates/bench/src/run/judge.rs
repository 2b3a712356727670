//! Mainstay's promises, and whether they are kept.

use super::kind::Kind;
use super::results::{Results, median};
use crate::load::Report;

/// CPU time a call of the daemon at 32 clients, by HAProxy's.
const HAPROXY_CPU_AT_MOST: f64 = 1.45;

/// A figure of the main table.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) title: &'static str,
    pub(crate) cell: &'static str,
    pub(crate) figure: Figure,
    wanted: Wanted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Figure {
    P50,
    P99,
    PerSecond,
    /// CPU time of the proxy a call, the servers it starts left out.
    Cpu,
    /// Calls a second by those of another in the same round.
    PerSecondOf(Kind),
    /// CPU time a call by that of another in the same round.
    CpuOf(Kind),
    Astray,
}

#[derive(Debug, Clone, Copy)]
enum Wanted {
    Anything,
    /// None at all, whatever else fails.
    Never,
    /// At most this much.
    AtMost(f64),
    /// At most this much above the bare proxy.
    OverBare(f64),
    /// At most this many times the bare proxy.
    TimesBareAtMost(f64),
    /// At least this many times the bare proxy.
    TimesBare(f64),
    /// At least this many times the best peer.
    TimesBestPeer(f64),
}

pub(crate) const LINES: [Line; 21] = [
    line("HTTP server, 1 client, p50", "http-1", Figure::P50, Wanted::OverBare(0.05)),
    line("HTTP server, 1 client, calls/s", "http-1", Figure::PerSecond, Wanted::Anything),
    line("HTTP server, 32 clients, calls/s", "http-32", Figure::PerSecond, Wanted::TimesBare(0.75)),
    line(
        "HTTP server, 256 clients, calls/s",
        "http-256",
        Figure::PerSecond,
        Wanted::TimesBare(0.75),
    ),
    line(
        "calls/s of 32 clients × the bare proxy's, round by round",
        "http-32",
        Figure::PerSecondOf(Kind::Bare),
        Wanted::Anything,
    ),
    line(
        "calls/s of 32 clients × nginx's, round by round",
        "http-32",
        Figure::PerSecondOf(Kind::Nginx),
        Wanted::Anything,
    ),
    line(
        "calls/s of 32 clients × HAProxy's, round by round",
        "http-32",
        Figure::PerSecondOf(Kind::Haproxy),
        Wanted::Anything,
    ),
    line("CPU for a call, HTTP, 32 clients", "http-32", Figure::Cpu, Wanted::TimesBareAtMost(1.4)),
    line(
        "CPU for a call × HAProxy's, round by round",
        "http-32",
        Figure::CpuOf(Kind::Haproxy),
        Wanted::AtMost(HAPROXY_CPU_AT_MOST),
    ),
    line("HTTP, 4,000 calls/s arriving, p50", "http-open", Figure::P50, Wanted::Anything),
    line("HTTP, 4,000 calls/s arriving, p99", "http-open", Figure::P99, Wanted::Anything),
    line("new sessions/s, HTTP", "http-sessions", Figure::PerSecond, Wanted::TimesBare(1.0)),
    line("new sessions/s, stdio", "stdio-sessions", Figure::PerSecond, Wanted::Anything),
    line("stdio server, 1 client, p50", "stdio-1", Figure::P50, Wanted::AtMost(0.12)),
    line(
        "stdio server, 32 clients, calls/s",
        "stdio-32",
        Figure::PerSecond,
        Wanted::TimesBestPeer(1.5),
    ),
    line(
        "stdio server, 256 clients, calls/s",
        "stdio-256",
        Figure::PerSecond,
        Wanted::TimesBestPeer(1.5),
    ),
    line("CPU for a call, stdio, 32 clients", "stdio-32", Figure::Cpu, Wanted::Anything),
    line("stdio, 4,000 calls/s arriving, p50", "stdio-open", Figure::P50, Wanted::Anything),
    line("stdio, 4,000 calls/s arriving, p99", "stdio-open", Figure::P99, Wanted::Anything),
    line("answers astray", "stdio-astray", Figure::Astray, Wanted::AtMost(0.0)),
    line("the same, the child killed 3 times", "stdio-astray-kills", Figure::Astray, Wanted::Never),
];

const SERVER_MEMORY: &str = "≤ 100 KiB and 3 × its lists";
const PAGE: &str = "a page ≤ 2 ms";

/// The observations in the order of the table: name, title, promise.
pub(crate) const FACTS: [(&str, &str, &str); 27] = [
    ("children", "children for 200 sessions on one stdio server", "1"),
    ("killed-child", "the shared stdio child is killed", "same session in < 1 s"),
    ("http-restart", "the HTTP server restarts", "same session in < 1 s"),
    ("hung", "a tool hangs", "a clear error at 30 s"),
    ("term", "TERM with a call in flight", "answered"),
    ("large", "10 MB result through stdio", "≤ 0.1 s"),
    ("large-memory", "memory left after three of them", "≤ 4 MiB"),
    ("many-large", "8 calls of 64 KiB at once through stdio", "all"),
    ("origin", "foreign `Origin`", "403"),
    ("idle-1000", "memory of a session, 1,000 of them idle", "≤ 16 KiB"),
    ("idle-1000-stream", "the same, each with a stream open", "≤ 16 KiB"),
    ("idle-1000-connected", "the same, each with a connection open", ""),
    ("idle-5000", "memory of a session, 5,000 of them idle", "≤ 2.5 KiB"),
    ("idle-5000-stream", "the same, each with a stream open", "≤ 5 KiB"),
    ("idle-5000-connected", "the same, each with a connection open", ""),
    ("servers-20", "memory of a server with 4 tools, 20 of them idle", SERVER_MEMORY),
    ("servers-100", "the same of 100", SERVER_MEMORY),
    ("servers-100-tools-100", "the same of 100 with 100 tools each", SERVER_MEMORY),
    ("scale-servers-1", "at `/mcp`, 1 server, 1,000 tools, 1 session", PAGE),
    ("scale-servers-20", "20 servers, 1,000 tools, 1 session", PAGE),
    ("scale-servers-100", "100 servers, 1,000 tools, 1 session", PAGE),
    ("scale-tools-100", "20 servers, 100 tools, 1 session", PAGE),
    ("scale-tools-10000", "20 servers, 10,000 tools, 1 session", PAGE),
    ("scale-all-10000", "100 servers, 10,000 tools, 1 session", PAGE),
    ("scale-sessions-1000", "20 servers, 1,000 tools, 1,000 sessions", PAGE),
    ("scale-sessions-10000", "20 servers, 1,000 tools, 10,000 sessions", PAGE),
    ("help", "time of `--help`", "< 10 ms"),
];

const fn line(title: &'static str, cell: &'static str, figure: Figure, wanted: Wanted) -> Line {
    Line { title, cell, figure, wanted }
}

// === impl Figure ===

impl Figure {
    /// The figure of one report of `kind`, in ms, calls a second, µs or a count. None for figures
    /// that take two reports.
    pub(crate) fn of(self, report: &Report, kind: Kind) -> Option<f64> {
        match self {
            Self::P50 => Some(report.p50_us / 1000.0),
            Self::P99 => Some(report.p99_us / 1000.0),
            Self::PerSecond => Some(report.per_second),
            Self::Cpu if kind.has_workers() => report.whole_cpu_per_call_us("proxy"),
            Self::Cpu => report.cpu_per_call_us("proxy"),
            Self::Astray => Some(report.astray as f64),
            Self::PerSecondOf(_) | Self::CpuOf(_) => None,
        }
    }

    pub(crate) fn is_ratio(self) -> bool {
        matches!(self, Self::PerSecondOf(_) | Self::CpuOf(_))
    }
}

// === impl Line ===

impl Line {
    pub(crate) fn value(&self, results: &Results, kind: Kind) -> Option<f64> {
        match self.figure {
            Figure::PerSecondOf(other) => self.ratio(results, Figure::PerSecond, kind, other),
            Figure::CpuOf(other) => self.ratio(results, Figure::Cpu, kind, other),
            figure => figure.of(results.median(self.cell, kind)?, kind),
        }
    }

    /// Median of `kind`'s figure by `other`'s, pairs taken from the same round.
    fn ratio(&self, results: &Results, figure: Figure, kind: Kind, other: Kind) -> Option<f64> {
        let pairs = results.pairs(self.cell, kind, other);
        let ratios: Vec<f64> = pairs
            .filter_map(|(one, two)| Some(figure.of(one, kind)? / figure.of(two, other)?))
            .filter(|ratio| ratio.is_finite())
            .collect();
        (!ratios.is_empty()).then(|| median(ratios.into_iter()))
    }

    /// The promise as text.
    pub(crate) fn wanted(&self) -> String {
        match self.wanted {
            Wanted::Anything => String::new(),
            Wanted::Never => "0, others may fail".to_owned(),
            Wanted::AtMost(limit) if self.figure == Figure::Astray => format!("{limit}"),
            Wanted::AtMost(limit) if self.figure.is_ratio() => format!("≤ {limit} ×"),
            Wanted::AtMost(limit) => format!("≤ {limit} ms"),
            Wanted::OverBare(over) => format!("≤ bare + {over} ms"),
            Wanted::TimesBareAtMost(times) => format!("≤ {times} × bare"),
            Wanted::TimesBare(times) => format!("≥ {times} × bare"),
            Wanted::TimesBestPeer(times) => format!("≥ {times} × best peer"),
        }
    }

    /// Whether Mainstay keeps the promise. None when unknown.
    pub(crate) fn kept(&self, results: &Results) -> Option<bool> {
        let ours = self.value(results, Kind::Mainstay)?;
        if let Wanted::Never = self.wanted {
            return Some(ours == 0.0);
        }
        // A figure bought with failed calls is none.
        if results.median(self.cell, Kind::Mainstay)?.failures() > 0 {
            return Some(false);
        }
        let bare = || self.value(results, Kind::Bare);
        let peers = Kind::ALL.into_iter().filter(|kind| kind.is_peer());
        match self.wanted {
            Wanted::Anything | Wanted::Never => None,
            Wanted::AtMost(limit) => Some(ours <= limit),
            Wanted::OverBare(over) => Some(ours <= bare()? + over),
            Wanted::TimesBareAtMost(times) => Some(ours <= bare()? * times),
            Wanted::TimesBare(times) => Some(ours >= bare()? * times),
            Wanted::TimesBestPeer(times) => {
                let best =
                    peers.filter_map(|kind| self.value(results, kind)).max_by(f64::total_cmp)?;
                Some(ours >= best * times)
            }
        }
    }
}
