//! Streams that stand, while they are read: counted at their address, and told of when they open and
//! when they end.

use std::sync::{Arc, Weak};
use std::time::Instant;

use mainstay_telemetry::events::{StreamEnded, StreamOpened};
use mainstay_telemetry::{CorrelationId, Method, Outcome, StreamEnd, StreamKind};

use crate::endpoint::Endpoint;
use crate::endpoint::lasting::Lasting;
use crate::gateway::Gateway;

/// A stream that a client keeps open, from its opening on. Dropping it is its end.
pub(crate) struct Standing {
    gateway: Weak<Gateway>,
    endpoint: Arc<Lasting>,
    kind: StreamKind,
    request_id: CorrelationId,
    since: Instant,
    reason: StreamEnd,
}

/// How a stream's reader came to read no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// By itself: more might have come.
    Early,
    /// Somebody else reads in its place.
    Displaced,
    /// Nothing comes any more.
    AtTheEnd,
}

// === impl Standing ===

impl Standing {
    /// It opens now.
    pub(crate) fn open(
        gateway: &Arc<Gateway>,
        endpoint: &Endpoint,
        kind: StreamKind,
        request_id: &CorrelationId,
    ) -> Box<Self> {
        let endpoint = endpoint.lasting.clone();
        endpoint.stream_opens(kind);
        StreamOpened { kind, endpoint: &endpoint.path, request_id }.emit(&gateway.metrics);
        Box::new(Self {
            gateway: Arc::downgrade(gateway),
            endpoint,
            kind,
            request_id: request_id.clone(),
            since: Instant::now(),
            reason: StreamEnd::Client,
        })
    }

    /// It ends now.
    pub(crate) fn end(mut self, left: Left) {
        let stopped = || self.gateway.upgrade().is_none_or(|it| it.has_stopped_sessions());
        self.reason = match (left, self.kind) {
            (Left::Early, _) => StreamEnd::Client,
            (Left::Displaced, _) => StreamEnd::Displaced,
            (Left::AtTheEnd, _) if stopped() => StreamEnd::Stopped,
            // It ends before the daemon does only when what should be told finds no room.
            (Left::AtTheEnd, StreamKind::Listen) => StreamEnd::SlowClient,
            (Left::AtTheEnd, StreamKind::Get | StreamKind::Sse) => StreamEnd::Session,
        };
    }

    /// How the request ended whose answer the stream was. Those of sessions answer none.
    fn outcome(&self) -> Option<Outcome> {
        (self.kind == StreamKind::Listen).then_some(match self.reason {
            StreamEnd::Stopped => Outcome::Ok,
            StreamEnd::SlowClient => Outcome::Lost,
            StreamEnd::Client | StreamEnd::Displaced | StreamEnd::Session => Outcome::Cancelled,
        })
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        self.endpoint.stream_ends(self.kind);
        let Some(gateway) = self.gateway.upgrade() else { return };
        let after = self.since.elapsed();
        if let Some(outcome) = self.outcome() {
            gateway.metrics.gateway().finished(Method::Listen, outcome, after);
        }
        let (kind, reason, request_id) = (self.kind, self.reason, &self.request_id);
        let endpoint = &self.endpoint.path;
        StreamEnded { kind, endpoint, request_id, reason, after }.emit(&gateway.metrics);
    }
}

impl std::fmt::Debug for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Standing").field("kind", &self.kind).finish_non_exhaustive()
    }
}
