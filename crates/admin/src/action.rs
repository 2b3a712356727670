//! Changes of the daemon that the admin API offers. The composition of the daemon carries them out, in one
//! place.

use std::pin::Pin;
use std::time::Duration;

use mainstay_model::Need;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::configuration::Reload;

/// A change of the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Stops the daemon: calls in flight finish first, within `gateway.drain_timeout`.
    Stop,
    /// Changes the level of the log.
    SetLogLevel(LogLevel),
    /// Fetches the lists of a server again.
    Refresh { server: String },
    /// Starts a server or service, also one that was stopped by hand or waits for its next attempt. Done when
    /// the start is under way.
    StartNode { name: String },
    /// Stops a server or service: calls in flight finish first, within `gateway.drain_timeout`, and are ended
    /// after that. It stays stopped, also after a restart of the daemon. Done when it has stopped.
    StopNode { name: String },
    /// Stops a server or service and starts it again. Done when the start is under way.
    RestartNode { name: String },
    /// Closes the circuit breaker of a server, service or external, or without a name all of them.
    ResetBreaker { name: Option<String> },
    /// Reads the configuration again and changes what differs. Done when that is under way.
    Reload,
}

/// The least important level that the log shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
    /// What the daemon was started with: its flags and `MAINSTAY_LOG`.
    Initial,
}

/// Carries changes out.
pub trait Actions: Send + Sync {
    /// Carries out one change, or with `dry_run` says what it would do and whether it could.
    ///
    /// The caller bounds the time it takes; it may be dropped at any await. What stops a server goes on all
    /// the same.
    fn carry_out(&self, action: Action, dry_run: bool) -> Carrying<'_>;
}

/// A change under way.
pub type Carrying<'a> = Pin<Box<dyn Future<Output = Result<Done, ActionError>> + Send + 'a>>;

/// What a change did, or would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// A sentence for people.
    pub message: String,
    /// What is waited for before the end. Only after [`Action::Stop`], [`Action::StopNode`] and
    /// [`Action::RestartNode`].
    pub drain: Option<Drain>,
    /// Calls that were in flight when the time was up, and were ended. Only where that has been waited for.
    pub cut_off: Option<usize>,
    /// What depends on the server or service, directly or through others, and is held, stops or goes on
    /// without it until it is ready again. Only after [`Action::StopNode`] and [`Action::RestartNode`].
    pub dependants: Vec<Need>,
    /// What a reload changes, or would change. Only after [`Action::Reload`].
    pub reload: Option<Box<Reload>>,
}

/// What is waited for before the daemon, or one server, ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drain {
    /// Calls in flight when it was asked.
    pub calls: usize,
    /// The longest wait for them.
    pub timeout: Duration,
}

/// Why a change was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActionError {
    #[error("there is no server {name:?}")]
    NoSuchServer { name: String, servers: Vec<String> },
    /// `names`: the servers and services that there are.
    #[error("there is no server or service {name:?}")]
    NoSuchNode { name: String, names: Vec<String> },
    /// `names`: what has a circuit breaker.
    #[error("nothing with a circuit breaker is called {name:?}")]
    NoSuchBreaker { name: String, names: Vec<String> },
    /// It can't be done now, and may be later.
    #[error("{0}")]
    NotNow(String),
    /// It can't be done in this daemon.
    #[error("{0}")]
    Impossible(String),
}

// === impl Action ===

impl Action {
    /// The last part of its path in the API, and its name in the audit log.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::SetLogLevel(_) => "log-level",
            Self::Refresh { .. } => "refresh",
            Self::StartNode { .. } => "start-node",
            Self::StopNode { .. } => "stop-node",
            Self::RestartNode { .. } => "restart-node",
            Self::ResetBreaker { .. } => "reset-breaker",
            Self::Reload => "reload",
        }
    }

    /// What it is done to, or with; none where that is the daemon itself.
    pub fn target(&self) -> Option<String> {
        match self {
            Self::Stop | Self::Reload => None,
            Self::SetLogLevel(level) => Some(level.as_str().to_owned()),
            Self::Refresh { server } => Some(server.clone()),
            Self::ResetBreaker { name } => name.clone(),
            Self::StartNode { name } | Self::StopNode { name } | Self::RestartNode { name } => {
                Some(name.clone())
            }
        }
    }
}

// === impl Done ===

impl From<String> for Done {
    fn from(message: String) -> Self {
        Self { message, drain: None, cut_off: None, dependants: Vec::new(), reload: None }
    }
}

// === impl LogLevel ===

impl LogLevel {
    pub const ALL: [Self; 6] =
        [Self::Error, Self::Warn, Self::Info, Self::Debug, Self::Trace, Self::Initial];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
            Self::Initial => "initial",
        }
    }
}
