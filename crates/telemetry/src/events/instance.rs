//! Events of instances and their links.

use std::time::{Duration, Instant};

use mainstay_model::{InstanceId, Name};
use tracing::{debug, error, info, warn};

use super::cut;
use crate::labels::{Dropped, QuestionRefused};
use crate::metrics::{Metrics, ServerMetrics};

/// A process was started, or a connection to a remote server is being opened.
#[derive(Debug)]
pub struct InstanceStarted<'a> {
    pub server: &'a Name,
    pub instance: InstanceId,
    /// None for a remote server.
    pub pid: Option<u32>,
    /// Whether this is a restart after a loss.
    pub again: bool,
}

/// An instance is ready: its handshake is complete and its lists are fetched.
#[derive(Debug)]
pub struct InstanceReady<'a> {
    pub server: &'a Name,
    pub instance: InstanceId,
    pub revision: &'a str,
    pub tools: usize,
    /// The time since the start.
    pub took: Duration,
}

/// An instance was lost and will be restarted.
#[derive(Debug)]
pub struct InstanceLost<'a> {
    pub server: &'a Name,
    pub instance: InstanceId,
    /// The reason for people, without secrets.
    pub reason: &'a str,
    /// The last lines that the instance wrote to standard error.
    pub last_output: Option<&'a str>,
    /// The time until the restart. `None`: immediately.
    pub retry_in: Option<Duration>,
    /// The number of losses since the last log line.
    pub held_back: u64,
}

/// An instance is in a crash loop and is restarted at long intervals.
#[derive(Debug)]
pub struct CrashLoop<'a> {
    pub server: &'a Name,
    pub instance: InstanceId,
    pub reason: &'a str,
    pub last_output: Option<&'a str>,
    /// The number of restarts so far.
    pub starts: u32,
    pub retry_in: Duration,
}

/// An instance failed. It is tried again rarely.
#[derive(Debug)]
pub struct InstanceFailed<'a> {
    pub server: &'a Name,
    pub instance: InstanceId,
    pub reason: &'a str,
    pub last_output: Option<&'a str>,
}

/// The probe of a ready instance failed too often in a row.
#[derive(Debug)]
pub struct InstanceUnhealthy<'a> {
    pub server: &'a Name,
    pub instance: InstanceId,
    pub reason: &'a str,
}

/// Detection found that the server does not support the other era.
#[derive(Debug)]
pub struct NotSpoken<'a> {
    pub server: &'a Name,
    pub instance: InstanceId,
    pub revision: &'a str,
    pub reason: &'a str,
}

/// A tool is omitted from the server's list because its definition is invalid.
#[derive(Debug)]
pub struct ToolLeftOut<'a> {
    pub server: &'a Name,
    pub tool: &'a str,
    pub reason: &'a dyn std::error::Error,
}

/// A list of the server is incomplete: it was cut, or has invalid entries.
#[derive(Debug)]
pub struct ListIncomplete<'a> {
    pub server: &'a Name,
    /// The method that requests the list.
    pub list: &'a str,
    pub gaps: &'a str,
}

/// An instance was stopped because it is no longer needed.
#[derive(Debug)]
pub struct InstanceStopped<'a> {
    pub server: &'a Name,
    pub instance: InstanceId,
    pub reason: &'a str,
}

/// A call was given up long ago, its server has not answered it, and its turn is given on: two calls may be
/// carried out at the same time.
#[derive(Debug)]
pub struct TurnGivenOn<'a> {
    pub server: &'a Name,
    pub instance: InstanceId,
    /// The time since the call was given up.
    pub after: Duration,
}

/// An instance ended itself without an error while nobody used it.
#[derive(Debug)]
pub struct InstanceFinished<'a> {
    pub server: &'a Name,
    pub instance: InstanceId,
    pub reason: &'a str,
    /// Whether it starts when it is wanted. Otherwise it is restarted at once.
    pub rests: bool,
}

/// A server wrote a line to standard output that is not a message. Throttled per server.
#[derive(Debug)]
pub struct StrayLine<'a> {
    pub instance: InstanceId,
    pub line: &'a [u8],
    /// What is wrong with the line.
    pub why: &'a str,
}

/// A server answered a call with something that can't be used. Throttled per server.
#[derive(Debug)]
pub struct AnswerUnusable<'a> {
    pub instance: InstanceId,
    /// What is wrong with the answer.
    pub why: &'a str,
}

/// A server sent a response that no call waits for.
#[derive(Debug)]
pub struct LateAnswer {
    pub instance: InstanceId,
}

/// A notification was dropped. Throttled per server.
#[derive(Debug)]
pub struct NotificationDropped<'a> {
    pub method: &'a str,
    pub reason: Dropped,
}

/// A question of a server was refused. Throttled per server.
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
        // An unavailable remote server is tried every two seconds, which starts no process.
        if again && pid.is_none() {
            debug!(target: "mainstay", %server, %instance, "instance restarted");
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
        let last_output = last_output.map(lines);
        warn!(
            target: "mainstay",
            %server, %instance, reason, last_output, retry_in_ms, held_back, "instance lost"
        );
    }
}

impl InstanceUnhealthy<'_> {
    pub fn emit(self, _: &Metrics) {
        let Self { server, instance, reason } = self;
        warn!(target: "mainstay", %server, %instance, reason, "instance unhealthy");
    }
}

impl CrashLoop<'_> {
    pub fn emit(self, _: &Metrics) {
        let Self { server, instance, reason, last_output, starts, retry_in } = self;
        let retry_in_ms = millis(retry_in);
        let last_output = last_output.map(lines);
        error!(
            target: "mainstay",
            %server, %instance, reason, last_output, starts, retry_in_ms, "instance is crash-looping"
        );
    }
}

impl InstanceFailed<'_> {
    pub fn emit(self, _: &Metrics) {
        let Self { server, instance, reason, last_output } = self;
        let last_output = last_output.map(lines);
        error!(target: "mainstay", %server, %instance, reason, last_output, "instance failed");
    }
}

impl NotSpoken<'_> {
    pub fn emit(self, _: &Metrics) {
        let Self { server, instance, revision, reason } = self;
        info!(target: "mainstay", %server, %instance, revision, reason, "revision is not supported");
    }
}

impl ToolLeftOut<'_> {
    pub fn emit(self, _: &Metrics) {
        let Self { server, tool, reason } = self;
        let (tool, reason) = (cut(tool.as_bytes()), cut(reason.to_string().as_bytes()));
        warn!(target: "mainstay", %server, tool, reason, "tool is omitted");
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

impl TurnGivenOn<'_> {
    pub fn emit(self) {
        let Self { server, instance, after } = self;
        warn!(
            target: "mainstay", %server, %instance, ?after,
            "no answer to a call that was given up: the next call begins, although the server may still work on it"
        );
    }
}

impl InstanceFinished<'_> {
    pub fn emit(self, _: &Metrics) {
        let Self { server, instance, reason, rests } = self;
        info!(target: "mainstay", %server, %instance, reason, rests, "instance ended itself while idle");
    }
}

impl StrayLine<'_> {
    /// Takes the server's own counters, because a server can print millions of such lines.
    pub fn emit(self, server: &ServerMetrics) {
        server.stray_line();
        let Some(held_back) = server.stray_throttle.admit(Instant::now()) else { return };
        let (line, why) = (cut(self.line), cut(self.why.as_bytes()));
        warn!(
            target: "mainstay",
            server = server.label(), instance = %self.instance, line, why, held_back,
            "ignored output that is not JSON-RPC"
        );
    }
}

impl AnswerUnusable<'_> {
    pub fn emit(self, server: &ServerMetrics) {
        let Some(held_back) = server.unusable_throttle.admit(Instant::now()) else { return };
        let why = cut(self.why.as_bytes());
        warn!(
            target: "mainstay",
            server = server.label(), instance = %self.instance, why, held_back,
            "an answer can't be used, so its call ends"
        );
    }
}

impl LateAnswer {
    pub fn emit(self, server: &ServerMetrics) {
        server.late_answer();
        debug!(
            target: "mainstay",
            server = server.label(), instance = %self.instance, "response without a waiting call"
        );
    }
}

impl NotificationDropped<'_> {
    pub fn emit(self, server: &ServerMetrics) {
        server.dropped(self.reason);
        let Some(held_back) = server.dropped_throttle.admit(Instant::now()) else { return };
        let method = cut(self.method.as_bytes());
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
        let method = cut(self.method.as_bytes());
        warn!(
            target: "mainstay",
            server = server.label(), method, reason = self.reason.as_str(), held_back,
            "question refused: the server asks more than its client answers"
        );
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The lines of some output, each cut: programs report at its beginning or at its end why they exit. Both
/// formatters of the log escape it.
pub(super) fn lines(output: &str) -> String {
    output.lines().map(|line| cut(line.as_bytes())).collect::<Vec<_>>().join("\n")
}
