//! The counters of a server, which every call updates.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::RwLock;

use super::histogram::{Histogram, Reading};
use crate::labels::{Attempt, Dropped, ErrorCode, Method, Outcome, QuestionRefused, Retry};
use crate::throttle::Throttle;

/// The maximum number of tools of a server with their own series. It covers all real servers and keeps the
/// scrape small.
const TOOLS_MAX: usize = 200;
/// The maximum length of a tool name as a label, in bytes. This is the protocol's limit.
const TOOL_NAME_BYTES_MAX: usize = 128;
/// The label of all other tools.
pub(crate) const OTHER_TOOL: &str = "other";

/// The counters of a server. Look them up once with [`Metrics::server`](crate::Metrics::server) and keep
/// them: counting a call then takes a few additions, without a lock or a look-up.
#[derive(Debug)]
pub struct ServerMetrics {
    label: Box<str>,
    methods: [MethodCell; Method::COUNT],
    errors: [AtomicU64; ErrorCode::COUNT],
    tools: RwLock<BTreeMap<Box<str>, Arc<ToolHistogram>>>,
    attempts: [AtomicU64; Attempt::COUNT],
    retries: [AtomicU64; Retry::COUNT],
    starts: AtomicU64,
    stray_lines: AtomicU64,
    late_answers: AtomicU64,
    dropped: [AtomicU64; Dropped::COUNT],
    questions_refused: [AtomicU64; QuestionRefused::COUNT],
    pub(crate) stray_throttle: Throttle,
    pub(crate) unusable_throttle: Throttle,
    pub(crate) dropped_throttle: Throttle,
    pub(crate) question_throttle: Throttle,
}

/// The requests of one method, aligned to a pair of cache lines, so that threads that count different
/// methods don't slow each other down.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct MethodCell {
    outcomes: [AtomicU64; Outcome::COUNT],
    pub(crate) duration: Histogram,
}

/// The histogram of a tool. It takes memory from the first call on: most tools are never called.
#[derive(Debug, Default)]
struct ToolHistogram(OnceLock<Box<Histogram>>);

// === impl ServerMetrics ===

impl ServerMetrics {
    pub(crate) fn new(label: &str) -> Self {
        Self {
            label: label.into(),
            methods: std::array::from_fn(|_| MethodCell::default()),
            errors: std::array::from_fn(|_| AtomicU64::new(0)),
            tools: RwLock::default(),
            attempts: std::array::from_fn(|_| AtomicU64::new(0)),
            retries: std::array::from_fn(|_| AtomicU64::new(0)),
            starts: AtomicU64::new(0),
            stray_lines: AtomicU64::new(0),
            late_answers: AtomicU64::new(0),
            dropped: std::array::from_fn(|_| AtomicU64::new(0)),
            questions_refused: std::array::from_fn(|_| AtomicU64::new(0)),
            stray_throttle: Throttle::default(),
            unusable_throttle: Throttle::default(),
            dropped_throttle: Throttle::default(),
            question_throttle: Throttle::default(),
        }
    }

    /// The value of the label `server`: the server's name, or `*` for the gateway itself.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Counts a finished request with its outcome and duration.
    pub fn finished(&self, method: Method, outcome: Outcome, took: Duration) {
        let cell = &self.methods[method.index()];
        cell.outcomes[outcome.index()].fetch_add(1, Relaxed);
        cell.duration.record(took);
    }

    /// Counts an error by the name of its code, as in `data.code` of a refusal. Unknown names count as
    /// `OTHER`.
    pub fn error(&self, code: &str) {
        self.failed(ErrorCode::from_name(code));
    }

    /// Counts an error.
    pub fn failed(&self, code: ErrorCode) {
        self.errors[code.index()].fetch_add(1, Relaxed);
    }

    /// Creates a series for each tool, up to the maximum.
    pub fn know_tools<'a>(&self, names: impl IntoIterator<Item = &'a str>) {
        for name in names {
            self.tool_histogram(name);
        }
    }

    /// Counts a tool call with its duration. Only count tools that the server lists, because the first 200
    /// names keep their series while the daemon runs.
    pub fn tool(&self, tool: &str, took: Duration) {
        self.tool_histogram(tool).0.get_or_init(Box::default).record(took);
    }

    /// Counts a start of an instance.
    pub fn started(&self) {
        self.starts.fetch_add(1, Relaxed);
    }

    /// Counts a line on standard output that is not a message.
    pub fn stray_line(&self) {
        self.stray_lines.fetch_add(1, Relaxed);
    }

    /// Counts a response that no call waits for.
    pub fn late_answer(&self) {
        self.late_answers.fetch_add(1, Relaxed);
    }

    /// Counts an attempt with its outcome.
    pub fn attempted(&self, attempt: Attempt) {
        self.attempts[attempt.index()].fetch_add(1, Relaxed);
    }

    pub(crate) fn attempts(&self, attempt: Attempt) -> u64 {
        self.attempts[attempt.index()].load(Relaxed)
    }

    /// Counts what became of the wish to send a call again.
    pub fn retried(&self, retry: Retry) {
        self.retries[retry.index()].fetch_add(1, Relaxed);
    }

    pub(crate) fn retries(&self, retry: Retry) -> u64 {
        self.retries[retry.index()].load(Relaxed)
    }

    /// Counts a dropped notification.
    pub fn dropped(&self, reason: Dropped) {
        self.dropped[reason.index()].fetch_add(1, Relaxed);
    }

    /// Counts a refused question.
    pub fn question_refused(&self, reason: QuestionRefused) {
        self.questions_refused[reason.index()].fetch_add(1, Relaxed);
    }

    fn tool_histogram(&self, tool: &str) -> Arc<ToolHistogram> {
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

// Accessors for the scrape.
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

    pub(crate) fn tools(&self) -> Vec<(Box<str>, Reading)> {
        let reading = |tool: &ToolHistogram| match tool.0.get() {
            Some(histogram) => histogram.snapshot(),
            None => Histogram::default().snapshot(),
        };
        self.tools.read().iter().map(|(name, tool)| (name.clone(), reading(tool))).collect()
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
