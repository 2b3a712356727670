//! Circuit breakers, and what is refused because of them.

use mainstay_model::{Name, Need, NodeKind};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::words;

/// All circuit breakers, in the order of the configuration: those of servers, then services and externals.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CircuitBreakers {
    pub breakers: Vec<CircuitBreaker>,
}

/// The circuit breaker of a server, service or external.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CircuitBreaker {
    /// What it belongs to.
    #[schema(schema_with = words::name)]
    pub name: Name,
    #[schema(schema_with = words::node_kind)]
    pub kind: NodeKind,
    /// `CLOSED`: calls pass. `HALF_OPEN`: one call passes as a trial. `OPEN`: calls are refused.
    #[schema(schema_with = words::breaker)]
    pub state: String,
    /// Since when it is in this state, as RFC 3339.
    pub since: String,
    /// Whether it can open.
    pub enabled: bool,
    /// Failures in a row, up to the newest result.
    pub failures: u32,
    /// It opens on this many failures in a row.
    pub failures_max: u32,
    /// Failures that counted since the daemon started.
    pub failures_total: u64,
    /// The time from its opening to the next trial, in milliseconds.
    pub recovery_ms: u64,
    /// The last failure. For the operator: with what the target said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub last_error: Option<String>,
    /// Milliseconds since the last failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub last_error_ago_ms: Option<u64>,
    /// Milliseconds until the next trial is possible, while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub next_trial_in_ms: Option<u64>,
    /// Whether a trial is under way.
    pub trial_under_way: bool,
}

/// Tools of a server that are refused at the moment, because something is down that they need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RefusedTools {
    #[schema(schema_with = words::need)]
    pub need: Need,
    /// The state of the need; `breaker-open` or `breaker-half-open` if its circuit breaker is the reason.
    pub state: String,
    /// Since when it is down, as RFC 3339.
    pub since: String,
    /// What is wrong, as the rest of a sentence that names the need first.
    pub reason: String,
    /// Milliseconds until it is tried next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub retry_in_ms: Option<u64>,
    /// The patterns of the rules that name the need.
    pub patterns: Vec<String>,
    /// The tools that they match, by the server's own names, as far as its list is known.
    pub tools: Vec<String>,
}
