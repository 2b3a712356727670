//! The thread that writes log lines, and its bounded queue.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use tracing_subscriber::fmt::MakeWriter;

/// The maximum number of queued lines: several seconds of a busy log, and at most a few megabytes.
const QUEUE_LINES_MAX: usize = 8192;
/// How long the end of the process waits for a blocked standard error.
const FLUSH_MAX: Duration = Duration::from_secs(1);

/// The number of lines that this process dropped because the queue was full.
static DROPPED: AtomicU64 = AtomicU64::new(0);

/// Keeps logging active. Dropping it writes the queued lines, for at most one second.
#[derive(Debug)]
#[must_use = "lines that are queued when the process ends are lost without it"]
pub struct LogGuard {
    queue: SyncSender<Order>,
}

/// Makes writers for the subscriber. Each line is one order to the thread.
#[derive(Debug, Clone)]
pub(super) struct Lines {
    queue: SyncSender<Order>,
}

#[derive(Debug)]
enum Order {
    Write(Vec<u8>),
    /// Answered when all earlier lines are written.
    Flush(SyncSender<()>),
}

/// The number of dropped lines so far.
pub(crate) fn lines_dropped() -> u64 {
    DROPPED.load(Relaxed)
}

/// Starts the thread. It ends when both the subscriber and the guard are dropped.
pub(super) fn spawn(out: Box<dyn Write + Send>) -> io::Result<(Lines, LogGuard)> {
    let (queue, orders) = sync_channel(QUEUE_LINES_MAX);
    std::thread::Builder::new().name("log".to_owned()).spawn(move || write(&orders, out))?;
    Ok((Lines { queue: queue.clone() }, LogGuard { queue }))
}

fn write(orders: &Receiver<Order>, mut out: Box<dyn Write + Send>) {
    while let Ok(order) = orders.recv() {
        match order {
            Order::Write(line) => {
                // A failure to write the log can only be counted.
                if out.write_all(&line).is_err() {
                    DROPPED.fetch_add(1, Relaxed);
                }
            }
            Order::Flush(done) => {
                let _ = out.flush();
                let _ = done.try_send(());
            }
        }
    }
}

// === impl Lines ===

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Write for Lines {
    /// Receives a whole line, because the subscriber formats a line before it writes.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.queue.try_send(Order::Write(line.to_vec())).is_err() {
            DROPPED.fetch_add(1, Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

// === impl LogGuard ===

impl Drop for LogGuard {
    fn drop(&mut self) {
        let (done, written) = sync_channel(1);
        // A full queue means that standard error is blocked, so waiting would not help.
        if self.queue.try_send(Order::Flush(done)).is_ok() {
            let _ = written.recv_timeout(FLUSH_MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::Arc;
    use std::sync::mpsc::{Receiver, sync_channel};

    use parking_lot::Mutex;

    use super::{QUEUE_LINES_MAX, lines_dropped, spawn};

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Blocks until it is released.
    struct Stuck(Receiver<()>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_is_queued_is_written_before_the_guard_is_gone() {
        let sink = Sink::default();
        let (mut lines, guard) = spawn(Box::new(sink.clone())).unwrap();
        for n in 0..100 {
            writeln!(lines, "{n}").unwrap();
        }
        drop(guard);
        let text = String::from_utf8(sink.0.lock().clone()).unwrap();
        assert!(text.ends_with("99\n"), "{text}");
    }

    #[test]
    fn nobody_waits_for_a_stuck_terminal() {
        let (release, stuck) = sync_channel(0);
        let (mut lines, guard) = spawn(Box::new(Stuck(stuck))).unwrap();
        let before = lines_dropped();
        for _ in 0..QUEUE_LINES_MAX + 10 {
            lines.write_all(b"line\n").unwrap();
        }
        assert!(lines_dropped() > before);
        drop(release);
        drop(guard);
    }
}
