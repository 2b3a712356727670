//! Events for operators. An event writes its log line and updates its metric, so that the two agree.
//!
//! The level says who must act: on `error` somebody must act, on `warn` somebody should look, `info` shows
//! the operation of the daemon, and `debug` helps to follow a single request or instance. Events that
//! clients or servers can cause at will are throttled. No event contains a session id, an argument, a
//! result or a secret.

mod breaker;
mod change;
mod instance;
mod notify;
mod service;
mod stack;
mod storage;
mod streams;
#[cfg(test)]
mod tests;

pub use breaker::BreakerChanged;
pub use change::{ConfigurationReloaded, DaemonChanged, ServerChanged};
pub use instance::{
    AnswerUnusable, CrashLoop, InstanceFailed, InstanceFinished, InstanceLost, InstanceReady,
    InstanceStarted, InstanceStopped, InstanceUnhealthy, LateAnswer, ListIncomplete, NotSpoken,
    NotificationDropped, QuestionNotAsked, StrayLine, ToolLeftOut, TurnGivenOn,
};
pub use notify::{NotificationLost, NotificationSent};
pub use service::{
    AdminUsed, DrainFinished, DrainStarted, InternalFault, NotAccepted, RefusedRequest, Serving,
    SessionExpired, Stopped, Swept,
};
pub use stack::{ExternalSeen, NodeChanged, ServiceEnded, ServiceReady, ServiceStarted, rounded};
pub use storage::{EndUnwritten, SessionRestored, StoreDamaged, StoreFailing, StoreRecovered};
pub use streams::{StreamEnded, StreamOpened, StreamRefused};

/// The maximum length of text from a client or server in a log line, in characters.
const EXCERPT_CHARS_MAX: usize = 200;

/// Text from a client or server for a log line or a reason. It is cut, and control characters are escaped,
/// so that it can neither forge lines nor control a terminal.
pub fn excerpt(bytes: &[u8]) -> String {
    let mut out = String::new();
    for c in cut(bytes).chars() {
        if c.is_control() { out.extend(c.escape_default()) } else { out.push(c) }
    }
    out
}

/// The same with its control characters, for values that a formatter of the log escapes: once is enough.
fn cut(bytes: &[u8]) -> String {
    // A character has at most four bytes, so the cut text is within this many bytes.
    let head = &bytes[..bytes.len().min(4 * EXCERPT_CHARS_MAX)];
    let text = String::from_utf8_lossy(head);
    let mut out: String = text.trim_end().chars().take(EXCERPT_CHARS_MAX).collect();
    if text.trim_end().chars().count() > EXCERPT_CHARS_MAX || head.len() < bytes.len() {
        out.push('…');
    }
    out
}
