//! Circuit breakers, and what is refused because of them.

use std::time::Duration;

use mainstay_model::{Name, Need, NodeKind};
use mainstay_telemetry::Breaker;
use mainstay_telemetry::events::rounded;
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

/// What some tools of a server need beside the server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ToolNeeds {
    /// The pattern of the tools, by the server's own names.
    pub pattern: String,
    #[schema(schema_with = words::needs)]
    pub needs: Vec<Need>,
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

// === impl CircuitBreaker ===

impl CircuitBreaker {
    /// Whether all calls pass.
    pub fn is_closed(&self) -> bool {
        self.state == Breaker::Closed.as_str()
    }

    /// Whether calls are refused at the moment. Of a half-open one, the next call is let through as a trial unless
    /// one is under way.
    pub fn refuses(&self) -> bool {
        self.state == Breaker::Open.as_str() || (!self.is_closed() && self.trial_under_way)
    }

    /// `closed`, `open` or `half-open`.
    pub fn word(&self) -> String {
        self.state.to_lowercase().replace('_', "-")
    }

    /// What comes after the word of a breaker that is not closed: "after 5 failures in a row: it answered HTTP 503; the
    /// next trial is in 41 s".
    pub fn after(&self) -> String {
        let next = match (self.next_trial_in_ms, self.trial_under_way) {
            (Some(left), _) => format!("the next trial is in {}", time(left)),
            (None, true) => "a trial is under way".to_owned(),
            (None, false) => "the next call is a trial".to_owned(),
        };
        let error = self.last_error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
        format!("after {}{error}; {next}", failures(self.failures))
    }
}

// === impl RefusedTools ===

impl RefusedTools {
    /// The tools in words, and that they are refused: "tool extract of surveys is refused".
    pub fn subject(&self, server: &Name) -> String {
        match self.tools.as_slice() {
            [] => format!("tools of {server} that match {} are refused", self.patterns.join(", ")),
            [one] => format!("tool {one} of {server} is refused"),
            more => format!("{} tools of {server} ({}) are refused", more.len(), more.join(", ")),
        }
    }
}

/// `1 failure in a row`, `5 failures in a row`.
fn failures(number: u32) -> String {
    let noun = if number == 1 { "failure" } else { "failures" };
    format!("{number} {noun} in a row")
}

fn time(millis: u64) -> String {
    rounded(Duration::from_millis(millis))
}
