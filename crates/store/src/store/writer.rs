//! The thread that writes the journal. It appends notes to the file at once, so that they survive the end
//! of the daemon, and syncs notes that come close together in one step.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mainstay_telemetry::events::{StoreFailing, StoreRecovered};
use parking_lot::MutexGuard;

use super::{Failing, Inner, Shared, WriterProgress};
use crate::journal::Journal;

/// The time for which notes are gathered before they are synced together.
const GATHER: Duration = Duration::from_millis(20);
/// The pause after a failure of the disk.
const RETRY: Duration = Duration::from_secs(2);
/// The interval between checks that the file is still in its place, while nothing is written.
const CHECK: Duration = Duration::from_secs(10);

/// The input of one write.
struct Batch {
    lines: Vec<u8>,
    /// Whether the lines replace the file.
    whole: bool,
    upto: u64,
    last: bool,
}

/// The result of a write that is on disk.
struct Done {
    upto: u64,
    last: bool,
}

/// Starts the thread. Returns `None` if no thread can be started; the store then fails with that reason.
pub(super) fn start(shared: &Arc<Shared>) -> Option<JoinHandle<()>> {
    let writer = shared.clone();
    let started =
        thread::Builder::new().name("mainstay-store".to_owned()).spawn(move || run(&writer));
    match started {
        Ok(thread) => Some(thread),
        Err(error) => {
            failed(shared, &error);
            None
        }
    }
}

fn run(shared: &Shared) {
    let mut journal = None;
    loop {
        let batch = next(shared, journal.is_none());
        let ended = batch.last;
        let last = match write(shared, &mut journal, batch) {
            Ok(done) => {
                succeeded(shared, &done, journal.as_ref());
                done.last
            }
            Err(error) => {
                journal = None;
                failed(shared, &error);
                ended
            }
        };
        if last {
            shared.progress.send_modify(|progress| progress.ended = true);
            return;
        }
    }
}

/// Waits for something to write. Returns an empty batch when it is time to check the file, and the whole
/// image if there is no file to append to.
fn next(shared: &Shared, no_file: bool) -> Batch {
    let mut inner = shared.inner.lock();
    inner.whole |= no_file;
    if inner.failing.is_some() && !inner.closing {
        rest(shared, &mut inner, RETRY);
    }
    let until = Instant::now() + CHECK;
    while !inner.closing && !inner.whole && inner.pending.is_empty() {
        if shared.wake.wait_until(&mut inner, until).timed_out() {
            break;
        }
    }
    if inner.whole {
        rest(shared, &mut inner, GATHER);
    }
    take(&mut inner)
}

/// Lets notes gather for a while, unless the store closes.
fn rest(shared: &Shared, inner: &mut MutexGuard<'_, Inner>, time: Duration) {
    let until = Instant::now() + time;
    while !inner.closing && !shared.wake.wait_until(inner, until).timed_out() {}
}

fn take(inner: &mut Inner) -> Batch {
    let mut lines = std::mem::take(&mut inner.pending);
    let whole = std::mem::take(&mut inner.whole);
    inner.busy_since = Some(Instant::now());
    if whole {
        lines.clear();
        for record in inner.image.records() {
            record.write(&mut lines);
        }
    }
    Batch { lines, whole, upto: inner.noted, last: inner.closing }
}

/// Writes a batch and returns when it is on disk.
fn write(shared: &Shared, journal: &mut Option<Journal>, batch: Batch) -> io::Result<Done> {
    match journal {
        Some(journal) if !batch.whole => add(shared, journal, batch),
        _ => {
            shared.claim.check()?;
            set_aside(shared)?;
            *journal = Some((shared.replace)(&shared.path, &batch.lines)?);
            Ok(Done { upto: batch.upto, last: batch.last })
        }
    }
}

/// Preserves the unreadable parts of the old file, unless that is done.
fn set_aside(shared: &Shared) -> io::Result<()> {
    let Some(set_aside) = shared.inner.lock().aside else { return Ok(()) };
    match set_aside(&shared.path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => shared.inner.lock().aside = None,
    }
    Ok(())
}

/// Appends a batch, then whatever is noted until `GATHER` is over, and syncs the file.
fn add(shared: &Shared, journal: &mut Journal, first: Batch) -> io::Result<Done> {
    journal.check()?;
    if first.lines.is_empty() {
        return Ok(Done { upto: first.upto, last: first.last });
    }
    let until = Instant::now() + GATHER;
    let mut batch = first;
    loop {
        if !batch.lines.is_empty() {
            journal.append(&batch.lines)?;
            shared.progress.send_modify(|progress| progress.flushed = batch.upto);
        }
        if batch.last {
            break;
        }
        let Some(next) = more(shared, until) else { break };
        batch = next;
    }
    journal.sync()?;
    Ok(Done { upto: batch.upto, last: batch.last })
}

/// Returns what is noted before `until`, as soon as there is something. `None` when it is time to sync.
fn more(shared: &Shared, until: Instant) -> Option<Batch> {
    let mut inner = shared.inner.lock();
    while !inner.closing && !inner.whole && inner.pending.is_empty() {
        if shared.wake.wait_until(&mut inner, until).timed_out() {
            return None;
        }
    }
    let now = !inner.whole && (inner.closing || Instant::now() < until);
    now.then(|| take(&mut inner))
}

fn succeeded(shared: &Shared, done: &Done, journal: Option<&Journal>) {
    let mut inner = shared.inner.lock();
    if let Some(journal) = journal {
        inner.bytes = journal.bytes();
        if journal.is_bloated() {
            inner.rewrite();
        }
    }
    inner.busy_since = None;
    let recovered = inner.failing.take();
    drop(inner);
    if let Some(Failing { since, .. }) = recovered {
        StoreRecovered { path: &shared.path, after: since.elapsed() }.emit(&shared.metrics);
    }
    let (upto, failing, ended) = (done.upto, false, false);
    shared.progress.send_replace(WriterProgress { synced: upto, flushed: upto, failing, ended });
}

/// Records a failure. The content of the file is now unknown, so the next attempt replaces the file.
fn failed(shared: &Shared, error: &io::Error) {
    let mut inner = shared.inner.lock();
    inner.rewrite();
    inner.busy_since = None;
    let is_first = inner.failing.is_none();
    let why = format!("{}: {error}", shared.path.display());
    let since = inner.failing.take().map_or_else(Instant::now, |failing| failing.since);
    inner.failing = Some(Failing { since, why });
    drop(inner);
    StoreFailing { path: &shared.path, error, is_first }.emit(&shared.metrics);
    shared.progress.send_modify(|progress| progress.failing = true);
}
