//! Changes of the daemon that the admin API offers. The composition of the daemon carries them out, in one
//! place.

use std::pin::Pin;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A change of the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Stops the daemon: calls in flight finish first, within `gateway.drain_timeout`.
    Stop,
    /// Changes the level of the log.
    SetLogLevel(LogLevel),
    /// Fetches the lists of a server again.
    Refresh { server: String },
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
    /// The caller bounds the time it takes; it may be dropped at any await.
    fn carry_out(&self, action: Action, dry_run: bool) -> Carrying<'_>;
}

/// A change under way.
pub type Carrying<'a> = Pin<Box<dyn Future<Output = Result<Done, ActionError>> + Send + 'a>>;

/// What a change did, or would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// A sentence for people.
    pub message: String,
    /// What the daemon waits for before it ends. Only after [`Action::Stop`].
    pub drain: Option<Drain>,
}

/// What the daemon waits for before it ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drain {
    /// Calls in flight when the daemon was asked.
    pub calls: usize,
    /// The longest wait for them.
    pub timeout: Duration,
}

/// Why a change was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ActionError {
    #[error("there is no server {name:?}")]
    NoSuchServer { name: String, servers: Vec<String> },
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
        }
    }

    /// What it is done to, or with; none where that is the daemon itself.
    pub fn target(&self) -> Option<String> {
        match self {
            Self::Stop => None,
            Self::SetLogLevel(level) => Some(level.as_str().to_owned()),
            Self::Refresh { server } => Some(server.clone()),
        }
    }
}

// === impl Done ===

impl From<String> for Done {
    fn from(message: String) -> Self {
        Self { message, drain: None }
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
