//! The counters of one server, made to be touched by every call.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::RwLock;

use super::histogram::Histogram;
use crate::labels::{Attempt, Dropped, ErrorCode, Method, Outcome, QuestionRefused};
use crate::throttle::Throttle;

/// Tools of one server with a series of their own: enough for any server people use, few enough
/// that a scrape stays small.
const TOOLS_MAX: usize = 200;
/// Longest tool name that becomes a label, in bytes: the protocol's own bound.
const TOOL_NAME_BYTES_MAX: usize = 128;
/// The name of all further tools.
pub(crate) const OTHER_TOOL: &str = "other";

/// The counters of one server. Resolve once with [`Metrics::server`](crate::Metrics::server) and
/// keep: counting a call is a few additions, without a lock or a look-up.
#[derive(Debug)]
pub struct ServerMetrics {
    label: Box<str>,
    methods: [MethodCell; Method::COUNT],
    errors: [AtomicU64; ErrorCode::COUNT],
    tools: RwLock<BTreeMap<Box<str>, Arc<Histogram>>>,
    attempts: [AtomicU64; Attempt::COUNT],
    starts: AtomicU64,
    stray_lines: AtomicU64,
    late_answers: AtomicU64,
    dropped: [AtomicU64; Dropped::COUNT],
    questions_refused: [AtomicU64; QuestionRefused::COUNT],
    pub(crate) stray_throttle: Throttle,
    pub(crate) dropped_throttle: Throttle,
    pub(crate) question_throttle: Throttle,
}

/// Requests of one method. A cache line pair of its own, so that threads that count different
/// methods don't slow one another down.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct MethodCell {
    outcomes: [AtomicU64; Outcome::COUNT],
    pub(crate) duration: Histogram,
}

// === impl ServerMetrics ===

impl ServerMetrics {
    pub(crate) fn new(label: &str) -> Self {
        Self {
            label: label.into(),
            methods: std::array::from_fn(|_| MethodCell::default()),
            errors: std::array::from_fn(|_| AtomicU64::new(0)),
            tools: RwLock::default(),
            attempts: std::array::from_fn(|_| AtomicU64::new(0)),
            starts: AtomicU64::new(0),
            stray_lines: AtomicU64::new(0),
            late_answers: AtomicU64::new(0),
            dropped: std::array::from_fn(|_| AtomicU64::new(0)),
            questions_refused: std::array::from_fn(|_| AtomicU64::new(0)),
            stray_throttle: Throttle::default(),
            dropped_throttle: Throttle::default(),
            question_throttle: Throttle::default(),
        }
    }

    /// The server's name, or `*` for the gateway itself.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// A request has been answered, or given up.
    pub fn finished(&self, method: Method, outcome: Outcome, took: Duration) {
        let cell = &self.methods[method.index()];
        cell.outcomes[outcome.index()].fetch_add(1, Relaxed);
        cell.duration.record(took);
    }

    /// Counts an error by the name of its code, as in `data.code` of a refusal. A name that is
    /// not in [`ErrorCode`] counts as `OTHER`.
    pub fn error(&self, code: &str) {
        self.failed(ErrorCode::of(code));
    }

    /// Counts an error.
    pub fn failed(&self, code: ErrorCode) {
        self.errors[code.index()].fetch_add(1, Relaxed);
    }

    /// Gives tools a series each, at zero, as far as there is room.
    pub fn know_tools<'a>(&self, names: impl IntoIterator<Item = &'a str>) {
        for name in names {
            self.tool_histogram(name);
        }
    }

    /// A call of a tool ended. Count only tools the server lists: a name is a label, and the
    /// first 200 keep theirs for the life of the daemon.
    pub fn tool(&self, tool: &str, took: Duration) {
        self.tool_histogram(tool).record(took);
    }

    /// An instance was started.
    pub fn started(&self) {
        self.starts.fetch_add(1, Relaxed);
    }

    /// A line on standard output was no message.
    pub fn stray_line(&self) {
        self.stray_lines.fetch_add(1, Relaxed);
    }

    /// An answer came that nobody waits for.
    pub fn late_answer(&self) {
        self.late_answers.fetch_add(1, Relaxed);
    }

    /// An attempt to get an answer from the server has ended.
    pub fn attempted(&self, attempt: Attempt) {
        self.attempts[attempt.index()].fetch_add(1, Relaxed);
    }

    pub(crate) fn attempts(&self, attempt: Attempt) -> u64 {
        self.attempts[attempt.index()].load(Relaxed)
    }

    /// A notification reached no client.
    pub fn dropped(&self, reason: Dropped) {
        self.dropped[reason.index()].fetch_add(1, Relaxed);
    }

    /// A client was not asked what the server wanted to ask it.
    pub fn question_refused(&self, reason: QuestionRefused) {
        self.questions_refused[reason.index()].fetch_add(1, Relaxed);
    }

    fn tool_histogram(&self, tool: &str) -> Arc<Histogram> {
        let tool = if tool.len() > TOOL_NAME_BYTES_MAX { OTHER_TOOL } else { tool };
        if let Some(known) = self.tools.read().get(tool) {
            return Arc::clone(known);
        }
        let mut tools = self.tools.write();
        let room = tools.len() < TOOLS_MAX || tools.contains_key(tool);
        let tool = if room { tool } else { OTHER_TOOL };
        Arc::clone(tools.entry(tool.into()).or_default())
    }
}

// What the scrape reads.
impl ServerMetrics {
    pub(crate) fn requests(&self, method: Method, outcome: Outcome) -> u64 {
        self.methods[method.index()].outcomes[outcome.index()].load(Relaxed)
    }

    pub(crate) fn duration(&self, method: Method) -> &Histogram {
        &self.methods[method.index()].duration
    }

    pub(crate) fn errors(&self, code: ErrorCode) -> u64 {
        self.errors[code.index()].load(Relaxed)
    }

    pub(crate) fn tools(&self) -> Vec<(Box<str>, Arc<Histogram>)> {
        self.tools.read().iter().map(|(name, tool)| (name.clone(), Arc::clone(tool))).collect()
    }

    pub(crate) fn starts(&self) -> u64 {
        self.starts.load(Relaxed)
    }

    pub(crate) fn stray_lines(&self) -> u64 {
        self.stray_lines.load(Relaxed)
    }

    pub(crate) fn late_answers(&self) -> u64 {
        self.late_answers.load(Relaxed)
    }

    pub(crate) fn questions_refused_count(&self, reason: QuestionRefused) -> u64 {
        self.questions_refused[reason.index()].load(Relaxed)
    }

    pub(crate) fn dropped_count(&self, reason: Dropped) -> u64 {
        self.dropped[reason.index()].load(Relaxed)
    }
}
