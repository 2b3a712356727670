//! The measured cells: a load on a server, in interleaved rounds.

use std::convert::Infallible;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;

use super::context::{Context, Pace};
use super::hardware;
use super::kind::{Kind, Upstream};
use super::peers::Programs;
use super::process::{signal, tied};
use super::results::Results;
use super::setup::Setup;
use crate::load::Report;
use crate::procfs;

/// Time beyond its own length that a load may take to open and end sessions.
const LOAD_MARGIN: Duration = Duration::from_secs(60);
/// Half the rate that the slowest target was measured to bear, so that queues stay short and
/// latency is the target's own.
const OPEN_RATE: u32 = 4_000;
/// Clients at once for targets that run on an interpreter.
pub(super) const SCRIPT_CLIENTS_MAX: u32 = 32;
/// Answers to check for their caller.
const ASTRAY_COUNT: u32 = 1_000_000;
const ASTRAY_COUNT_QUICK: u32 = 20_000;
const KILLS_COUNT: u32 = 100_000;
/// Times between kills: few enough not to be taken for a crash loop.
const KILLS: [Duration; 3] =
    [Duration::from_millis(500), Duration::from_millis(1500), Duration::from_millis(2500)];
/// Seconds for them all; the slowest peer needs a minute or two.
const ASTRAY_LIMIT: u32 = 900;
const KILLS_LIMIT: u32 = 60;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Cell {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) upstream: Upstream,
    load: Load,
}

#[derive(Debug, Clone, Copy)]
enum Load {
    Closed {
        clients: u32,
    },
    Open {
        clients: u32,
    },
    Sessions {
        clients: u32,
    },
    Astray,
    /// The same while the server behind is killed; answers may be missing, never wrong.
    AstrayKills,
}

pub(crate) static CELLS: [Cell; 12] = [
    cell(
        "http-1",
        "HTTP server, 1 client, closed loop",
        Upstream::Http,
        Load::Closed { clients: 1 },
    ),
    cell(
        "http-32",
        "HTTP server, 32 clients, closed loop",
        Upstream::Http,
        Load::Closed { clients: 32 },
    ),
    cell(
        "http-256",
        "HTTP server, 256 clients, closed loop",
        Upstream::Http,
        Load::Closed { clients: 256 },
    ),
    cell(
        "http-open",
        "HTTP server, 4,000 calls/s arriving, 64 clients",
        Upstream::Http,
        Load::Open { clients: 64 },
    ),
    cell(
        "http-sessions",
        "HTTP server, new sessions, 32 at once",
        Upstream::Http,
        Load::Sessions { clients: 32 },
    ),
    cell(
        "stdio-1",
        "stdio server, 1 client, closed loop",
        Upstream::Stdio,
        Load::Closed { clients: 1 },
    ),
    cell(
        "stdio-32",
        "stdio server, 32 clients, closed loop",
        Upstream::Stdio,
        Load::Closed { clients: 32 },
    ),
    cell(
        "stdio-256",
        "stdio server, 256 clients, closed loop",
        Upstream::Stdio,
        Load::Closed { clients: 256 },
    ),
    cell(
        "stdio-open",
        "stdio server, 4,000 calls/s arriving, 64 clients",
        Upstream::Stdio,
        Load::Open { clients: 64 },
    ),
    cell(
        "stdio-sessions",
        "stdio server, new sessions, 32 at once",
        Upstream::Stdio,
        Load::Sessions { clients: 32 },
    ),
    cell(
        "stdio-astray",
        "stdio server, 256 clients, few ids, random delays",
        Upstream::Stdio,
        Load::Astray,
    ),
    cell(
        "stdio-astray-kills",
        "the same, the server killed three times",
        Upstream::Stdio,
        Load::AstrayKills,
    ),
];

const fn cell(name: &'static str, title: &'static str, upstream: Upstream, load: Load) -> Cell {
    Cell { name, title, upstream, load }
}

/// The cell called `name`.
pub(crate) fn find(name: &str) -> Option<&'static Cell> {
    CELLS.iter().find(|cell| cell.name == name)
}

/// Measures all wanted cells. A failure becomes a note in the cell's place.
pub(super) async fn measure_all(context: &Context, results: &mut Results) {
    for round in 0..context.rounds() {
        for cell in CELLS.iter().filter(|cell| context.wants(cell.name)) {
            // A million answers are repetition enough.
            if matches!(cell.load, Load::Astray | Load::AstrayKills) && round > 0 {
                continue;
            }
            for kind in context.kinds().into_iter().filter(|kind| cell.fits(*kind)) {
                eprintln!("round {}: {}: {}", round + 1, cell.name, kind.title());
                hardware::calm(context.calm()).await;
                let outcome = cell.measure(&context.programs, context.pace(), kind).await;
                results.add((cell.name, cell.title), kind, outcome);
            }
        }
    }
}

// === impl Cell ===

impl Cell {
    /// Whether a target takes part. Targets on an interpreter are left out where they would only
    /// queue.
    fn fits(&self, kind: Kind) -> bool {
        let bears = match self.load {
            Load::Closed { clients } | Load::Sessions { clients } => {
                !kind.is_script() || clients <= SCRIPT_CLIENTS_MAX
            }
            Load::Open { .. } | Load::Astray | Load::AstrayKills => !kind.is_script(),
        };
        kind.serves(self.upstream) && bears
    }

    pub(crate) async fn measure(
        &self,
        programs: &Programs,
        pace: Pace,
        kind: Kind,
    ) -> Result<Report> {
        let setup = Setup::start(programs, kind, self.upstream).await?;
        let report = self.drive(programs, pace, &setup).await;
        setup.stop().await;
        report
    }

    async fn drive(&self, programs: &Programs, pace: Pace, setup: &Setup) -> Result<Report> {
        let mut args = vec!["load".to_owned()];
        args.extend(target_args(setup));
        for (name, process) in [("proxy", &setup.proxy), ("server", &setup.server)] {
            if let Some(process) = process {
                args.extend(["--watch".to_owned(), format!("{name}={}", process.pid)]);
            }
        }
        args.extend(self.load.args(pace));
        let bench = &programs.bench;
        let limit = Duration::from_secs_f64(self.load.seconds(pace)) + LOAD_MARGIN;
        let mut load = tied(bench, bench, &args);
        let output = tokio::select! {
            output = tokio::time::timeout(limit, load.stdin(Stdio::null()).output()) => output,
            never = self.disturb(programs, setup) => match never {},
        };
        let output = output.context("the load does not end")??;
        if !output.status.success() {
            bail!("{}", String::from_utf8_lossy(&output.stderr).trim().replace('\n', " / "));
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Disturbs the server during the load. Never ends.
    async fn disturb(&self, programs: &Programs, setup: &Setup) -> Infallible {
        if matches!(self.load, Load::AstrayKills) {
            kill_now_and_then(programs, setup).await;
        }
        std::future::pending().await
    }
}

async fn kill_now_and_then(programs: &Programs, setup: &Setup) {
    for pause in KILLS {
        tokio::time::sleep(pause).await;
        for pid in procfs::running(&programs.bench, &["echo-stdio", &setup.mark]) {
            // The process may have ended by itself.
            let _ = signal(pid, Signal::KILL);
        }
    }
}

/// The arguments of `load` that say where.
pub(crate) fn target_args(setup: &Setup) -> Vec<String> {
    let target = &setup.target;
    let words = [
        "--address",
        &target.address.to_string(),
        "--path",
        &target.path,
        "--prefix",
        &target.prefix,
    ];
    words.map(str::to_owned).to_vec()
}

// === impl Load ===

impl Load {
    fn args(self, pace: Pace) -> Vec<String> {
        let Pace { seconds, quick } = pace;
        let warm_up = if quick { 0.5 } else { 1.0 };
        let size =
            |clients: u32| format!("--clients {clients} --seconds {seconds} --warm-up {warm_up}");
        let line = match self {
            Self::Closed { clients } => format!("closed {}", size(clients)),
            Self::Open { clients } => format!("open --rate {OPEN_RATE} {}", size(clients)),
            Self::Sessions { clients } => format!("sessions {}", size(clients)),
            Self::Astray => {
                let count = if quick { ASTRAY_COUNT_QUICK } else { ASTRAY_COUNT };
                format!("astray --clients 256 --count {count} --limit {ASTRAY_LIMIT}")
            }
            Self::AstrayKills => {
                format!("astray --clients 256 --count {KILLS_COUNT} --limit {KILLS_LIMIT}")
            }
        };
        line.split(' ').map(str::to_owned).collect()
    }

    fn seconds(self, pace: Pace) -> f64 {
        match self {
            Self::Astray => f64::from(ASTRAY_LIMIT),
            Self::AstrayKills => f64::from(KILLS_LIMIT),
            _ => pace.seconds,
        }
    }
}
