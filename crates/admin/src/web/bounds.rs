//! How many requests are answered at once and for how long, and what becomes of a panic.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures_util::FutureExt;
use http::Extensions;
use mainstay_telemetry::events::InternalFault;
use mainstay_telemetry::{CorrelationId, Metrics};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::timeout;

use crate::access::{Peer, Visitor};
use crate::api::problem::Rejection;

/// Bounds of a group of routes. Requests over the command socket have as many places of their own: whoever
/// may use the socket is let in whatever others do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Requests that are being answered; whoever comes later is refused.
    pub(crate) at_once: usize,
    /// The time for an answer, its body included.
    pub(crate) deadline: Duration,
}

/// Keeps a group of routes within its bounds.
#[derive(Debug, Clone)]
pub(crate) struct Limiter {
    places: Arc<Semaphore>,
    socket_places: Arc<Semaphore>,
    deadline: Duration,
}

/// A panic, for the log.
#[derive(Debug, thiserror::Error)]
#[error("a handler of the admin API panicked: {0}")]
struct Panicked(String);

// === impl Limiter ===

impl Limiter {
    pub(crate) fn new(bounds: Bounds) -> Self {
        let places = || Arc::new(Semaphore::new(bounds.at_once));
        Self { places: places(), socket_places: places(), deadline: bounds.deadline }
    }

    /// Takes a place for a request until the answer drops it.
    pub(super) fn place(&self, extensions: &Extensions) -> Result<SemaphorePermit<'_>, Rejection> {
        let peer = extensions.get::<Visitor>().map(|visitor| visitor.peer);
        let places = match peer {
            Some(Peer::Socket(_)) => &self.socket_places,
            Some(Peer::Address(_)) | None => &self.places,
        };
        places.try_acquire().map_err(|_| Rejection::busy())
    }
}

/// Answers within the bounds, or says which of them was reached.
pub(crate) async fn keep(State(limiter): State<Limiter>, request: Request, next: Next) -> Response {
    let _place = match limiter.place(request.extensions()) {
        Ok(place) => place,
        Err(busy) => return busy.into_response(),
    };
    match timeout(limiter.deadline, next.run(request)).await {
        Ok(answer) => answer,
        Err(_) => Rejection::deadline(limiter.deadline.as_secs()).into_response(),
    }
}

/// Waits for an answer. A panic becomes an answer, too, with an id that finds it in the log.
pub(crate) async fn caught<T>(
    answering: impl Future<Output = T>,
    metrics: &Metrics,
    request_id: &CorrelationId,
) -> Result<T, Rejection> {
    // What panicked is not polled again, and handlers share nothing but what locks protect.
    AssertUnwindSafe(answering).catch_unwind().await.map_err(|panic| {
        let (error, error_id) = (Panicked(text(&*panic)), CorrelationId::next().to_string());
        let request_id = Some(request_id);
        InternalFault { error_id: &error_id, request_id, error: &error }.emit(metrics);
        Rejection::internal(error_id)
    })
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "without a message".to_owned())
}
