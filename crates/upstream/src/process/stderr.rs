//! The first and the last lines that a process wrote to standard error, for failure reports.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use mainstay_model::{InstanceId, Name};
use mainstay_telemetry::ServerOutput;
use mainstay_telemetry::output::Written;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::secrets::Secrets;

/// Longest wait for the last output of a dead process. It is in the pipe already; only a child that
/// holds the pipe open makes this wait run out.
pub(super) const LAST_WORDS: Duration = Duration::from_millis(200);

/// Kept lines at the end: a stack trace fits.
pub const TAIL_LINES_MAX: usize = 64;

/// Kept lines at the beginning: programs that crash at once name the cause there.
const HEAD_LINES_MAX: usize = 8;

/// Kept bytes of one line; the rest of a longer one is dropped.
pub const TAIL_LINE_BYTES_MAX: usize = 2048;

/// Lines in a reason: so many from the beginning, and so many from the end.
const SHOWN_FIRST: usize = 3;
const SHOWN_LAST: usize = 5;

/// Beginnings of the line in which a runtime names the cause of a crash. Stack frames follow it, often more
/// than are shown.
const CAUSES: [&str; 8] = [
    "panic: ",
    "fatal error: ",
    "thread '",
    "Exception in thread",
    "Unhandled exception",
    "Uncaught ",
    "Error: ",
    "TypeError: ",
];

/// The first and the last lines of a process's standard error. Clones share the lines.
#[derive(Debug, Clone, Default)]
pub struct StderrTail(Arc<Mutex<Tail>>);

#[derive(Debug, Default)]
struct Tail {
    /// The first lines.
    head: Vec<String>,
    /// The last lines after those of the head.
    lines: VecDeque<String>,
    lines_total: u64,
    bytes_total: u64,
}

/// Who writes.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) server: Name,
    pub(super) instance: InstanceId,
    pub(super) secrets: Secrets,
    /// Which of its outputs is read.
    pub(super) written: Written,
}

/// Cuts bytes into lines without ever holding more than one bounded line.
#[derive(Debug, Default)]
struct Cutter {
    line: Vec<u8>,
}

/// Reads standard error to its end and keeps the last lines.
pub(super) async fn keep_tail(
    mut from: impl AsyncRead + Unpin,
    tail: StderrTail,
    writer: Writer,
    output: ServerOutput,
) {
    let Writer { server, instance, secrets, written } = writer;
    let mut cutter = Cutter::default();
    // Little at a time: servers write lines, a flood is read in many short turns, and each idle server
    // holds the buffer.
    let mut buffer = vec![0; 1024];
    let mut take = |line: String| {
        let line = secrets.hide(&line).into_owned();
        tracing::debug!(target: "server", %server, %instance, "{line}");
        output.push(&server, instance, written, &line);
        tail.push(line);
    };
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        tail.0.lock().bytes_total += count as u64;
        cutter.feed(&buffer[..count], &mut take);
    }
    cutter.finish(&mut take);
}

// === impl StderrTail ===

impl StderrTail {
    /// The last lines, oldest first; at most [`TAIL_LINES_MAX`], each at most
    /// [`TAIL_LINE_BYTES_MAX`] bytes of what was written, without colours and control characters.
    pub fn lines(&self) -> Vec<String> {
        let tail = self.0.lock();
        let kept = tail.head.len() + tail.lines.len();
        let last = tail.head.iter().chain(&tail.lines).skip(kept.saturating_sub(TAIL_LINES_MAX));
        last.cloned().collect()
    }

    /// The lines for the reason of a failure: the first, the one that names the cause of a crash, and the
    /// last. A line in between says how many are left out.
    pub fn shown(&self) -> Vec<String> {
        let tail = self.0.lock();
        let kept: Vec<&String> = tail.head.iter().chain(&tail.lines).collect();
        // Lines that are not kept were between the head and the rest.
        let gone = tail.lines_total as usize - kept.len();
        let cause = kept.iter().rposition(|line| is_cause(line));
        let is_shown =
            |at: usize| at < SHOWN_FIRST || at + SHOWN_LAST >= kept.len() || cause == Some(at);
        let mut shown = Vec::new();
        let mut left_out = 0;
        for (at, line) in kept.iter().enumerate() {
            if at == tail.head.len() {
                left_out += gone;
            }
            if !is_shown(at) {
                left_out += 1;
                continue;
            }
            if left_out > 0 {
                shown.push(format!("… {left_out} lines …"));
                left_out = 0;
            }
            shown.push((*line).clone());
        }
        shown
    }

    /// The last line that is not blank.
    pub fn last_line(&self) -> Option<String> {
        let tail = self.0.lock();
        let mut lines = tail.head.iter().chain(&tail.lines).rev();
        lines.find(|line| !line.trim().is_empty()).cloned()
    }

    /// Lines ever written.
    pub fn lines_total(&self) -> u64 {
        self.0.lock().lines_total
    }

    /// Bytes ever written.
    pub fn bytes_total(&self) -> u64 {
        self.0.lock().bytes_total
    }

    fn push(&self, line: String) {
        let mut tail = self.0.lock();
        tail.lines_total += 1;
        if tail.head.len() < HEAD_LINES_MAX {
            return tail.head.push(line);
        }
        if tail.lines.len() == TAIL_LINES_MAX {
            tail.lines.pop_front();
        }
        tail.lines.push_back(line);
    }
}

// === impl Cutter ===

impl Cutter {
    fn feed(&mut self, mut bytes: &[u8], take: &mut impl FnMut(String)) {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            self.keep(&bytes[..end]);
            take(plain(&self.line));
            self.line.clear();
            bytes = &bytes[end + 1..];
        }
        self.keep(bytes);
    }

    /// Takes the last line, which may lack its line end.
    fn finish(self, take: &mut impl FnMut(String)) {
        if !self.line.is_empty() {
            take(plain(&self.line));
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = TAIL_LINE_BYTES_MAX - self.line.len();
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

/// The last line of what a program printed that is not blank, as it is kept of standard error.
pub(crate) fn last_line(printed: &[u8]) -> Option<String> {
    let lines = printed.split(|byte| *byte == b'\n').rev();
    let mut lines = lines.map(|line| plain(&line[..line.len().min(TAIL_LINE_BYTES_MAX)]));
    lines.find(|line| !line.trim().is_empty())
}

fn is_cause(line: &str) -> bool {
    CAUSES.iter().any(|cause| line.starts_with(cause))
}

/// Escapes control characters, so that a server can't control the terminal that shows its output.
fn plain(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(one) = rest.next() {
        if one == '\u{1b}' && rest.next_if_eq(&'[').is_some() {
            // Colours and cursor movements end with a letter.
            while rest.next_if(|c| !c.is_ascii_alphabetic()).is_some() {}
            rest.next();
        } else if one == '\t' || !one.is_control() {
            plain.push(one);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use mainstay_model::{InstanceId, Name};

    use mainstay_telemetry::ServerOutput;

    use super::Written;
    use super::{
        Secrets, StderrTail, TAIL_LINE_BYTES_MAX, TAIL_LINES_MAX, Writer, keep_tail, plain,
    };

    async fn tail_of(written: &[u8]) -> StderrTail {
        let tail = StderrTail::default();
        let server = Name::try_new("a").unwrap();
        let secrets = Secrets::default();
        let instance = InstanceId(1);
        let writer = Writer { server, instance, secrets, written: Written::Stderr };
        keep_tail(written, tail.clone(), writer, ServerOutput::new()).await;
        tail
    }

    #[tokio::test]
    async fn the_last_line_counts_with_or_without_its_end() {
        for written in ["one\ntwo", "one\ntwo\n", "one\r\ntwo\r\n"] {
            assert_eq!(tail_of(written.as_bytes()).await.lines(), ["one", "two"]);
        }
        let tail = tail_of(b"why\n\n  \n").await;
        assert_eq!((tail.last_line().as_deref(), tail.lines_total()), (Some("why"), 3));
        assert_eq!(tail_of(b"").await.last_line(), None);
    }

    #[tokio::test]
    async fn a_flood_is_counted_and_mostly_forgotten() {
        let mut flood = "x".repeat(100_000);
        flood.push('\n');
        for n in 0..10_000 {
            flood.push_str(&format!("line {n}\n"));
        }
        let tail = tail_of(flood.as_bytes()).await;
        assert_eq!(tail.lines_total(), 10_001);
        assert_eq!(tail.bytes_total(), flood.len() as u64);
        assert_eq!(tail.lines().len(), TAIL_LINES_MAX);
        assert_eq!(tail.last_line().as_deref(), Some("line 9999"));

        let long = tail_of("x".repeat(100_000).as_bytes()).await;
        assert_eq!(long.lines()[0].len(), TAIL_LINE_BYTES_MAX);
    }

    #[tokio::test]
    async fn a_reason_has_the_first_lines_the_cause_and_the_last() {
        let lines = |count: usize| (0..count).map(|n| format!("line {n}\n")).collect::<String>();
        assert_eq!(tail_of(lines(8).as_bytes()).await.shown().len(), 8);
        let some = tail_of(lines(30).as_bytes()).await.shown();
        assert_eq!(some[..4], ["line 0", "line 1", "line 2", "… 22 lines …"]);
        assert_eq!(some[4..], ["line 25", "line 26", "line 27", "line 28", "line 29"]);
        // Most lines of a flood are not kept.
        let flood = tail_of(lines(10_000).as_bytes()).await.shown();
        assert_eq!(flood[3], "… 9992 lines …");

        let stack = "\t/src/main.go:7 +0x1d\n".repeat(30);
        let panic = format!("{}panic: no key\n\ngoroutine 1:\n{stack}exit status 2\n", lines(20));
        let shown = tail_of(panic.as_bytes()).await.shown();
        assert_eq!(shown[3..6], ["… 17 lines …", "panic: no key", "… 28 lines …"]);
        assert_eq!(shown.last().unwrap(), "exit status 2");
    }

    #[test]
    fn nothing_reaches_the_terminal_but_text() {
        let cases = [
            ("\u{1b}[1;31merror\u{1b}[0m: no", "error: no"),
            ("\u{1b}]0;title\u{7}\ttext\u{0}", "]0;title\ttext"),
            ("\u{1b}[", ""),
            ("é \u{9b}31m", "é 31m"),
        ];
        for (written, expected) in cases {
            assert_eq!(plain(written.as_bytes()), expected);
        }
        assert_eq!(plain(b"a\xff"), "a\u{fffd}");
    }
}
