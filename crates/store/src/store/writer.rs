//! The thread that writes: whatever was noted while it wrote goes to disk with one more write.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mainstay_telemetry::events::{StoreFailing, StoreRecovered};
use parking_lot::MutexGuard;

use super::{Failing, Inner, Shared, Written};
use crate::journal::Journal;

/// Notes that come close together are written together; no note waits longer than this for others.
const GATHER: Duration = Duration::from_millis(20);
/// How long a disk that fails is left alone.
const RETRY: Duration = Duration::from_secs(2);

/// One write.
struct Batch {
    lines: Vec<u8>,
    /// They replace the file.
    whole: bool,
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
        let written = write(shared, &mut journal, &batch);
        match written {
            Ok(()) => succeeded(shared, &batch, journal.as_ref()),
            Err(error) => {
                journal = None;
                failed(shared, &error);
            }
        }
        if batch.last {
            shared.written.send_modify(|written| written.ended = true);
            return;
        }
    }
}

/// Waits for something to write. Without a file to add to, that is everything.
fn next(shared: &Shared, no_file: bool) -> Batch {
    let mut inner = shared.inner.lock();
    inner.whole |= no_file;
    if inner.failing.is_some() && !inner.closing {
        rest(shared, &mut inner, RETRY);
    }
    while !inner.closing && !inner.whole && inner.pending.is_empty() {
        shared.wake.wait(&mut inner);
    }
    rest(shared, &mut inner, GATHER);
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
    if whole {
        lines.clear();
        for record in inner.image.records() {
            record.write(&mut lines);
        }
    }
    Batch { lines, whole, upto: inner.noted, last: inner.closing }
}

fn write(shared: &Shared, journal: &mut Option<Journal>, batch: &Batch) -> io::Result<()> {
    match journal {
        Some(_) if !batch.whole && batch.lines.is_empty() => Ok(()),
        Some(journal) if !batch.whole => journal.append(&batch.lines),
        _ => {
            *journal = Some(Journal::replace(&shared.path, &batch.lines)?);
            Ok(())
        }
    }
}

fn succeeded(shared: &Shared, batch: &Batch, journal: Option<&Journal>) {
    let mut inner = shared.inner.lock();
    if let Some(journal) = journal {
        inner.bytes = journal.bytes();
        if journal.is_bloated() {
            inner.rewrite();
        }
    }
    let recovered = inner.failing.take();
    drop(inner);
    if let Some(Failing { since, .. }) = recovered {
        StoreRecovered { path: &shared.path, after: since.elapsed() }.emit(&shared.metrics);
    }
    let (upto, failing, ended) = (batch.upto, false, false);
    shared.written.send_replace(Written { upto, failing, ended });
}

/// What is in the file now is unknown, so the next attempt writes all of it.
fn failed(shared: &Shared, error: &io::Error) {
    let mut inner = shared.inner.lock();
    inner.rewrite();
    let is_first = inner.failing.is_none();
    let why = format!("{}: {error}", shared.path.display());
    let since = inner.failing.take().map_or_else(Instant::now, |failing| failing.since);
    inner.failing = Some(Failing { since, why });
    drop(inner);
    StoreFailing { path: &shared.path, error, is_first }.emit(&shared.metrics);
    shared.written.send_modify(|written| written.failing = true);
}
