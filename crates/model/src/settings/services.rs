//! What a stack needs that is no MCP server: services, which Mainstay runs, and externals, which it only
//! watches.

use std::time::Duration;

use serde::Serialize;

use super::breaker::BreakerSpec;
use super::probe::{PagesSpec, ProbeSpec};
use super::{Lack, ProcessSpec, as_millis};
use crate::{Name, Need};

/// A service: a program that Mainstay runs, and that speaks no MCP.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ServiceSpec {
    pub name: Name,
    pub process: ProcessSpec,
    pub kind: ServiceKind,
    /// Whether the daemon is ready only when this service is.
    pub required: bool,
    pub needs: Vec<Need>,
    pub on_lost_need: OnLostNeed,
    pub restart: RestartRule,
    /// The time limit for one start: process and probe, or for a whole run with [`ServiceKind::Once`].
    #[serde(serialize_with = "as_millis")]
    pub start_deadline: Duration,
    pub stop: StopSpec,
    /// `None`: the service is ready once its process has started.
    pub probe: Option<ProbeSpec>,
    pub pages: Option<PagesSpec>,
    pub breaker: BreakerSpec,
    /// What its configuration refers to and the daemon does not have. The service can't be started while
    /// there is anything here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lacks: Vec<Lack>,
}

/// Something that servers and services need and that Mainstay does not run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExternalSpec {
    pub name: Name,
    pub probe: ProbeSpec,
    pub breaker: BreakerSpec,
    /// What its configuration refers to and the daemon does not have. It counts as failed while there is
    /// anything here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lacks: Vec<Lack>,
}

/// Whether a service runs all the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ServiceKind {
    Service,
    /// A job: what needs it starts when it has ended with code 0.
    Once,
}

/// What happens to a running server or service that loses something it needs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OnLostNeed {
    /// It keeps running, degraded.
    #[default]
    Keep,
    /// It is stopped until what it needs is ready again.
    Stop,
}

/// When a process that ended is started again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartRule {
    #[default]
    Always,
    /// Not after it ended with code 0.
    OnFailure,
    Never,
}

/// How a process is asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct StopSpec {
    pub signal: StopSignal,
    /// The time between the signal and KILL.
    #[serde(serialize_with = "as_millis")]
    pub timeout: Duration,
}

/// A signal that asks a process to end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum StopSignal {
    #[default]
    Term,
    Int,
    Quit,
    Hup,
    Usr1,
    Usr2,
    Kill,
}

// === impl ServiceKind ===

impl ServiceKind {
    /// As configurations and answers have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Once => "once",
        }
    }
}

// === impl StopSignal ===

impl StopSignal {
    pub const ALL: [Self; 7] =
        [Self::Term, Self::Int, Self::Quit, Self::Hup, Self::Usr1, Self::Usr2, Self::Kill];

    /// The name without `SIG`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Term => "TERM",
            Self::Int => "INT",
            Self::Quit => "QUIT",
            Self::Hup => "HUP",
            Self::Usr1 => "USR1",
            Self::Usr2 => "USR2",
            Self::Kill => "KILL",
        }
    }
}

// === impl StopSpec ===

impl Default for StopSpec {
    fn default() -> Self {
        Self { signal: StopSignal::Term, timeout: Duration::from_secs(10) }
    }
}
