//! What can be seen at once: who recovers, who answers, who keeps what.

mod faults;
mod large;
mod memory;
mod startup;

use std::time::Duration;

use anyhow::Result;

use super::Context;
use super::results::{Fact, Results};
use super::setup::{Kind, Setup, Upstream};

/// No single observation takes longer; the longest is a tool that hangs.
const LIMIT: Duration = Duration::from_secs(180);

/// One thing seen: for people, as a figure, and whether it is as it should be.
#[derive(Debug)]
struct Seen {
    name: &'static str,
    text: String,
    value: Option<f64>,
    good: Option<bool>,
}

#[derive(Debug, Clone, Copy)]
enum Probe {
    Children,
    KilledChild,
    HttpRestart,
    Term,
    Large,
    ManyLarge,
    Origin,
    IdleMemory,
    IdleMemoryConnected,
    Help,
}

const PROBES: [Probe; 10] = [
    Probe::Children,
    Probe::KilledChild,
    Probe::HttpRestart,
    Probe::Term,
    Probe::Large,
    Probe::ManyLarge,
    Probe::Origin,
    Probe::IdleMemory,
    Probe::IdleMemoryConnected,
    Probe::Help,
];

/// Makes all wanted observations; what goes wrong is what was observed.
pub(super) async fn observe_all(context: &Context, results: &mut Results) {
    for probe in PROBES.into_iter().filter(|probe| context.wants(probe.name())) {
        for kind in context.kinds().into_iter().filter(|kind| probe.fits(*kind)) {
            eprintln!("{}: {}", probe.name(), kind.title());
            let seen = match tokio::time::timeout(LIMIT, probe.observe(context, kind)).await {
                Ok(Ok(seen)) => seen,
                Ok(Err(error)) => vec![Seen::failed(probe.name(), &format!("{error:#}"))],
                Err(_) => vec![Seen::failed(probe.name(), "no end within three minutes")],
            };
            results.facts.extend(seen.into_iter().map(|seen| seen.of(kind)));
        }
    }
    if context.wants(faults::HUNG) {
        results.facts.extend(faults::hung(context).await);
    }
}

// === impl Probe ===

impl Probe {
    fn name(self) -> &'static str {
        match self {
            Self::Children => "children",
            Self::KilledChild => "killed-child",
            Self::HttpRestart => "http-restart",
            Self::Term => "term",
            Self::Large => "large",
            Self::ManyLarge => "many-large",
            Self::Origin => "origin",
            Self::IdleMemory => "idle-memory",
            Self::IdleMemoryConnected => "idle-memory-connected",
            Self::Help => "help",
        }
    }

    fn upstream(self) -> Upstream {
        match self {
            Self::HttpRestart | Self::Origin | Self::IdleMemory | Self::IdleMemoryConnected => {
                Upstream::Http
            }
            _ => Upstream::Stdio,
        }
    }

    /// Direct calls and a proxy that knows nothing of MCP have no manners to observe.
    fn fits(self, kind: Kind) -> bool {
        match self {
            Self::HttpRestart | Self::IdleMemory | Self::IdleMemoryConnected => {
                kind != Kind::Direct
            }
            _ => kind.serves(Upstream::Stdio),
        }
    }

    async fn observe(self, context: &Context, kind: Kind) -> Result<Vec<Seen>> {
        if let Self::Help = self {
            return Ok(vec![startup::help(context, kind)?]);
        }
        let mut setup = Setup::start(context, kind, self.upstream()).await?;
        let seen = match self {
            Self::Children => memory::children(context, &setup).await.map(|seen| vec![seen]),
            Self::KilledChild => faults::killed_child(context, &setup).await.map(|seen| vec![seen]),
            Self::HttpRestart => {
                faults::http_restart(context, &mut setup).await.map(|seen| vec![seen])
            }
            Self::Term => faults::term(&mut setup).await.map(|seen| vec![seen]),
            Self::Large => large::one(&setup).await,
            Self::ManyLarge => large::many(&setup).await.map(|seen| vec![seen]),
            Self::Origin => faults::origin(&setup).await.map(|seen| vec![seen]),
            Self::IdleMemory => memory::idle(context, &setup, false).await.map(|seen| vec![seen]),
            Self::IdleMemoryConnected => {
                memory::idle(context, &setup, true).await.map(|seen| vec![seen])
            }
            Self::Help => unreachable!("handled above"),
        };
        setup.stop().await;
        seen
    }
}

// === impl Seen ===

impl Seen {
    fn new(name: &'static str, text: impl Into<String>, value: Option<f64>, good: bool) -> Self {
        Self { name, text: text.into(), value, good: Some(good) }
    }

    /// Worth knowing, without a promise.
    fn noted(name: &'static str, text: impl Into<String>, value: f64) -> Self {
        Self { name, text: text.into(), value: Some(value), good: None }
    }

    fn failed(name: &'static str, why: &str) -> Self {
        eprintln!("  {why}");
        Self::new(name, format!("failed: {why}"), None, false)
    }

    fn of(self, kind: Kind) -> Fact {
        let Self { name, text, value, good } = self;
        Fact { name, kind, text, value, good }
    }
}
