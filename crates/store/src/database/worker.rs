//! The thread that owns the connection. It makes changes, many in one commit, and answers questions.

use std::collections::VecDeque;
use std::fmt::Display;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::connection::{self, NotOpened};
use super::{Change, Progress, Question, Shared};
use crate::answer::Unavailable;
use crate::file;
use crate::newer::Newer;

/// The largest number of changes in one commit.
const COMMIT_CHANGES_MAX: usize = 256;
/// The pause after a failure of the disk: the first one, and the longest. Each failure in a row doubles it.
const RETRY_MIN: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(30);

/// The work of one round.
struct Work {
    changes: VecDeque<Change>,
    questions: VecDeque<Question>,
    /// Whether this is the last round, even if it fails.
    last: bool,
}

/// A connection and the identity of its file.
struct Open {
    connection: Connection,
    file: (u64, u64),
}

/// The reasons why work could not be done.
enum Fault {
    NotOpened(NotOpened),
    /// The open file was removed or replaced by another one.
    Gone,
    Sql(rusqlite::Error),
}

/// Starts the thread, which reports whether it may use the file. If no thread can be started, that is the
/// reported reason why nothing is stored.
pub(super) fn start(shared: &Arc<Shared>, tell: SyncSender<Result<(), Newer>>) {
    let worker = shared.clone();
    let thread = thread::Builder::new().name("mainstay-state".to_owned());
    let started = thread.spawn(move || run(&worker, &tell));
    if let Err(error) = started {
        failed(shared, &error);
        end(shared);
    }
}

fn run(shared: &Shared, tell: &SyncSender<Result<(), Newer>>) {
    let mut connection = None;
    let mut pause = Duration::ZERO;
    match open(shared) {
        Ok(opened) => connection = Some(opened),
        Err(NotOpened::Newer(newer)) => {
            // If `open` has already gone on without the file, every later question returns an error.
            shared.queue.lock().closing = true;
            let _ = tell.send(Err(newer));
            return end(shared);
        }
        Err(NotOpened::Unusable(why)) => pause = failed_then(shared, &why, pause),
        Err(NotOpened::Failed(error)) => pause = failed_then(shared, &error, pause),
    }
    let _ = tell.send(Ok(()));
    shared.queue.lock().busy_since = None;
    loop {
        let mut work = next(shared, pause);
        let mut last = work.last;
        pause = match carry_out(shared, &mut connection, &mut work) {
            Ok(()) => Duration::ZERO,
            Err(fault) => {
                last |= put_back(shared, &mut work);
                recover(shared, &mut connection, &fault);
                failed_then(shared, &fault, pause)
            }
        };
        answer(shared, &mut connection, work.questions);
        shared.queue.lock().busy_since = None;
        if last {
            // Closing the connection moves the write-ahead log into the file.
            drop(connection.take());
            return end(shared);
        }
    }
}

/// Waits for work. Changes wait for `pause`; questions and closing don't.
fn next(shared: &Shared, pause: Duration) -> Work {
    let mut queue = shared.queue.lock();
    let until = Instant::now() + pause;
    while !queue.closing && queue.questions.is_empty() {
        let rests = Instant::now() < until;
        if !rests && !queue.changes.is_empty() {
            break;
        }
        if rests {
            shared.wake.wait_until(&mut queue, until);
        } else {
            shared.wake.wait(&mut queue);
        }
    }
    queue.busy_since = Some(Instant::now());
    let rests = Instant::now() < until && !queue.closing;
    let count = if rests { 0 } else { queue.changes.len().min(COMMIT_CHANGES_MAX) };
    let changes = queue.changes.drain(..count).collect();
    let questions = std::mem::take(&mut queue.questions);
    let last = queue.closing && queue.changes.is_empty();
    Work { changes, questions, last }
}

/// Makes all changes in one transaction.
fn carry_out(shared: &Shared, connection: &mut Option<Open>, work: &mut Work) -> Result<(), Fault> {
    let open = connected(shared, connection)?;
    if work.changes.is_empty() {
        return Ok(());
    }
    let transaction = open.connection.transaction().map_err(Fault::Sql)?;
    work.changes.iter().try_for_each(|change| change(&transaction)).map_err(Fault::Sql)?;
    transaction.commit().map_err(Fault::Sql)?;
    succeeded(shared, work.changes.len() as u64);
    work.changes.clear();
    Ok(())
}

fn open(shared: &Shared) -> Result<Open, NotOpened> {
    shared.claim.check().map_err(NotOpened::Failed)?;
    let follows_another = shared.has_opened.load(Ordering::Relaxed);
    let connection = connection::open(&shared.path, follows_another)?;
    shared.has_opened.store(true, Ordering::Relaxed);
    let file = file::identity(&shared.path).map_err(NotOpened::Failed)?;
    let gone = || NotOpened::Failed(io::ErrorKind::NotFound.into());
    Ok(Open { connection, file: file.ok_or_else(gone)? })
}

/// Opens the file for one question, if the folder is still the daemon's own.
fn open_to_read(shared: &Shared) -> Option<Connection> {
    shared.claim.check().ok()?;
    connection::open_to_read(&shared.path)
}

/// Returns the connection, reopened if it was lost. A connection to a file that was removed or replaced is
/// dropped, because anything written to that file would be lost.
fn connected<'a>(shared: &Shared, connection: &'a mut Option<Open>) -> Result<&'a mut Open, Fault> {
    let open = match connection.take() {
        Some(open) if file::identity(&shared.path).is_ok_and(|now| now == Some(open.file)) => open,
        Some(_) => return Err(Fault::Gone),
        None => {
            let opened = open(shared).map_err(Fault::NotOpened)?;
            succeeded(shared, 0);
            opened
        }
    };
    Ok(connection.insert(open))
}

fn answer(shared: &Shared, connection: &mut Option<Open>, questions: VecDeque<Question>) {
    for question in questions {
        let outcome = match connection {
            Some(open) => (question.ask)(Ok(&mut open.connection)),
            None if question.only_reads
                && let Some(mut reading) = open_to_read(shared) =>
            {
                (question.ask)(Ok(&mut reading))
            }
            None => {
                let why = shared.queue.lock().failing.clone().unwrap_or_default();
                (question.ask)(Err(Unavailable::Failed(why)))
            }
        };
        if let Err(error) = outcome {
            recover(shared, connection, &Fault::Sql(error));
        }
    }
}

/// Sets aside a file with damaged content and opens a new one.
fn recover(shared: &Shared, connection: &mut Option<Open>, fault: &Fault) {
    let Fault::Sql(error) = fault else { return };
    if !connection::is_damage(error) {
        return;
    }
    *connection = None;
    match connection::set_aside(&shared.path, &error.to_string()) {
        Ok(()) => *connection = open(shared).ok(),
        Err(error) => {
            failed_then(shared, &error, Duration::ZERO);
        }
    }
}

/// Returns failed changes to the front of the queue, to be retried before newer ones. Returns whether the
/// database is closing; the changes then count as lost.
fn put_back(shared: &Shared, work: &mut Work) -> bool {
    let mut queue = shared.queue.lock();
    while let Some(change) = work.changes.pop_back() {
        queue.changes.push_front(change);
    }
    queue.closing
}

fn succeeded(shared: &Shared, changes: u64) {
    let mut queue = shared.queue.lock();
    let was_failing = queue.failing.take().is_some();
    let dropped = std::mem::take(&mut queue.dropped);
    drop(queue);
    shared.progress.send_modify(|progress| {
        progress.stored += changes;
        progress.failing = false;
    });
    if was_failing {
        let path = shared.path.display();
        tracing::info!(target: "mainstay", %path, dropped, "the audit log and events are stored again");
    }
}

/// Records a failure and returns the pause before the next attempt.
fn failed_then(shared: &Shared, why: &dyn Display, pause: Duration) -> Duration {
    failed(shared, why);
    (pause * 2).clamp(RETRY_MIN, RETRY_MAX)
}

fn failed(shared: &Shared, why: &dyn Display) {
    let path = shared.path.display();
    let mut queue = shared.queue.lock();
    let was_failing = queue.failing.replace(format!("{path}: {why}")).is_some();
    drop(queue);
    shared.progress.send_modify(|progress| progress.failing = true);
    if !was_failing {
        tracing::warn!(target: "mainstay", %path, error = %why, "the audit log and events can't be stored");
    }
}

fn end(shared: &Shared) {
    shared.progress.send_modify(|Progress { ended, .. }| *ended = true);
}

// === impl Fault ===

impl Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotOpened(NotOpened::Newer(newer)) => {
                write!(f, "it has format {}, and this version reads {}", newer.found, newer.known)
            }
            Self::NotOpened(NotOpened::Unusable(why)) => f.write_str(why),
            Self::NotOpened(NotOpened::Failed(error)) => error.fmt(f),
            Self::Gone => f.write_str("the file was removed or replaced by another program"),
            Self::Sql(error) => error.fmt(f),
        }
    }
}
