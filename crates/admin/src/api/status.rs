//! The whole status of the daemon.

use std::collections::BTreeMap;

use mainstay_model::Name;
use mainstay_model::status::Health;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::breakers::CircuitBreaker;
use super::configuration::Configuration;
use super::pools::ConnectionPool;
use super::servers::Server;
use super::services::Service;
use super::sessions::Sessions;
use super::words;

/// Everything that `mainstay status` shows.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct DaemonStatus {
    #[schema(schema_with = words::health)]
    pub status: Health,
    /// Names of breakers with `CLOSED`, `HALF_OPEN` or `OPEN`.
    pub circuit_breakers: BTreeMap<String, String>,
    /// The circuit breakers that are not closed.
    #[serde(default)]
    #[schema(required)]
    pub tripped_breakers: Vec<CircuitBreaker>,
    /// The version of the daemon.
    pub version: String,
    /// The number of the daemon's process.
    pub pid: u32,
    /// Milliseconds since the daemon started.
    pub uptime_ms: u64,
    /// The longest time that a call may take, in milliseconds: the greatest `call_timeout_max` of the gateway, a
    /// server or a tool.
    #[serde(default)]
    #[schema(required)]
    pub call_timeout_max_ms: u64,
    /// Addresses where clients connect.
    pub listen: Vec<String>,
    /// The state folder.
    pub state_dir: String,
    /// The configuration file that the daemon was started with, as an absolute path.
    #[serde(default)]
    #[schema(required)]
    pub config_file: Option<String>,
    /// The configuration in force, and how the last reload went.
    #[serde(default)]
    #[schema(required)]
    pub configuration: Configuration,
    /// The address of all servers for clients of streamable HTTP: that of `gateway.public_url`, or an
    /// address of this machine. `/NAME` behind it is one server or group. None where streamable HTTP is off.
    #[serde(default)]
    #[schema(required)]
    pub mcp_url: Option<String>,
    pub sessions: Sessions,
    pub connection_pool: ConnectionPool,
    pub memory_usage: Memory,
    /// Names of volumes with their state: `unwatched`.
    pub volumes: BTreeMap<String, String>,
    /// Names of services and externals with their state.
    pub dependencies: BTreeMap<String, String>,
    /// In the order of the configuration.
    pub servers: Vec<Server>,
    /// In the order of the configuration.
    #[serde(default)]
    #[schema(required)]
    pub services: Vec<Service>,
    pub endpoints: Vec<Endpoint>,
    /// Who is told of changes: the sections `[[notify]]`, in the order of the configuration.
    #[serde(default)]
    #[schema(required)]
    pub notifications: Vec<Notification>,
}

/// A section `[[notify]]`, and whether its notifications are delivered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Notification {
    /// `notify.1` for the first section. `mainstay logs` shows what its command writes under this name.
    pub section: String,
    /// The name of the program, or scheme, host and port of the URL.
    pub target: String,
    /// Since when notifications are not delivered, as RFC 3339. None after one that was, and before the first.
    #[schema(required)]
    pub failing_since: Option<String>,
    /// Why the newest one was not delivered. For the operator only.
    #[schema(required)]
    pub reason: Option<String>,
}

/// How much memory is used, and how much may be.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct Memory {
    /// Resident memory of the daemon itself.
    pub resident_bytes: u64,
    /// Resident memory of the processes that the daemon runs, read within the last seconds.
    #[serde(default)]
    #[schema(required)]
    pub servers_bytes: u64,
    /// Both together, as `mcp_memory_usage_bytes` has it.
    #[serde(default)]
    #[schema(required)]
    pub usage_bytes: u64,
    /// The limit of the control group, else the memory of the machine.
    pub limit_bytes: u64,
    /// The memory budgets by kind: `bodies`, `answers`, `streams`, `lists`, `questions`, `names`, and `whole`
    /// for all of them together.
    #[serde(default)]
    #[schema(required)]
    pub budgets: BTreeMap<String, MemoryBudget>,
}

/// What the daemon may hold of one kind of data.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MemoryBudget {
    pub used_bytes: u64,
    pub max_bytes: u64,
    /// How often data was refused because the budget was used up, since the daemon started.
    pub refusals: u64,
}

/// An address of MCP: of all servers, of one server or of a group.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Endpoint {
    /// `/mcp` or `/mcp/{name}`.
    pub path: String,
    #[schema(schema_with = words::names)]
    pub servers: Vec<Name>,
    /// Clients of 2026-07-28 that listen here.
    #[serde(default)]
    #[schema(required)]
    pub listens: usize,
    /// Streams that sessions keep open here.
    #[serde(default)]
    #[schema(required)]
    pub streams: usize,
    /// What an endpoint of several servers lists. Empty for one server.
    #[serde(default)]
    #[schema(required)]
    pub lists: Vec<MergedList>,
    /// Items whose published names differ from those at their servers, the first 100.
    #[serde(default)]
    #[schema(required)]
    pub renamed: Vec<RenamedItem>,
}

/// The size of a merged list.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct MergedList {
    /// `tools`, `resources`, `resourceTemplates` or `prompts`.
    pub list: String,
    pub items: usize,
    /// The sum of the sizes of the items.
    pub bytes: usize,
    /// Items whose published names differ from those at their servers.
    pub renamed: usize,
    /// Published names of tools and prompts that most model APIs refuse, because they don't match
    /// `[a-zA-Z0-9_-]{1,64}`.
    pub refused_names: usize,
}

/// An item whose published name differs from that at its server.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RenamedItem {
    /// `tools`, `resources`, `resourceTemplates` or `prompts`.
    pub list: String,
    #[schema(schema_with = words::name)]
    pub server: Name,
    /// The name or URI at the server.
    pub own: String,
    pub published: String,
}
