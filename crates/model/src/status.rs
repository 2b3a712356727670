//! The status of the daemon, as the health endpoints, the API and the command line show it.
//!
//! Each value is read from its source on request. Nothing here is cached.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

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
    /// The process is being started or the connection opened.
    Starting,
    /// The instance runs. The handshake is in progress, or the first lists are being fetched.
    Handshaking,
    Ready,
    /// The instance failed. The next start is scheduled.
    BackingOff,
    /// The instance failed too often. It is restarted at long intervals.
    CrashLooping,
    Draining,
    /// The instance can't be served, for example because the command does not exist or the protocol is
    /// wrong. It is not restarted until the configuration changes.
    Failed,
}

/// The whole status, for `mainstay status` and `/health/detailed`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DaemonStatus {
    pub status: Health,
    /// The state of each circuit breaker by name: `CLOSED`, `HALF_OPEN` or `OPEN`.
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

/// Counts of sessions, calls and open streams.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SessionsStatus {
    pub active: usize,
    pub max: usize,
    /// Calls in flight in all sessions.
    pub calls: usize,
    /// Open `subscriptions/listen` requests of clients of 2026-07-28, which have no session. Their
    /// maximum is `max`, too.
    #[serde(default)]
    pub listens: usize,
    /// Streams that sessions keep open for messages outside of calls.
    #[serde(default)]
    pub streams: usize,
    /// Why the state of sessions or published names can't be stored at the moment. A restart of the
    /// daemon would lose what is not stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unstored: Option<String>,
}

/// The five numbers of `/stats/pool`, summed over all pools.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PoolStatus {
    pub idle: usize,
    pub active: usize,
    pub total: usize,
    pub max_pool_size: usize,
    pub min_pool_size: usize,
}

/// Memory use, in bytes.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct MemoryStatus {
    /// Resident memory of the daemon itself.
    pub resident_bytes: u64,
    /// Resident memory of the server processes, measured within the last seconds.
    #[serde(default)]
    pub servers_bytes: u64,
    /// The memory limit of the cgroup, or else the memory of the machine.
    pub limit_bytes: u64,
}

/// The status of a server over all its instances.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ServerStatus {
    pub name: Name,
    /// `process` or `remote`.
    pub kind: String,
    /// The command line or the URL, without secrets.
    pub target: String,
    pub required: bool,
    pub state: InstanceState,
    /// Why the server is not ready, with the last output of a process that died.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// A remark about a server that is ready, such as which clients can't use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// When the server entered this state, as an RFC 3339 time.
    pub since: String,
    /// The time until the next start, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retry_in_ms: Option<u64>,
    /// The transport, once known: `stdio`, `streamable HTTP` or `HTTP+SSE`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<String>,
    /// The negotiated protocol revision, once known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<String>,
    /// The revision negotiated for clients of the other era, once the first such client has connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_revision: Option<String>,
    pub tools: usize,
    pub resources: usize,
    pub prompts: usize,
    /// Restarts of all instances: every start after an instance's first.
    pub restarts: u64,
    pub calls: usize,
    /// Resident memory of all instances that are processes of this machine, in bytes.
    #[serde(default)]
    pub memory_bytes: u64,
    /// Lines on standard output that were not messages.
    pub stray_lines: u64,
    pub instances: Vec<InstanceStatus>,
}

/// The status of an instance.
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
    /// Resident memory of the instance's process tree in bytes, measured within the last seconds. `None`
    /// if the instance is not a process of this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// The client capabilities that the instance was started with: `roots`, `sampling`, `elicitation`.
    /// Empty for an instance of clients without capabilities.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asks: Vec<String>,
}

/// The status of an endpoint.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EndpointStatus {
    /// `/mcp` or `/mcp/{name}`.
    pub path: String,
    pub servers: Vec<Name>,
    /// Open `subscriptions/listen` requests at this endpoint.
    #[serde(default)]
    pub listens: usize,
    /// Open streams of sessions at this endpoint.
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
