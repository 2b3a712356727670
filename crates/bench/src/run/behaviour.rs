//! Observations that need no repetition: recovery, answers, memory.

mod faults;
mod large;
pub(crate) mod memory;
mod scale;
mod seen;
mod servers;
mod startup;

use std::time::Duration;

use anyhow::Result;

use self::memory::{Idle, Wire};
use self::scale::Scale;
use self::seen::Seen;
use self::servers::Servers;
use super::context::Context;
use super::kind::{Kind, Upstream};
use super::results::Results;
use super::setup::Setup;

/// No single observation takes longer; the longest is a tool that hangs.
const LIMIT: Duration = Duration::from_secs(180);

#[derive(Debug, Clone, Copy)]
enum Probe {
    Children,
    KilledChild,
    HttpRestart,
    Term,
    Large,
    ManyLarge,
    Origin,
    Idle(Idle),
    Servers(Servers),
    Scale(Scale),
    Help,
}

const PROBES: [Probe; 25] = [
    Probe::Children,
    Probe::KilledChild,
    Probe::HttpRestart,
    Probe::Term,
    Probe::Large,
    Probe::ManyLarge,
    Probe::Origin,
    idle("idle-1000", 1_000, Wire::Closed, Some(16.0)),
    idle("idle-1000-stream", 1_000, Wire::Stream, Some(16.0)),
    idle("idle-1000-connected", 1_000, Wire::Kept, None),
    idle("idle-5000", 5_000, Wire::Closed, Some(2.5)),
    idle("idle-5000-stream", 5_000, Wire::Stream, Some(5.0)),
    idle("idle-5000-connected", 5_000, Wire::Kept, None),
    servers("servers-20", 20, 4),
    servers("servers-100", 100, 4),
    servers("servers-100-tools-100", 100, 100),
    scale("scale-servers-1", 1, 1_000, 1),
    scale("scale-servers-20", 20, 1_000, 1),
    scale("scale-servers-100", 100, 1_000, 1),
    scale("scale-tools-100", 20, 100, 1),
    scale("scale-tools-10000", 20, 10_000, 1),
    scale("scale-all-10000", 100, 10_000, 1),
    scale("scale-sessions-1000", 20, 1_000, 1_000),
    scale("scale-sessions-10000", 20, 1_000, 10_000),
    Probe::Help,
];

const fn idle(name: &'static str, sessions: u32, wire: Wire, at_most: Option<f64>) -> Probe {
    Probe::Idle(Idle { name, sessions, wire, at_most })
}

const fn servers(name: &'static str, servers: u32, tools: usize) -> Probe {
    Probe::Servers(Servers { name, servers, tools })
}

const fn scale(name: &'static str, servers: u32, tools: usize, sessions: u32) -> Probe {
    Probe::Scale(Scale { name, servers, tools, sessions })
}

/// The names that `--only` accepts.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    PROBES.into_iter().map(Probe::name).chain([faults::HUNG])
}

/// Makes all wanted observations. A failure is an observation, too.
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
            Self::Idle(idle) => idle.name,
            Self::Servers(servers) => servers.name,
            Self::Scale(scale) => scale.name,
            Self::Help => "help",
        }
    }

    fn upstream(self, kind: Kind) -> Upstream {
        match self {
            Self::HttpRestart | Self::Origin | Self::Idle(_) => {
                kind.first_of([Upstream::Http, Upstream::Stdio])
            }
            _ => Upstream::Stdio,
        }
    }

    /// Direct calls and a proxy that knows nothing of MCP have no manners to observe.
    fn fits(self, kind: Kind) -> bool {
        match self {
            Self::HttpRestart => kind.has_manners() && kind.serves(Upstream::Http),
            Self::Idle(idle) => idle.fits(kind),
            Self::Servers(_) | Self::Scale(_) => kind == Kind::Mainstay,
            // For the others, the interpreter would print it.
            Self::Help => matches!(kind, Kind::Mainstay | Kind::McpProxy),
            _ => kind.serves(Upstream::Stdio),
        }
    }

    async fn observe(self, context: &Context, kind: Kind) -> Result<Vec<Seen>> {
        if let Self::Help = self {
            return Ok(vec![startup::help(context, kind)?]);
        }
        if let Self::Servers(servers) = self {
            return Ok(vec![servers.observe(&context.programs).await?]);
        }
        if let Self::Scale(scale) = self {
            return Ok(vec![scale.observe(&context.programs).await?]);
        }
        let upstream = self.upstream(kind);
        if let Self::Idle(idle) = self {
            return Ok(vec![idle.observe(&context.programs, kind, upstream).await?]);
        }
        let mut setup = Setup::start(&context.programs, kind, upstream).await?;
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
            Self::Idle(_) | Self::Servers(_) | Self::Scale(_) | Self::Help => {
                unreachable!("handled above")
            }
        };
        setup.stop().await;
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::names;
    use crate::run::judge::FACTS;

    #[test]
    fn every_observation_has_a_line_in_the_table() {
        for name in names() {
            assert!(FACTS.iter().any(|(known, ..)| *known == name), "{name}");
        }
    }
}
