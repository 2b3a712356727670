//! Servers and their instances.

use mainstay_model::status::{self, InstanceState, InstanceStatus, ServerStatus};
use mainstay_model::{InstanceId, Name, Need};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::breakers::{CircuitBreaker, RefusedTools};
use super::graph::{Blocker, Probe};
use super::limits::Limit;
use super::words;

/// All servers, in the order of the configuration.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Servers {
    pub servers: Vec<Server>,
}

/// One server with its instances.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Server {
    #[schema(schema_with = words::name)]
    pub name: Name,
    /// `process` for a command that the daemon runs, `remote` for a URL.
    pub kind: String,
    /// The file name of the program, or scheme, host and port of the address. For the operator: the
    /// command line or the address.
    pub target: String,
    /// Whether the daemon is unready without it.
    pub required: bool,
    #[schema(schema_with = words::state)]
    pub state: InstanceState,
    /// Why it is not ready. For the operator: with paths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reason: Option<String>,
    /// For the operator: the first and the last lines that its process wrote to standard error before it
    /// died, while it is not ready.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub last_output: Vec<String>,
    /// Which clients can't use it, although it is ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub note: Option<String>,
    /// What is missing in its lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<MissingItems>,
    /// Since when it is in this state, as RFC 3339.
    pub since: String,
    /// Milliseconds until it is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub retry_in_ms: Option<u64>,
    /// `stdio`, `streamable HTTP` or `HTTP+SSE`, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub transport: Option<String>,
    /// The revision of the protocol that is spoken to it, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub revision: Option<String>,
    /// The revision that is spoken to it for clients of the other era, once one has come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub second_revision: Option<String>,
    pub tools: usize,
    pub resources: usize,
    pub prompts: usize,
    /// Starts after the first, of all its instances.
    pub restarts: u64,
    /// Calls in flight, also those that were given up and that it may still work on.
    pub calls: usize,
    /// Calls that wait: for their turn, for an instance, or for its start.
    #[serde(default)]
    #[schema(required)]
    pub waiting: usize,
    /// Resident memory of its instances that are processes of this machine.
    #[serde(default)]
    #[schema(required)]
    pub memory_bytes: u64,
    /// Lines on its standard output that were no messages.
    pub stray_lines: u64,
    /// What it needs, in the order of the configuration.
    #[serde(default)]
    #[schema(required, schema_with = words::needs)]
    pub needs: Vec<Need>,
    /// Those of its needs that are not ready. While there are any it waits, is held, or is degraded.
    #[serde(default)]
    #[schema(required)]
    pub waiting_for: Vec<Blocker>,
    /// Whether it was stopped by hand. It stays stopped until it is started by hand.
    #[serde(default)]
    #[schema(required)]
    pub stopped_by_hand: bool,
    /// Its probe, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub probe: Option<Probe>,
    /// Its circuit breaker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub breaker: Option<CircuitBreaker>,
    /// Its tools that are refused at the moment, because something is down that they need.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused_tools: Vec<RefusedTools>,
    pub instances: Vec<Instance>,
}

/// Items that are missing in a list of a server.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct MissingItems {
    /// `tools`, `resources`, `resourceTemplates` or `prompts`.
    pub list: String,
    /// Why, as the rest of a sentence about the server. For the operator: with what the server said.
    pub why: String,
    /// For the operator: the missing items, as far as they are known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<String>,
}

/// One running copy of a server.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Instance {
    #[schema(schema_with = words::instance_id)]
    pub id: InstanceId,
    #[schema(schema_with = words::state)]
    pub state: InstanceState,
    /// The number of its process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub pid: Option<u32>,
    /// Calls in flight.
    pub calls: usize,
    /// Starts after the first.
    pub restarts: u64,
    /// Milliseconds since its last start.
    pub uptime_ms: u64,
    /// Resident memory of its process and of what that started, read within the last seconds. Absent
    /// where it is no process of this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub memory_bytes: Option<u64>,
    /// Its resource limits, if it has any and runs, or waits for its next start.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<Limit>,
    /// What its clients can be asked for (`roots`, `sampling`, `elicitation`), if it serves only clients
    /// that can be asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asks: Vec<String>,
    /// Which calls it is for, if not for all of such clients: `session` for those of one session, `call` for
    /// one call, `lists` if it only supplies the lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub only_for: Option<String>,
}

// === impl Server ===

/// Without what the dependency graph knows of it.
impl From<ServerStatus> for Server {
    fn from(server: ServerStatus) -> Self {
        Self {
            name: server.name,
            kind: server.kind,
            target: server.target,
            required: server.required,
            state: server.state,
            reason: server.reason,
            last_output: server.last_output,
            note: server.note,
            missing: server.missing.into_iter().map(MissingItems::from).collect(),
            since: server.since,
            retry_in_ms: server.retry_in_ms,
            transport: server.transport,
            revision: server.revision,
            second_revision: server.second_revision,
            tools: server.tools,
            resources: server.resources,
            prompts: server.prompts,
            restarts: server.restarts,
            calls: server.calls,
            waiting: server.waiting,
            memory_bytes: server.memory_bytes,
            stray_lines: server.stray_lines,
            needs: Vec::new(),
            waiting_for: Vec::new(),
            stopped_by_hand: false,
            probe: None,
            breaker: None,
            refused_tools: Vec::new(),
            instances: server.instances.into_iter().map(Instance::from).collect(),
        }
    }
}

// === impl Instance ===

impl From<status::MissingItems> for MissingItems {
    fn from(missing: status::MissingItems) -> Self {
        let status::MissingItems { list, why, items, brief: _ } = missing;
        Self { list, why, items }
    }
}

impl From<InstanceStatus> for Instance {
    fn from(instance: InstanceStatus) -> Self {
        Self {
            id: instance.id,
            state: instance.state,
            pid: instance.pid,
            calls: instance.calls,
            restarts: instance.restarts,
            uptime_ms: instance.uptime_ms,
            memory_bytes: instance.memory_bytes,
            limits: instance.limits.into_iter().map(Limit::from).collect(),
            asks: instance.asks,
            only_for: instance.only_for.map(str::to_owned),
        }
    }
}
