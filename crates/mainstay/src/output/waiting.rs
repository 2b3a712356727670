//! Shows on a terminal what a command waits for, and since when, in one line of standard error that is drawn
//! again in place. The line is gone when the wait is over.

use std::io::{self, Write};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::time::{MissedTickBehavior, interval_at};

use super::{Output, format};

/// Waits that are shorter are not shown.
const DELAY: Duration = Duration::from_millis(300);
/// Time between two drawings.
const FRAME: Duration = Duration::from_millis(100);
const FRAMES: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];
/// The columns of a terminal that doesn't say how many it has.
const COLUMNS: usize = 80;

/// The line about one wait. Where standard error is no terminal, and with `--quiet` or `--json`, it is never
/// drawn.
#[derive(Debug)]
pub(crate) struct Waiting {
    is_on: bool,
    columns: usize,
    since: Instant,
    what: Mutex<String>,
    is_drawn: AtomicBool,
}

// === impl Output ===

impl Output {
    /// Begins a wait for `what`, such as `calling forecast`.
    pub(crate) fn waiting(&self, what: impl Into<String>) -> Waiting {
        Waiting {
            is_on: self.progress,
            columns: self.stderr.columns.unwrap_or(COLUMNS),
            since: Instant::now(),
            what: Mutex::new(what.into()),
            is_drawn: AtomicBool::new(false),
        }
    }
}

// === impl Waiting ===

impl Waiting {
    /// Whether anybody sees the line.
    pub(crate) fn is_on(&self) -> bool {
        self.is_on
    }

    /// Changes what is waited for.
    pub(crate) fn say(&self, what: impl Into<String>) {
        *self.what.lock() = what.into();
    }

    /// Waits for a future, and shows that meanwhile.
    pub(crate) async fn during<T>(&self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        if !self.is_on {
            return future.await;
        }
        let first = (self.since + DELAY).max(Instant::now());
        let mut frames = interval_at(first.into(), FRAME);
        frames.set_missed_tick_behavior(MissedTickBehavior::Skip);
        loop {
            tokio::select! {
                biased;
                done = &mut future => {
                    self.clear();
                    return done;
                }
                _ = frames.tick() => self.draw(),
            }
        }
    }

    /// Erases the line, for others who print to the terminal.
    pub(crate) fn clear(&self) {
        if self.is_drawn.swap(false, Ordering::Relaxed) {
            let mut err = io::stderr().lock();
            let _ = write!(err, "\r\u{1b}[K").and_then(|()| err.flush());
        }
    }

    fn draw(&self) {
        let line = line(&self.what.lock(), self.since.elapsed(), self.columns);
        let mut err = io::stderr().lock();
        let _ = write!(err, "\r\u{1b}[K{line}").and_then(|()| err.flush());
        self.is_drawn.store(true, Ordering::Relaxed);
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.clear();
    }
}

/// `⠹ calling forecast  3 s`, in less than `columns`: a full line would make the terminal scroll.
fn line(what: &str, elapsed: Duration, columns: usize) -> String {
    let frame = FRAMES[(elapsed.as_millis() / FRAME.as_millis()) as usize % FRAMES.len()];
    let time = match elapsed.as_secs() {
        0 => String::new(),
        _ => format!("  {}", format::duration(elapsed)),
    };
    let room = columns.saturating_sub(format::width(&time) + 3);
    format!("{frame} {}{time}", format::headline(what, room))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::line;

    #[test]
    fn the_line_says_what_and_how_long_and_fits() {
        let seconds = |seconds: u64| Duration::from_millis(seconds * 1000 + 220);
        assert_eq!(line("calling forecast", seconds(0), 80), "⠹ calling forecast");
        assert_eq!(line("calling forecast", seconds(63), 80), "⠹ calling forecast  1 min 3 s");
        assert_eq!(line("calling a_tool_with_a_long_name", seconds(2), 20), "⠹ calling a_t…  2 s");
        assert_eq!(line("a\u{1b}[2J\nb", seconds(0), 80), "⠹ a\\u{1b}[2J…");
    }
}
