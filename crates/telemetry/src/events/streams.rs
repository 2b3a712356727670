//! Events of long-lived streams, which clients keep open to receive messages outside of calls.

use std::time::{Duration, Instant};

use tracing::{debug, warn};

use crate::correlation::CorrelationId;
use crate::labels::{StreamEnd, StreamKind};
use crate::metrics::Metrics;

/// A client opened a stream.
#[derive(Debug)]
pub struct StreamOpened<'a> {
    pub kind: StreamKind,
    /// The path of the address, such as `/mcp/NAME`.
    pub endpoint: &'a str,
    pub request_id: &'a CorrelationId,
}

/// A stream ended.
#[derive(Debug)]
pub struct StreamEnded<'a> {
    pub kind: StreamKind,
    pub endpoint: &'a str,
    /// The id of the request that opened the stream.
    pub request_id: &'a CorrelationId,
    pub reason: StreamEnd,
    pub after: Duration,
}

/// A stream was refused because the maximum number is open. Throttled per kind.
#[derive(Debug)]
pub struct StreamRefused<'a> {
    pub kind: StreamKind,
    pub endpoint: &'a str,
    pub request_id: &'a CorrelationId,
    pub max: usize,
}

// === emit ===

impl StreamOpened<'_> {
    pub fn emit(self, metrics: &Metrics) {
        metrics.stream_opened(self.kind);
        let Self { kind, endpoint, request_id } = self;
        let kind = kind.as_str();
        debug!(target: "mainstay", %request_id, kind, endpoint, "stream opened");
    }
}

impl StreamEnded<'_> {
    pub fn emit(self, metrics: &Metrics) {
        metrics.stream_ended(self.kind, self.reason);
        let Self { kind, endpoint, request_id, reason, after } = self;
        let (kind, reason) = (kind.as_str(), reason.as_str());
        let after_ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
        debug!(target: "mainstay", %request_id, kind, endpoint, reason, after_ms, "stream ended");
    }
}

impl StreamRefused<'_> {
    pub fn emit(self, metrics: &Metrics) {
        metrics.stream_refused(self.kind);
        let admitted = metrics.refused_stream_lines(self.kind).admit(Instant::now());
        let Some(held_back) = admitted else { return };
        let Self { kind, endpoint, request_id, max } = self;
        let kind = kind.as_str();
        warn!(
            target: "mainstay", %request_id, kind, endpoint, max, held_back,
            "stream refused: the maximum number of streams is open"
        );
    }
}
