//! What happens in a daemon that an operator should know: a log line and its metric are one
//! event, so that neither is forgotten.
//!
//! Levels go by who must act: `error` somebody must, `warn` somebody should look, `info` the life
//! of the daemon, `debug` for whoever follows one thing. What a stranger can cause as often as
//! they like is throttled. No event carries a session id, an argument, a result or a secret.

mod instance;
mod service;
mod storage;
mod streams;
#[cfg(test)]
mod tests;

pub use instance::{
    CrashLoop, InstanceFailed, InstanceLost, InstanceReady, InstanceStarted, InstanceStopped,
    LateAnswer, ListIncomplete, NotSpoken, NotificationDropped, QuestionNotAsked, StrayLine,
    ToolLeftOut,
};
pub use service::{
    DrainFinished, DrainStarted, InternalFault, RefusedRequest, Serving, SessionExpired, Stopped,
    Swept,
};
pub use storage::{EndUnwritten, SessionRestored, StoreDamaged, StoreFailing, StoreRecovered};
pub use streams::{StreamEnded, StreamOpened, StreamRefused};

/// Longest piece of foreign text in a line, in characters.
const EXCERPT_CHARS_MAX: usize = 200;

/// Text a stranger wrote, fit for one line of a log: cut, and without control characters that
/// could forge lines or drive a terminal.
fn excerpt(bytes: &[u8]) -> String {
    // A character has at most four bytes: what lies behind that many is cut anyway.
    let head = &bytes[..bytes.len().min(4 * EXCERPT_CHARS_MAX)];
    let text = String::from_utf8_lossy(head);
    let mut out = String::new();
    for c in text.trim_end().chars().take(EXCERPT_CHARS_MAX) {
        if c.is_control() { out.extend(c.escape_default()) } else { out.push(c) }
    }
    if text.trim_end().chars().count() > EXCERPT_CHARS_MAX || head.len() < bytes.len() {
        out.push('…');
    }
    out
}
