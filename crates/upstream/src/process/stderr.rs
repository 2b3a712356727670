//! The last lines that a process wrote to standard error, for failure reports.

use std::collections::VecDeque;
use std::sync::Arc;

use mainstay_model::{InstanceId, Name};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Kept lines: a stack trace fits.
pub const TAIL_LINES_MAX: usize = 64;

/// Kept bytes of one line; the rest of a longer one is dropped.
pub const TAIL_LINE_BYTES_MAX: usize = 2048;

/// The last lines of a process's standard error. Clones share the lines.
#[derive(Debug, Clone, Default)]
pub struct StderrTail(Arc<Mutex<Tail>>);

#[derive(Debug, Default)]
struct Tail {
    lines: VecDeque<String>,
    lines_total: u64,
    bytes_total: u64,
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
    server: Name,
    instance: InstanceId,
) {
    let mut cutter = Cutter::default();
    // A page at a time: servers write lines, and a flood is read in many short turns.
    let mut buffer = vec![0; 4096];
    let mut take = |line: String| {
        tracing::debug!(target: "server", %server, %instance, line);
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
        self.0.lock().lines.iter().cloned().collect()
    }

    /// The last line that is not blank.
    pub fn last_line(&self) -> Option<String> {
        let tail = self.0.lock();
        tail.lines.iter().rev().find(|line| !line.trim().is_empty()).cloned()
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

    use super::{StderrTail, TAIL_LINE_BYTES_MAX, TAIL_LINES_MAX, keep_tail, plain};

    async fn tail_of(written: &[u8]) -> StderrTail {
        let tail = StderrTail::default();
        keep_tail(written, tail.clone(), Name::try_new("a").unwrap(), InstanceId(1)).await;
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
