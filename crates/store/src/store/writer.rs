//! The thread that writes. What is noted goes to the file at once, where the end of the daemon can't
//! undo it any more, and what comes close together goes to disk together.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mainstay_telemetry::events::{StoreFailing, StoreRecovered};
use parking_lot::MutexGuard;

use super::{Failing, Inner, Shared, Written};
use crate::journal::Journal;

/// Notes that come close together are brought to disk together; none waits longer than this for others.
const GATHER: Duration = Duration::from_millis(20);
/// How long a disk that fails is left alone.
const RETRY: Duration = Duration::from_secs(2);
/// How often it is looked whether the file is still there, while nothing is written.
const CHECK: Duration = Duration::from_secs(10);

/// One write.
struct Batch {
    lines: Vec<u8>,
    /// They replace the file.
    whole: bool,
    upto: u64,
    last: bool,
}

/// How far a file on disk goes.
struct Done {
    upto: u64,
    last: bool,
}

/// None: there can be no more threads; nothing is stored, and that is said.
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
            shared.written.send_modify(|written| written.ended = true);
            return;
        }
    }
}

/// Waits for something to write; nothing, when it is time to look after the file. Without a file to add
/// to, that is everything.
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

/// Lets notes come in for a while. Only the end is hurried for.
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

/// Returns when it is on disk.
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

/// Keeps what could not be read of the file, unless that is done.
fn set_aside(shared: &Shared) -> io::Result<()> {
    let Some(set_aside) = shared.inner.lock().aside else { return Ok(()) };
    match set_aside(&shared.path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => shared.inner.lock().aside = None,
    }
    Ok(())
}

/// Adds a batch to the file, and at once whatever is noted while it waits for others.
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
            shared.written.send_modify(|written| written.added = batch.upto);
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

/// What was noted by then, as soon as there is something. None: it is time to bring it to disk.
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
    shared.written.send_replace(Written { upto, added: upto, failing, ended });
}

/// What is in the file now is unknown, so the next attempt writes all of it.
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
    shared.written.send_modify(|written| written.failing = true);
}
