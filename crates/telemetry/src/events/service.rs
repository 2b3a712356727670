//! Events of the daemon itself and of refused requests.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tracing::{debug, error, info, warn};

use super::cut;
use crate::correlation::CorrelationId;
use crate::labels::Refused;
use crate::metrics::Metrics;

/// The gateway accepts connections.
#[derive(Debug)]
pub struct Serving<'a> {
    pub listen: &'a [SocketAddr],
    pub servers: usize,
}

/// A request or a connection was refused. Throttled per reason.
#[derive(Debug)]
pub struct RefusedRequest<'a> {
    pub reason: Refused,
    pub peer: Option<SocketAddr>,
    pub request_id: Option<&'a CorrelationId>,
    /// The offending value, unless it is secret. It is cut and escaped.
    pub detail: &'a str,
}

/// The system gave no descriptor for a new connection. Throttled.
#[derive(Debug)]
pub struct NotAccepted<'a> {
    pub error: &'a io::Error,
}

/// Idle sessions expired.
#[derive(Debug)]
pub struct SessionExpired {
    pub count: u64,
    /// The idle time after which sessions expire.
    pub idle_max: Duration,
}

/// The daemon cleaned up after an earlier daemon at its start.
#[derive(Debug)]
pub struct Swept {
    /// Processes of the earlier daemon that were still running and were ended.
    pub processes: usize,
    /// Records of processes that were gone.
    pub records: usize,
}

/// The daemon accepts no new calls and waits for calls in flight.
#[derive(Debug)]
pub struct DrainStarted {
    pub calls: usize,
    /// The longest time that draining takes.
    pub deadline: Duration,
}

/// Draining ended.
#[derive(Debug)]
pub struct DrainFinished {
    /// Calls that were aborted.
    pub calls_left: usize,
    pub took: Duration,
}

/// The daemon stopped, and so did everything that it had started.
#[derive(Debug)]
pub struct Stopped {
    pub uptime: Duration,
}

/// The `admin` token was used, or the command socket in its place, or the `read` token was not enough.
#[derive(Debug)]
pub struct AdminUsed<'a> {
    /// The name of the token that was shown; none over the command socket.
    pub token: Option<&'a str>,
    pub peer: &'a str,
    pub request_id: &'a str,
    pub action: &'a str,
    pub target: Option<&'a str>,
    /// `done`, `denied`, or why it failed.
    pub outcome: &'a str,
}

/// An internal error. The client was told the `error_id`.
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
        let (reason, detail) = (reason.as_str(), cut(detail.as_bytes()));
        let peer = peer.map(tracing::field::display);
        let request_id = request_id.map(tracing::field::display);
        info!(target: "mainstay", request_id, reason, peer, detail, held_back, "request refused");
    }
}

impl NotAccepted<'_> {
    pub fn emit(self, metrics: &Metrics) {
        let admitted = metrics.unaccepted_lines().admit(Instant::now());
        let Some(held_back) = admitted else { return };
        warn!(target: "mainstay", error = %self.error, held_back, "can't accept a connection");
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
            warn!(target: "mainstay", processes, records, "ended processes of an earlier daemon");
        } else if records > 0 {
            debug!(target: "mainstay", records, "removed records of an earlier daemon");
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
            warn!(target: "mainstay", took_ms, calls_left, "drain deadline reached; calls were aborted");
        }
    }
}

impl Stopped {
    pub fn emit(self, _: &Metrics) {
        info!(target: "mainstay", uptime_s = self.uptime.as_secs(), "stopped");
    }
}

impl AdminUsed<'_> {
    pub fn emit(self, _: &Metrics) {
        let Self { token, peer, request_id, action, target, outcome } = self;
        let (on, outcome) = (target.map(|on| cut(on.as_bytes())), cut(outcome.as_bytes()));
        info!(target: "mainstay", request_id, token, peer, action, on, outcome, "admin API used");
    }
}

impl InternalFault<'_> {
    pub fn emit(self, _: &Metrics) {
        let Self { error_id, request_id, error } = self;
        let request_id = request_id.map(tracing::field::display);
        let error = chain(error);
        error!(target: "mainstay", error_id, request_id, error, "internal error");
    }
}

/// An error and its causes on one line.
pub(super) fn chain(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
