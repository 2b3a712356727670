//! What is so right now, as health answers, the API and the command line show it.
//!
//! Every value is read from the thing itself when asked; nothing here is kept up by hand.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{InstanceId, Name};

/// One word for the whole daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    Ok,
    /// A required server has not been ready yet.
    Loading,
    /// Something that is not required is not ready.
    Degraded,
    Draining,
    /// A required server was ready or was given up, and is not ready now.
    Error,
}

/// The life of one instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstanceState {
    Stopped,
    /// The process is being started or the connection opened.
    Starting,
    /// It runs; handshake and first lists are under way.
    Handshaking,
    Ready,
    /// It failed; the next start has a time.
    BackingOff,
    /// It failed too often; it is tried rarely.
    CrashLooping,
    Draining,
    /// It can't be served: wrong protocol, bad command. Not tried again until the configuration changes.
    Failed,
}

/// Everything, for `status` and `/health/detailed`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DaemonStatus {
    pub status: Health,
    /// Names of breakers with `CLOSED`, `HALF_OPEN` or `OPEN`.
    pub circuit_breakers: BTreeMap<String, String>,
    pub version: String,
    pub pid: u32,
    pub uptime_ms: u64,
    pub listen: Vec<String>,
    pub state_dir: String,
    pub sessions: SessionsStatus,
    pub connection_pool: PoolStatus,
    pub memory_usage: MemoryStatus,
    pub volumes: BTreeMap<String, String>,
    pub dependencies: BTreeMap<String, String>,
    pub servers: Vec<ServerStatus>,
    pub endpoints: Vec<EndpointStatus>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SessionsStatus {
    pub active: usize,
    pub max: usize,
    /// Calls in flight over all sessions.
    pub calls: usize,
    /// Clients of 2026-07-28 that listen. They have no session, and as many may as there may be
    /// sessions.
    #[serde(default)]
    pub listens: usize,
    /// Streams that sessions keep open to hear what comes of its own accord.
    #[serde(default)]
    pub streams: usize,
    /// Why what becomes of sessions, or names once published, can't be stored, while that is so: a
    /// restart of the daemon would lose it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unstored: Option<String>,
}

/// The five numbers of `/stats/pool`, summed over pools.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PoolStatus {
    pub idle: usize,
    pub active: usize,
    pub total: usize,
    pub max_pool_size: usize,
    pub min_pool_size: usize,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct MemoryStatus {
    /// Of the daemon itself.
    pub resident_bytes: u64,
    /// Of the processes that it runs, seen within the last seconds.
    #[serde(default)]
    pub servers_bytes: u64,
    /// The cgroup's limit, else the machine's memory.
    pub limit_bytes: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServerStatus {
    pub name: Name,
    /// `process` or `remote`.
    pub kind: String,
    /// The command or URL, without secrets.
    pub target: String,
    pub required: bool,
    pub state: InstanceState,
    /// Why it is not ready, in plain words, with the last output of a process that died.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What there is to know although it is ready: which clients it is not for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Since when it is in this state, RFC 3339.
    pub since: String,
    /// When it is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_in_ms: Option<u64>,
    /// `stdio`, `streamable HTTP` or `HTTP+SSE`, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<String>,
    /// The revision spoken to it, once known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The one spoken to it for clients of the other era, from when the first has come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_revision: Option<String>,
    pub tools: usize,
    pub resources: usize,
    pub prompts: usize,
    /// Starts after the first, of all its instances.
    pub restarts: u64,
    pub calls: usize,
    /// Resident memory of all its instances that are processes of this machine.
    #[serde(default)]
    pub memory_bytes: u64,
    /// Lines on standard output that were no messages.
    pub stray_lines: u64,
    pub instances: Vec<InstanceStatus>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InstanceStatus {
    pub id: InstanceId,
    pub state: InstanceState,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// Calls in flight.
    pub calls: usize,
    pub restarts: u64,
    pub uptime_ms: u64,
    /// Resident memory of its process and of all that came of it, seen within the last seconds; none
    /// where it is no process of this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// What its clients can be asked for, where it serves such clients only: `roots`, `sampling`,
    /// `elicitation`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asks: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EndpointStatus {
    /// `/mcp` or `/mcp/{name}`.
    pub path: String,
    pub servers: Vec<Name>,
    /// Clients that listen here, and streams of sessions that are open here.
    #[serde(default)]
    pub listens: usize,
    #[serde(default)]
    pub streams: usize,
}

impl InstanceState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stopped => "stopped",
            Self::Starting => "starting",
            Self::Handshaking => "handshaking",
            Self::Ready => "ready",
            Self::BackingOff => "backing-off",
            Self::CrashLooping => "crash-looping",
            Self::Draining => "draining",
            Self::Failed => "failed",
        }
    }
}

impl Health {
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
