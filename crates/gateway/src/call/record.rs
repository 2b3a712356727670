//! Counts and logs one call.

use mainstay_model::Refusal;
use mainstay_pool::{Pool, RetryPlace};
use mainstay_protocol::{Kind, Message};
use mainstay_telemetry::{CorrelationId, ErrorCode, Method, Outcome};
use mainstay_upstream::Lost;
use tokio::time::Instant;

/// What is recorded of one call. It is closed once.
pub(super) struct CallRecord {
    pub(super) begun: Instant,
    method: Method,
    request_id: CorrelationId,
    /// Whether an attempt was lost and repeated.
    pub(super) was_lost: bool,
    is_closed: bool,
}

impl CallRecord {
    pub(super) fn open(method: &str, request_id: CorrelationId) -> Self {
        Self {
            begun: Instant::now(),
            method: Method::from_wire(method),
            request_id,
            was_lost: false,
            is_closed: false,
        }
    }

    /// Returns the outcome of a call with this response.
    pub(super) fn outcome_of(&self, answer: &Message) -> Outcome {
        match answer.kind() {
            Kind::Error => Outcome::Error,
            _ if self.method == Method::ToolsCall && answer.is_tool_error() => Outcome::ToolError,
            _ => Outcome::Ok,
        }
    }

    /// Notes and logs that an attempt was lost and is repeated.
    pub(super) fn retrying(&mut self, pool: &Pool, lost: &Lost, place: &RetryPlace) {
        self.was_lost = true;
        tracing::debug!(
            target: "mainstay",
            request_id = %self.request_id, server = %pool.name, method = self.method.as_str(),
            pause = ?place.at().saturating_duration_since(std::time::Instant::now()),
            reason = %lost.reason, "the answer of a call is lost, and the call is sent again"
        );
    }

    /// Counts and logs a refusal of the gateway. Returns it with the id that finds it in the log.
    pub(super) fn refused(&self, pool: &Pool, mut refusal: Refusal) -> Refusal {
        pool.server_metrics.failed(refusal.code.into());
        refusal.data.request_id = Some(self.request_id.to_string());
        tracing::info!(
            target: "mainstay",
            request_id = %self.request_id, server = %pool.name,
            method = self.method.as_str(), code = refusal.code.name(), reason = %refusal.message,
            "call refused"
        );
        refusal
    }

    /// Counts the call with its outcome, once. False: it was counted before.
    pub(super) fn close(&mut self, pool: &Pool, tool: Option<&str>, outcome: Outcome) -> bool {
        if std::mem::replace(&mut self.is_closed, true) {
            return false;
        }
        let took = self.begun.elapsed();
        let metrics = &pool.server_metrics;
        metrics.finished(self.method, outcome, took);
        // A call counts as one error at most: one that ends with a refusal counts as that.
        if self.was_lost && matches!(outcome, Outcome::Ok | Outcome::ToolError | Outcome::Error) {
            metrics.failed(ErrorCode::Transport);
        }
        if let Some(tool) = tool {
            metrics.tool(tool, took);
        }
        true
    }
}
