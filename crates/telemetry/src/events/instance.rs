//! Events in the life of an instance and on its link.

use std::time::{Duration, Instant};

use mainstay_model::{InstanceId, Name};
use tracing::{debug, error, info, warn};

use super::excerpt;
use crate::labels::{Dropped, QuestionRefused};
use crate::metrics::{Metrics, ServerMetrics};

/// A process was started, or a connection is being opened.
#[derive(Debug)]
pub struct InstanceStarted<'a> {
    pub server: &'a Name,
    pub instance: InstanceId,
    /// None for a remote server.
    pub pid: Option<u32>,
    /// It is tried again because it was lost, or could not be reached.
    pub again: bool,
}

/// Handshake and first lists are done.
#[derive(Debug)]
pub struct InstanceReady<'a> {
    pub server: &'a Name,
    pub instance: InstanceId,
    pub revision: &'a str,
    pub tools: usize,
    /// From the start to now.
    pub took: Duration,
}

/// It ended, hung or failed its handshake; it is tried again.
#[derive(Debug)]
pub struct InstanceLost<'a> {
    pub server: &'a Name,
    pub instance: InstanceId,
    /// In plain words, without secrets.
    pub reason: &'a str,
    /// The end of what it wrote to standard error.
    pub last_output: Option<&'a str>,
    /// When it is started again; none: at once.
    pub retry_in: Option<Duration>,
    /// How often this has happened since it was last said.
    pub held_back: u64,
}

/// It failed too often and is now tried rarely.
#[derive(Debug)]
pub struct CrashLoop<'a> {
    pub server: &'a Name,
    pub instance: InstanceId,
    pub reason: &'a str,
    pub last_output: Option<&'a str>,
    /// Starts within the window that made it a crash loop.
    pub starts: u32,
    pub retry_in: Duration,
}

/// It can't be served and is not tried again until the configuration changes.
#[derive(Debug)]
pub struct InstanceFailed<'a> {
    pub server: &'a Name,
    pub instance: InstanceId,
    pub reason: &'a str,
    pub last_output: Option<&'a str>,
}

/// It was made to find out whether the server speaks another revision, too, and it does not.
#[derive(Debug)]
pub struct NotSpoken<'a> {
    pub server: &'a Name,
    pub instance: InstanceId,
    pub revision: &'a str,
    pub reason: &'a str,
}

/// A tool of the server is not offered to anybody, because its definition forbids that.
#[derive(Debug)]
pub struct ToolLeftOut<'a> {
    pub server: &'a Name,
    pub tool: &'a str,
    pub reason: &'a dyn std::error::Error,
}

/// A list of the server is offered with gaps: it was cut, or has entries that nobody could call.
#[derive(Debug)]
pub struct ListIncomplete<'a> {
    pub server: &'a Name,
    /// The method that asks for the list.
    pub list: &'a str,
    pub gaps: &'a str,
}

/// It was stopped because it is no longer needed.
#[derive(Debug)]
pub struct InstanceStopped<'a> {
    pub server: &'a Name,
    pub instance: InstanceId,
    pub reason: &'a str,
}

/// A line on standard output was no message. Throttled by server.
#[derive(Debug)]
pub struct StrayLine<'a> {
    pub instance: InstanceId,
    pub line: &'a [u8],
}

/// An answer came that nobody waits for.
#[derive(Debug)]
pub struct LateAnswer {
    pub instance: InstanceId,
}

/// A notification reached no client. Throttled by server.
#[derive(Debug)]
pub struct NotificationDropped<'a> {
    pub method: &'a str,
    pub reason: Dropped,
}

/// A client was not asked what a server wanted to ask it. Throttled by server.
#[derive(Debug)]
pub struct QuestionNotAsked<'a> {
    pub method: &'a str,
    pub reason: QuestionRefused,
}

// === emit ===

impl InstanceStarted<'_> {
    pub fn emit(self, metrics: &Metrics) {
        metrics.server(self.server).started();
        let Self { server, instance, pid, again } = self;
        // A remote server that is away is tried every two seconds, and nothing is started by it.
        if again && pid.is_none() {
            debug!(target: "mainstay", %server, %instance, "instance started again");
        } else {
            info!(target: "mainstay", %server, %instance, pid, "instance started");
        }
    }
}

impl InstanceReady<'_> {
    pub fn emit(self, _: &Metrics) {
        let Self { server, instance, revision, tools, took } = self;
        let took_ms = millis(took);
        info!(target: "mainstay", %server, %instance, revision, tools, took_ms, "instance ready");
    }
}

impl InstanceLost<'_> {
    pub fn emit(self, _: &Metrics) {
        let Self { server, instance, reason, last_output, retry_in, held_back } = self;
        let retry_in_ms = millis(retry_in.unwrap_or_default());
        let last_output = last_output.map(tail);
        warn!(
            target: "mainstay",
            %server, %instance, reason, last_output, retry_in_ms, held_back, "instance lost"
        );
    }
}

impl CrashLoop<'_> {
    pub fn emit(self, _: &Metrics) {
        let Self { server, instance, reason, last_output, starts, retry_in } = self;
        let retry_in_ms = millis(retry_in);
        let last_output = last_output.map(tail);
        error!(
            target: "mainstay",
            %server, %instance, reason, last_output, starts, retry_in_ms, "instance is crash-looping"
        );
    }
}

impl InstanceFailed<'_> {
    pub fn emit(self, _: &Metrics) {
        let Self { server, instance, reason, last_output } = self;
        let last_output = last_output.map(tail);
        error!(target: "mainstay", %server, %instance, reason, last_output, "instance failed for good");
    }
}

impl NotSpoken<'_> {
    pub fn emit(self, _: &Metrics) {
        let Self { server, instance, revision, reason } = self;
        info!(target: "mainstay", %server, %instance, revision, reason, "revision is not spoken");
    }
}

impl ToolLeftOut<'_> {
    pub fn emit(self, _: &Metrics) {
        let Self { server, tool, reason } = self;
        let (tool, reason) = (excerpt(tool.as_bytes()), excerpt(reason.to_string().as_bytes()));
        warn!(target: "mainstay", %server, tool, reason, "tool is left out");
    }
}

impl ListIncomplete<'_> {
    pub fn emit(self, _: &Metrics) {
        let Self { server, list, gaps } = self;
        warn!(target: "mainstay", %server, list, gaps, "list is incomplete");
    }
}

impl InstanceStopped<'_> {
    pub fn emit(self, _: &Metrics) {
        let Self { server, instance, reason } = self;
        info!(target: "mainstay", %server, %instance, reason, "instance stopped");
    }
}

impl StrayLine<'_> {
    /// Takes the server's own counters: a server that prints banners may print millions.
    pub fn emit(self, server: &ServerMetrics) {
        server.stray_line();
        let Some(held_back) = server.stray_throttle.admit(Instant::now()) else { return };
        let line = excerpt(self.line);
        warn!(
            target: "mainstay",
            server = server.label(), instance = %self.instance, line, held_back,
            "line on standard output is no message"
        );
    }
}

impl LateAnswer {
    pub fn emit(self, server: &ServerMetrics) {
        server.late_answer();
        debug!(
            target: "mainstay",
            server = server.label(), instance = %self.instance, "answer nobody waits for"
        );
    }
}

impl NotificationDropped<'_> {
    pub fn emit(self, server: &ServerMetrics) {
        server.dropped(self.reason);
        let Some(held_back) = server.dropped_throttle.admit(Instant::now()) else { return };
        let method = excerpt(self.method.as_bytes());
        debug!(
            target: "mainstay",
            server = server.label(), method, reason = self.reason.as_str(), held_back,
            "notification dropped"
        );
    }
}

impl QuestionNotAsked<'_> {
    pub fn emit(self, server: &ServerMetrics) {
        server.question_refused(self.reason);
        let Some(held_back) = server.question_throttle.admit(Instant::now()) else { return };
        let method = excerpt(self.method.as_bytes());
        warn!(
            target: "mainstay",
            server = server.label(), method, reason = self.reason.as_str(), held_back,
            "a server asks more than its client answers; question refused"
        );
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The last of some output: where a program says why it dies.
fn tail(output: &str) -> String {
    let start = output.len().saturating_sub(super::EXCERPT_CHARS_MAX);
    let start = (start..=output.len()).find(|at| output.is_char_boundary(*at));
    excerpt(&output.as_bytes()[start.unwrap_or(0)..])
}
