//! The status of servers and their instances, as the crates that run them report it.
//!
//! Each value is read from its source on request. Nothing here is cached. How the API and the command line
//! show it is decided by the types of `mainstay-admin`.

use serde::{Deserialize, Serialize};

use crate::resource::LimitStatus;
use crate::{InstanceId, Name};

/// The health of the daemon in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    Ok,
    /// A required server has not become ready yet.
    Loading,
    /// A server that is not required is not ready.
    Degraded,
    Draining,
    /// A required server was ready before or has failed, and is not ready now.
    Error,
}

/// The state of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstanceState {
    Stopped,
    /// It is not running, because something that it needs is not ready. It starts once that is.
    Waiting,
    /// It is not running, because something that it needs was stopped by hand.
    Held,
    /// The process is being started or the connection opened.
    Starting,
    /// The instance runs. The handshake is in progress, or the first lists are being fetched.
    Handshaking,
    Ready,
    /// It is ready, and something that it needs is not.
    Degraded,
    /// It runs, and its probe fails. It gets no calls.
    Unhealthy,
    /// A job that has ended with code 0.
    Done,
    /// The instance is not running, because nobody uses it. It starts when it is wanted.
    Idle,
    /// The instance failed. The next start is scheduled.
    BackingOff,
    /// The instance failed too often. It is restarted at long intervals.
    CrashLooping,
    Draining,
    /// The instance can't be served, for example because the command does not exist or the protocol is
    /// wrong. It is tried again every five minutes, and when the configuration changes.
    Failed,
}

/// The five numbers of `/stats/pool`, summed over pools.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PoolStatus {
    pub idle: usize,
    pub active: usize,
    pub total: usize,
    pub max_pool_size: usize,
    pub min_pool_size: usize,
}

/// The status of a server over all its instances.
#[derive(Debug, Clone)]
pub struct ServerStatus {
    pub name: Name,
    /// `process` or `remote`.
    pub kind: String,
    /// The command line or the URL, for the operator.
    pub target: String,
    pub required: bool,
    pub state: InstanceState,
    /// Why the server is not ready.
    pub reason: Option<String>,
    /// The first and the last lines that a process wrote to standard error before it died, while the server is not
    /// ready.
    pub last_output: Vec<String>,
    /// The same without paths, arguments, addresses and output.
    pub brief_reason: Option<String>,
    /// A remark about a server that is ready, such as which clients can't use it.
    pub note: Option<String>,
    /// The same without what the server itself said.
    pub brief_note: Option<String>,
    /// What is missing in the server's lists.
    pub missing: Vec<MissingItems>,
    /// When the server entered this state, as an RFC 3339 time.
    pub since: String,
    /// The time until the next start, in milliseconds.
    pub retry_in_ms: Option<u64>,
    /// The transport, once known: `stdio`, `streamable HTTP` or `HTTP+SSE`.
    pub transport: Option<String>,
    /// The negotiated protocol revision, once known.
    pub revision: Option<String>,
    /// The revision negotiated for clients of the other era, once the first such client has connected.
    pub second_revision: Option<String>,
    pub tools: usize,
    pub resources: usize,
    pub prompts: usize,
    /// Restarts of all instances: every start after an instance's first.
    pub restarts: u64,
    pub calls: usize,
    /// Calls that wait: for their turn, for an instance, or for its start.
    pub waiting: usize,
    /// Resident memory of all instances that are processes of this machine, in bytes.
    pub memory_bytes: u64,
    /// Lines on standard output that were not messages.
    pub stray_lines: u64,
    pub instances: Vec<InstanceStatus>,
}

/// Items that are missing in a list of a server, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissingItems {
    /// `tools`, `resources`, `resourceTemplates` or `prompts`.
    pub list: String,
    /// The reason, which may quote the server. Continues a sentence whose subject is the server.
    pub why: String,
    /// The same without the server's own words, for clients and for the open endpoints.
    pub brief: String,
    /// The missing items, as far as they are known.
    pub items: Vec<String>,
}

/// The status of an instance.
#[derive(Debug, Clone)]
pub struct InstanceStatus {
    pub id: InstanceId,
    pub state: InstanceState,
    pub pid: Option<u32>,
    /// Calls in flight.
    pub calls: usize,
    pub restarts: u64,
    pub uptime_ms: u64,
    /// Resident memory of the instance's process tree in bytes, measured within the last seconds. `None`
    /// if the instance is not a process of this machine.
    pub memory_bytes: Option<u64>,
    /// The resource limits of the process, as they were a few seconds ago. Empty without limits, and without a
    /// process.
    pub limits: Vec<LimitStatus>,
    /// The client capabilities that the instance was started with: `roots`, `sampling`, `elicitation`.
    /// Empty for an instance of clients without capabilities.
    pub asks: Vec<String>,
    /// Which calls the instance is for, if not for all of such clients: `session`, `call`, or `lists` for one
    /// that only supplies the lists.
    pub only_for: Option<&'static str>,
}

impl InstanceState {
    /// Whether those who need it can use it: it is ready, rests and starts when it is wanted, or is a job that
    /// is done.
    pub fn serves(self) -> bool {
        matches!(self, Self::Ready | Self::Degraded | Self::Done | Self::Idle)
    }

    /// In the order in which an instance passes through them.
    pub const ALL: [Self; 14] = [
        Self::Stopped,
        Self::Waiting,
        Self::Held,
        Self::Starting,
        Self::Handshaking,
        Self::Ready,
        Self::Degraded,
        Self::Unhealthy,
        Self::Done,
        Self::Idle,
        Self::BackingOff,
        Self::CrashLooping,
        Self::Draining,
        Self::Failed,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Waiting => "waiting",
            Self::Held => "held",
            Self::Starting => "starting",
            Self::Handshaking => "handshaking",
            Self::Ready => "ready",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
            Self::Done => "done",
            Self::Idle => "idle",
            Self::BackingOff => "backing-off",
            Self::CrashLooping => "crash-looping",
            Self::Draining => "draining",
            Self::Failed => "failed",
        }
    }
}

impl Health {
    pub const ALL: [Self; 5] =
        [Self::Ok, Self::Loading, Self::Degraded, Self::Draining, Self::Error];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Loading => "loading",
            Self::Degraded => "degraded",
            Self::Draining => "draining",
            Self::Error => "error",
        }
    }
}
