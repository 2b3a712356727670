//! Services: what the daemon runs and that speaks no MCP.

use mainstay_model::status::InstanceState;
use mainstay_model::{Name, Need};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::breakers::CircuitBreaker;
use super::graph::{Blocker, Probe};
use super::limits::Limit;
use super::words;

/// All services, in the order of the configuration.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Services {
    pub services: Vec<Service>,
}

/// One service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Service {
    #[schema(schema_with = words::name)]
    pub name: Name,
    /// `service`, or `once` for a job that must end with code 0.
    pub kind: String,
    /// The file name of the program. For the operator: the command line.
    pub target: String,
    /// Whether the daemon is unready without it.
    pub required: bool,
    #[schema(schema_with = words::state)]
    pub state: InstanceState,
    /// Why it is not ready. For the operator: with paths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reason: Option<String>,
    /// For the operator: the first and the last lines that it wrote before it ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub last_output: Vec<String>,
    /// Since when it is in this state, as RFC 3339.
    pub since: String,
    /// Whether it has been ready since the daemon started.
    pub been_ready: bool,
    /// Milliseconds until it is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub retry_in_ms: Option<u64>,
    /// Starts after the first.
    pub restarts: u64,
    /// The number of its process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub pid: Option<u32>,
    /// Resident memory of its process and of what that started, read within the last seconds. Absent
    /// until it was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub memory_bytes: Option<u64>,
    /// Its resource limits, if it has any and runs, or waits for its next start.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<Limit>,
    /// Its probe, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub probe: Option<Probe>,
    /// Its circuit breaker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub breaker: Option<CircuitBreaker>,
    /// What it needs, in the order of the configuration.
    #[schema(schema_with = words::needs)]
    pub needs: Vec<Need>,
    /// Those of its needs that are not ready. While there are any it waits, is held, or is degraded.
    pub waiting_for: Vec<Blocker>,
    /// Whether it was stopped by hand. It stays stopped until it is started by hand.
    pub stopped_by_hand: bool,
}
