//! Streams that clients keep open: counted at their endpoint, and logged when they open and end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use mainstay_telemetry::events::{StreamEnded, StreamOpened};
use mainstay_telemetry::{CorrelationId, Method, Outcome, StreamEnd, StreamKind};

use crate::serving::Serving;

/// The open streams of an endpoint, counted by kind.
#[derive(Debug)]
pub(crate) struct OpenStreams {
    path: String,
    by_kind: [AtomicUsize; StreamKind::COUNT],
}

/// Counts a stream that a client keeps open, until it is dropped.
pub(crate) struct OpenStreamGuard {
    serving: Arc<Serving>,
    at: Arc<OpenStreams>,
    kind: StreamKind,
    request_id: CorrelationId,
    since: Instant,
    reason: StreamEnd,
}

/// Why a reader stopped reading a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReaderEnd {
    /// The client went away.
    ClientGone,
    /// Another reader took the stream over.
    Displaced,
    /// The stream has ended.
    StreamEnded,
}

// === impl OpenStreams ===

impl OpenStreams {
    pub(crate) fn new(path: String) -> Arc<Self> {
        Arc::new(Self { path, by_kind: Default::default() })
    }

    /// The path of the endpoint.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn count(&self, kind: StreamKind) -> usize {
        self.by_kind[kind as usize].load(Ordering::Relaxed)
    }
}

// === impl OpenStreamGuard ===

impl OpenStreamGuard {
    /// Counts and logs a stream that opens now.
    pub(crate) fn open(
        serving: &Arc<Serving>,
        at: &Arc<OpenStreams>,
        kind: StreamKind,
        request_id: &CorrelationId,
    ) -> Box<Self> {
        at.by_kind[kind as usize].fetch_add(1, Ordering::Relaxed);
        StreamOpened { kind, endpoint: at.path(), request_id }.emit(&serving.metrics);
        Box::new(Self {
            serving: serving.clone(),
            at: at.clone(),
            kind,
            request_id: request_id.clone(),
            since: Instant::now(),
            reason: StreamEnd::Client,
        })
    }

    /// Notes why the stream ends, and drops the guard.
    pub(crate) fn end(mut self, reader_end: ReaderEnd) {
        self.reason = match (reader_end, self.kind) {
            (ReaderEnd::ClientGone, _) => StreamEnd::Client,
            (ReaderEnd::Displaced, _) => StreamEnd::Displaced,
            (ReaderEnd::StreamEnded, _) if self.serving.is_cutting_off() => StreamEnd::Stopped,
            // A listen ends before the daemon only if its client reads too slowly.
            (ReaderEnd::StreamEnded, StreamKind::Listen) => StreamEnd::SlowClient,
            (ReaderEnd::StreamEnded, StreamKind::Get | StreamKind::Sse) => StreamEnd::Session,
        };
    }

    /// Returns the outcome of the request that the stream answers. None: streams of sessions answer
    /// no request.
    fn outcome(&self) -> Option<Outcome> {
        (self.kind == StreamKind::Listen).then_some(match self.reason {
            StreamEnd::Stopped => Outcome::Ok,
            StreamEnd::SlowClient => Outcome::Lost,
            StreamEnd::Client | StreamEnd::Displaced | StreamEnd::Session => Outcome::Cancelled,
        })
    }
}

impl Drop for OpenStreamGuard {
    fn drop(&mut self) {
        self.at.by_kind[self.kind as usize].fetch_sub(1, Ordering::Relaxed);
        let after = self.since.elapsed();
        let metrics = &self.serving.metrics;
        if let Some(outcome) = self.outcome() {
            metrics.gateway().finished(Method::Listen, outcome, after);
        }
        let (kind, reason, request_id) = (self.kind, self.reason, &self.request_id);
        StreamEnded { kind, endpoint: self.at.path(), request_id, reason, after }.emit(metrics);
    }
}

impl std::fmt::Debug for OpenStreamGuard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenStreamGuard").field("kind", &self.kind).finish_non_exhaustive()
    }
}
