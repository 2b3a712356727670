//! Containment of panics: a panic ends only the run or driver that it occurred in.

use std::any::Any;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;

use mainstay_model::Name;
use mainstay_telemetry::CorrelationId;
use mainstay_telemetry::events::InternalFault;

use crate::pool::Pool;

/// The error that logs a panic.
#[derive(Debug, thiserror::Error)]
#[error("{what} of server {server} panicked: {text}")]
struct Panicked {
    what: &'static str,
    server: Name,
    text: String,
}

/// The payload of a panic.
pub(crate) type Panic = Box<dyn Any + Send>;

/// Runs a future and catches a panic. The future is dropped before this returns.
pub(crate) async fn catch_panic<T>(future: impl Future<Output = T>) -> Result<T, Panic> {
    let mut future = Box::pin(future);
    poll_fn(|cx| {
        // A future that panicked is not polled again, so its broken state is visible only through locks,
        // which unwinding releases.
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(poll) => poll.map(Ok),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    })
    .await
}

/// Logs a panic under a new error id. Returns a reason for people that contains the id.
pub(crate) fn log_panic(pool: &Arc<Pool>, what: &'static str, panic: &Panic) -> String {
    let text = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned());
    let error = Panicked { what, server: pool.name.clone(), text };
    let error_id = CorrelationId::next().to_string();
    InternalFault { error_id: &error_id, request_id: None, error: &error }.emit(&pool.metrics);
    format!("internal error in Mainstay: see error_id {error_id} in its log")
}
