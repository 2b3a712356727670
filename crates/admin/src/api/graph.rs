//! The dependency graph: servers, services, volumes and externals, what each needs, and whom it waits for.

use mainstay_model::{Name, Need, NodeKind};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::breakers::{CircuitBreaker, RefusedTools, ToolNeeds};
pub use super::node_state::{NodeState, UnknownState};
use super::words;

/// The dependency graph.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Graph {
    /// By layer, and within a layer in the order of the configuration.
    pub nodes: Vec<Node>,
}

/// A server, service, volume or external in the graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Node {
    #[schema(schema_with = words::name)]
    pub name: Name,
    #[schema(schema_with = words::node_kind)]
    pub kind: NodeKind,
    /// 0 for what needs nothing, else one more than the highest layer among its needs.
    pub layer: usize,
    #[schema(schema_with = words::node_state)]
    pub state: NodeState,
    /// Since when it is in this state, as RFC 3339.
    pub since: String,
    /// Whether the daemon is unready without it.
    pub required: bool,
    /// What it needs, in the order of the configuration.
    #[schema(schema_with = words::needs)]
    pub needs: Vec<Need>,
    /// Those of its needs that are not ready. While there are any it waits, is held, or is degraded.
    pub waiting_for: Vec<Blocker>,
    /// Whether it was stopped by hand. It stays stopped until it is started by hand.
    pub stopped_by_hand: bool,
    /// Why it is not ready. For the operator: with paths, addresses and output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reason: Option<String>,
    /// Milliseconds until it is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub retry_in_ms: Option<u64>,
    /// The number of its process, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub pid: Option<u32>,
    /// Its probe, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub probe: Option<Probe>,
    /// Its circuit breaker. Volumes have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub breaker: Option<CircuitBreaker>,
    /// What tools of a server need beside the server, in the order of the configuration.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tool_needs: Vec<ToolNeeds>,
    /// The tools of a server that are refused at the moment, because something is down that they need.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused_tools: Vec<RefusedTools>,
}

/// A need that is not ready, as those see it who need it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Blocker {
    #[schema(schema_with = words::need)]
    pub need: Need,
    #[schema(schema_with = words::node_state)]
    pub state: NodeState,
    /// Since when it is in this state, as RFC 3339.
    pub since: String,
    /// Whether it was stopped by hand.
    #[serde(default)]
    #[schema(required)]
    pub stopped_by_hand: bool,
    /// Why it is not ready. For the operator: with paths, addresses and output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reason: Option<String>,
    /// What keeps it from being ready, if that is something else: the end of the chain of needs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub cause: Option<Cause>,
}

/// The end of a chain of needs: what is not ready for a reason of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Cause {
    #[schema(schema_with = words::need)]
    pub need: Need,
    #[schema(schema_with = words::node_state)]
    pub state: NodeState,
    /// Whether it was stopped by hand.
    #[serde(default)]
    #[schema(required)]
    pub stopped_by_hand: bool,
    /// Why it is not ready. For the operator: with paths, addresses and output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reason: Option<String>,
}

/// A probe and the result of its newest check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Probe {
    /// `ping`, `tool`, `http`, `tcp`, `command`, `log`, `redis` or `postgres`.
    pub kind: String,
    /// `passed`, `unfit` where the answer was not the expected one, `silent` where none came. None before
    /// the first check has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub outcome: Option<String>,
    /// When the newest check ended, as RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub at: Option<String>,
    /// Checks that failed in a row, up to the newest one.
    pub failures: u32,
    /// For the operator: what was wrong with the newest check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub detail: Option<String>,
}

// === impl Node ===

impl Node {
    /// How others refer to it in their `needs`.
    pub fn as_need(&self) -> Need {
        Need { kind: self.kind, name: self.name.clone() }
    }

    /// The patterns of its tools that need `need`.
    pub fn tools_that_need(&self, need: &Need) -> impl Iterator<Item = &str> {
        let rules = self.tool_needs.iter().filter(|rule| rule.needs.contains(need));
        rules.map(|rule| rule.pattern.as_str())
    }
}

// === impl Blocker ===

impl Blocker {
    /// Whether what is wrong at the end of the chain of needs is that somebody stopped it.
    pub fn ends_by_hand(&self) -> bool {
        self.cause.as_ref().map_or(self.stopped_by_hand, |cause| cause.stopped_by_hand)
    }

    /// What is wrong at the end of the chain of needs: the cause, or the need itself.
    pub fn at_the_end(&self) -> (&Need, NodeState, Option<&str>) {
        match &self.cause {
            Some(cause) => (&cause.need, cause.state, cause.reason.as_deref()),
            None => (&self.need, self.state, self.reason.as_deref()),
        }
    }
}
