//! Events in the life of the daemon and at its door.

use std::error::Error;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tracing::{debug, error, info, warn};

use super::excerpt;
use crate::correlation::CorrelationId;
use crate::labels::Refused;
use crate::metrics::Metrics;

/// The gateway listens.
#[derive(Debug)]
pub struct Serving<'a> {
    pub listen: &'a [SocketAddr],
    pub servers: usize,
}

/// A request or a connection was turned away. Throttled by reason.
#[derive(Debug)]
pub struct RefusedRequest<'a> {
    pub reason: Refused,
    pub peer: Option<SocketAddr>,
    pub request_id: Option<&'a CorrelationId>,
    /// The offending value, if it is no secret; it is cut and escaped.
    pub detail: &'a str,
}

/// Sessions ended because nobody used them.
#[derive(Debug)]
pub struct SessionExpired {
    pub count: u64,
    /// How long they may be idle.
    pub idle_max: Duration,
}

/// What an earlier daemon left behind was cleared away at the start.
#[derive(Debug)]
pub struct Swept {
    /// Processes that were still alive and were ended.
    pub processes: usize,
    /// Records whose process was gone.
    pub records: usize,
}

/// The daemon takes no new work and lets calls in flight finish.
#[derive(Debug)]
pub struct DrainStarted {
    pub calls: usize,
    /// The longest it takes.
    pub deadline: Duration,
}

/// Draining is over.
#[derive(Debug)]
pub struct DrainFinished {
    /// Calls that were cut off.
    pub calls_left: usize,
    pub took: Duration,
}

/// The daemon is down, with everything it started.
#[derive(Debug)]
pub struct Stopped {
    pub uptime: Duration,
}

/// A fault of our own; `error_id` is what the client was told.
#[derive(Debug)]
pub struct InternalFault<'a> {
    pub error_id: &'a str,
    pub request_id: Option<&'a CorrelationId>,
    pub error: &'a (dyn Error + 'static),
}

// === emit ===

impl Serving<'_> {
    pub fn emit(self, _: &Metrics) {
        let listen = self.listen.iter().map(SocketAddr::to_string).collect::<Vec<_>>().join(" ");
        info!(target: "mainstay", listen, servers = self.servers, "serving");
    }
}

impl RefusedRequest<'_> {
    pub fn emit(self, metrics: &Metrics) {
        metrics.refused(self.reason);
        let admitted = metrics.refused_lines(self.reason).admit(Instant::now());
        let Some(held_back) = admitted else { return };
        let Self { reason, peer, request_id, detail } = self;
        let (reason, detail) = (reason.as_str(), excerpt(detail.as_bytes()));
        let peer = peer.map(tracing::field::display);
        let request_id = request_id.map(tracing::field::display);
        info!(target: "mainstay", request_id, reason, peer, detail, held_back, "request refused");
    }
}

impl SessionExpired {
    pub fn emit(self, metrics: &Metrics) {
        metrics.sessions_expired(self.count);
        let idle_max_s = self.idle_max.as_secs();
        debug!(target: "mainstay", count = self.count, idle_max_s, "sessions expired");
    }
}

impl Swept {
    pub fn emit(self, _: &Metrics) {
        let Self { processes, records } = self;
        if processes > 0 {
            warn!(target: "mainstay", processes, records, "ended what an earlier daemon left running");
        } else if records > 0 {
            debug!(target: "mainstay", records, "cleared records of an earlier daemon");
        }
    }
}

impl DrainStarted {
    pub fn emit(self, _: &Metrics) {
        let deadline_s = self.deadline.as_secs();
        info!(target: "mainstay", calls = self.calls, deadline_s, "draining");
    }
}

impl DrainFinished {
    pub fn emit(self, _: &Metrics) {
        let took_ms = u64::try_from(self.took.as_millis()).unwrap_or(u64::MAX);
        let calls_left = self.calls_left;
        if calls_left == 0 {
            info!(target: "mainstay", took_ms, "drained");
        } else {
            warn!(target: "mainstay", took_ms, calls_left, "drained to the deadline; calls were cut off");
        }
    }
}

impl Stopped {
    pub fn emit(self, _: &Metrics) {
        info!(target: "mainstay", uptime_s = self.uptime.as_secs(), "stopped");
    }
}

impl InternalFault<'_> {
    pub fn emit(self, _: &Metrics) {
        let Self { error_id, request_id, error } = self;
        let request_id = request_id.map(tracing::field::display);
        let error = chain(error);
        error!(target: "mainstay", error_id, request_id, error, "internal fault");
    }
}

/// An error and what caused it, on one line.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
