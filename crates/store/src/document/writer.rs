//! The thread of a document. It reads the file once and then writes the newest value whenever there is one.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::{Duration, Instant};

use super::{Shared, State};

/// The pause after a failure of the disk: the first one, and the longest. Each failure in a row doubles it.
const RETRY_MIN: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(30);

/// The work of one attempt.
struct Attempt {
    set_aside: bool,
    value: Option<Vec<u8>>,
    /// The number of the newest value at the time of the attempt.
    number: u64,
    /// Whether this is the last attempt, even if it fails.
    last: bool,
}

/// Starts the thread, which reads the file and sends its content. If no thread can be started, that is the
/// reported reason why nothing is stored.
pub(super) fn start(shared: &Arc<Shared>, tell: SyncSender<Option<Vec<u8>>>) {
    let writer = shared.clone();
    let stem = shared.path.file_stem().unwrap_or_default().to_string_lossy();
    let thread = thread::Builder::new().name(format!("mainstay-{stem}"));
    let started = thread.spawn(move || {
        read(&writer, &tell);
        write_to_end(&writer);
    });
    if let Err(error) = started {
        failed(shared, &error);
        shared.ended.send_replace(true);
    }
}

fn read(shared: &Shared, tell: &SyncSender<Option<Vec<u8>>>) {
    let content = (shared.disk.read)(&shared.path).unwrap_or_else(|error| {
        shared.reject(&error);
        None
    });
    let is_there = content.is_some();
    shared.state.lock().busy_since = None;
    // `open` has given up waiting, and the daemon started without the content.
    if tell.send(content).is_err() && is_there {
        shared.reject(&"the disk took too long");
    }
}

fn write_to_end(shared: &Shared) {
    let mut pause = Duration::ZERO;
    loop {
        let attempt = next(shared, pause);
        let last = attempt.last;
        pause = match carry_out(shared, &attempt) {
            Ok(()) => {
                succeeded(shared);
                shared.stored.send_replace(attempt.number);
                Duration::ZERO
            }
            Err(error) => {
                put_back(&mut shared.state.lock(), attempt);
                failed(shared, &error);
                // Wakes those that wait for the value, so that they see the failure.
                shared.stored.send_modify(|_| {});
                (pause * 2).clamp(RETRY_MIN, RETRY_MAX)
            }
        };
        if last {
            shared.ended.send_replace(true);
            return;
        }
    }
}

/// Waits for work, and for `pause` unless the document closes.
fn next(shared: &Shared, pause: Duration) -> Attempt {
    let mut state = shared.state.lock();
    let until = Instant::now() + pause;
    while !state.closing && !shared.wake.wait_until(&mut state, until).timed_out() {}
    while !state.closing && !state.unusable && state.next.is_none() {
        shared.wake.wait(&mut state);
    }
    state.busy_since = Some(Instant::now());
    let (value, number) = (state.next.take(), state.set);
    Attempt { set_aside: state.unusable, value, number, last: state.closing }
}

fn carry_out(shared: &Shared, attempt: &Attempt) -> io::Result<()> {
    if attempt.set_aside || attempt.value.is_some() {
        shared.claim.check()?;
    }
    if attempt.set_aside {
        match (shared.disk.set_aside)(&shared.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => shared.state.lock().unusable = false,
        }
    }
    match &attempt.value {
        Some(value) => (shared.disk.replace)(&shared.path, value),
        None => Ok(()),
    }
}

/// Returns a value that could not be written to the queue, unless there is a newer one.
fn put_back(state: &mut State, attempt: Attempt) {
    if state.next.is_none() {
        state.next = attempt.value;
    }
}

fn succeeded(shared: &Shared) {
    let mut state = shared.state.lock();
    state.busy_since = None;
    let was_failing = state.failing.take().is_some();
    drop(state);
    if was_failing {
        let (path, what) = (shared.path.display(), shared.what);
        tracing::info!(target: "mainstay", %path, "{what} are stored again");
    }
}

fn failed(shared: &Shared, error: &io::Error) {
    let (path, what) = (shared.path.display(), shared.what);
    let mut state = shared.state.lock();
    state.busy_since = None;
    let was_failing = state.failing.replace(format!("{path}: {error}")).is_some();
    drop(state);
    if !was_failing {
        tracing::warn!(target: "mainstay", %path, %error, "{what} can't be stored");
    }
}
