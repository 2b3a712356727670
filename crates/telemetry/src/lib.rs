//! Typed events, the catalogue of metric names, logs and correlation ids.
//!
//! The only crate that holds a metric's name. It knows nothing of sockets, sessions or processes:
//! others tell it what happened, or hand it a callback that says what is so now.

pub mod catalogue;
pub mod correlation;
pub mod events;
pub mod labels;
pub mod logs;
pub mod metrics;

mod recurrence;
mod throttle;

pub use correlation::CorrelationId;
pub use labels::{
    Attempt, Breaker, Dropped, ErrorCode, Method, Outcome, QuestionRefused, Refused, Resumption,
    StreamEnd, StreamKind,
};
pub use logs::{LogError, LogGuard, LogOptions};
pub use metrics::{Metrics, Sample, ServerMetrics};
pub use recurrence::Recurrence;
