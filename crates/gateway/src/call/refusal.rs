//! Why a call has no answer of its server, in words.

use std::time::Duration;

use mainstay_model::settings::Limits;
use mainstay_model::{Name, Refusal, RefusalCode};
use mainstay_upstream::{Fate, Lost};

/// Its answer will never come.
pub(super) fn lost_call(lost: &Lost, server: &Name, limits: &Limits) -> Refusal {
    let refusal = match lost.fate {
        Fate::Unknown => Refusal::new(
            RefusalCode::OutcomeUnknown,
            format!("the call was sent to {server}, but its answer is lost: {}", lost.reason),
        )
        .hint("it may have been carried out; look before you call again"),
        Fate::Unsent | Fate::Refused => Refusal::new(
            RefusalCode::ServerUnavailable,
            format!("server {server} did not take the call: {}", lost.reason),
        )
        .retry_after(Duration::from_secs(1)),
        Fate::Oversized => Refusal::new(
            RefusalCode::LimitExceeded,
            format!("server {server} answered with more than is allowed"),
        )
        .limit(format!("max_message: {} bytes", limits.message_bytes_max))
        .hint("ask for less at once, or raise gateway.max_message"),
    };
    refusal.server(server)
}

/// It has not come by the deadline.
pub(super) fn deadline_exceeded(took: Duration, server: &Name, limits: &Limits) -> Refusal {
    Refusal::new(
        RefusalCode::DeadlineExceeded,
        format!("no answer from {server} within {took:.0?}; the call was cancelled"),
    )
    .server(server)
    .limit(format!("call_timeout: {:?}", limits.call))
    .hint("a tool that reports progress gets more time, up to call_timeout_max")
}
