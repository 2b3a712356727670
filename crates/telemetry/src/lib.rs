//! Metrics, typed events, logs and correlation ids.
//!
//! This is the only crate that knows the names of metrics. It knows nothing about sockets, sessions or
//! processes: other crates emit events, and register callbacks that supply gauges.

pub mod catalogue;
pub mod changes;
pub mod correlation;
pub mod events;
pub mod labels;
pub mod logs;
pub mod metrics;
pub mod output;

mod recurrence;
mod throttle;

pub use changes::{Change, ChangeFollower, Changes};
pub use correlation::CorrelationId;
pub use labels::{
    Attempt, Breaker, Dropped, ErrorCode, Method, Notified, Outcome, QuestionRefused, Refused,
    Resumption, Retry, StreamEnd, StreamKind,
};
pub use logs::{LogControl, LogError, LogGuard, LogOptions};
pub use metrics::{Metrics, Sample, ServerMetrics};
pub use output::{ServerOutput, Sighting};
pub use recurrence::Recurrence;
