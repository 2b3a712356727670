//! Tables in one SQLite file, `state.db`: for data that only grows or that is queried by more than its key.
//!
//! One thread owns the connection. Requests wait for it in bounded queues, and each requester has a
//! deadline. A disk that hangs therefore blocks this thread and nothing else.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use rusqlite::{Connection, Transaction};
use tokio::sync::{oneshot, watch};

use crate::answer::{ANSWER_DEADLINE, CLOSE_DEADLINE, Unavailable};
use crate::file;
use crate::lock::Claim;
use crate::newer::Newer;

mod audit;
mod connection;
mod events;
mod records;
mod worker;

pub(crate) use self::connection::{FORMAT, format_of};
pub(crate) use self::records::Kind;

/// Owns the open database file and its thread.
#[derive(Debug)]
pub(crate) struct Database {
    shared: Arc<Shared>,
}

/// The state that the thread shares with its users.
#[derive(Debug)]
struct Shared {
    path: PathBuf,
    claim: Claim,
    /// Locked only briefly, never during file access.
    queue: Mutex<Queue>,
    /// Signals new work, or that the database closes.
    wake: Condvar,
    progress: watch::Sender<Progress>,
    /// Whether there was a connection before.
    has_opened: AtomicBool,
}

#[derive(Default)]
struct Queue {
    /// Changes to make as soon as the disk allows. They are retried until they succeed.
    changes: VecDeque<Change>,
    /// The number of changes that were ever queued.
    noted: u64,
    /// The number of changes that were dropped in a row because the queue was full.
    dropped: u64,
    /// Questions whose askers wait for the answer.
    questions: VecDeque<Question>,
    /// The time at which the current work began.
    busy_since: Option<Instant>,
    /// The error of the last attempt.
    failing: Option<String>,
    closing: bool,
}

/// The progress of the thread.
#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    /// The number of changes that are on disk.
    stored: u64,
    failing: bool,
    /// Whether the thread has ended.
    ended: bool,
}

/// A change to write. It may be tried more than once.
type Change = Box<dyn Fn(&Transaction<'_>) -> rusqlite::Result<()> + Send>;
/// A question to ask. It gets the error instead of a connection if there is no connection.
type Ask = Box<dyn FnOnce(Result<&mut Connection, Unavailable>) -> rusqlite::Result<()> + Send>;

/// A question, and whether it only reads: then it is answered even if the disk takes no changes.
struct Question {
    ask: Ask,
    only_reads: bool,
}

pub(crate) const FILE: &str = "state.db";
/// The largest number of changes that wait for the disk.
const CHANGES_MAX: usize = 5000;
/// The same for events. What servers do leaves room for at least a thousand entries of the audit log.
const EVENTS_WAITING_MAX: usize = 4000;
/// The largest number of questions that wait for the disk.
const QUESTIONS_MAX: usize = 64;
/// The longest time for which the daemon's start waits for the file.
const OPEN_DEADLINE: Duration = Duration::from_secs(2);

// === impl Database ===

impl Database {
    /// Opens the file in this folder and starts its thread. A file that can't be used is renamed to
    /// `state.db.unreadable`, with a warning. Waits for at most two seconds.
    ///
    /// # Errors
    /// Returns an error when a newer version of the daemon has written the file. The file is then not
    /// changed.
    pub(crate) fn open(folder: &Path, claim: Claim) -> Result<Self, Newer> {
        let shared = Arc::new(Shared {
            path: folder.join(FILE),
            claim,
            queue: Mutex::new(Queue { busy_since: Some(Instant::now()), ..Queue::default() }),
            wake: Condvar::new(),
            progress: watch::Sender::default(),
            has_opened: AtomicBool::new(false),
        });
        let database = Self { shared };
        let (tell, told) = sync_channel(1);
        worker::start(&database.shared, tell);
        match told.recv_timeout(OPEN_DEADLINE) {
            Ok(Err(newer)) => return Err(newer),
            // The thread could not be started, which is logged already.
            Ok(Ok(())) | Err(RecvTimeoutError::Disconnected) => {}
            Err(RecvTimeoutError::Timeout) => {
                let path = database.shared.path.display();
                tracing::warn!(target: "mainstay", %path, "the disk takes too long; the daemon starts without this file");
            }
        }
        Ok(database)
    }

    /// Queues a change, to be made as soon as the disk allows. Drops it, with a warning, when the queue is
    /// full.
    fn change(&self, change: Change) {
        self.change_within(CHANGES_MAX, change);
    }

    /// The same for a change that waits only while fewer than `room` do.
    fn change_within(&self, room: usize, change: Change) {
        let mut queue = self.shared.queue.lock();
        if queue.changes.len() >= room {
            queue.dropped += 1;
            let (is_first, path) = (queue.dropped == 1, self.shared.path.display());
            drop(queue);
            if is_first {
                tracing::error!(target: "mainstay", %path, "too many changes wait for the disk; new ones are lost");
            }
            return;
        }
        queue.changes.push_back(change);
        queue.noted += 1;
        drop(queue);
        self.shared.wake.notify_one();
    }

    /// Asks the thread, after all changes queued so far. Waits for at most one second.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Unavailable> {
        self.ask_for(false, question).await
    }

    /// Asks the thread a question that changes nothing. A disk that is full can answer it.
    async fn read<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Unavailable> {
        self.ask_for(true, question).await
    }

    async fn ask_for<T: Send + 'static>(
        &self,
        only_reads: bool,
        question: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Unavailable> {
        let (tell, told) = oneshot::channel();
        let ask: Ask = Box::new(move |connection| {
            // A question whose asker has given up must not be carried out later.
            if tell.is_closed() {
                return Ok(());
            }
            let answer = match connection {
                Ok(connection) => question(connection),
                Err(unavailable) => {
                    let _ = tell.send(Err(unavailable));
                    return Ok(());
                }
            };
            let (answer, outcome) = match answer {
                Ok(answer) => (Ok(answer), Ok(())),
                Err(error) => (Err(Unavailable::Failed(error.to_string())), Err(error)),
            };
            // The asker may have gone away.
            let _ = tell.send(answer);
            outcome
        });
        self.enqueue(Question { ask, only_reads })?;
        match tokio::time::timeout(ANSWER_DEADLINE, told).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(Unavailable::Closed),
            Err(_) => Err(Unavailable::Slow(ANSWER_DEADLINE)),
        }
    }

    fn enqueue(&self, question: Question) -> Result<(), Unavailable> {
        let mut queue = self.shared.queue.lock();
        if queue.closing {
            return Err(Unavailable::Closed);
        }
        if queue.questions.len() >= QUESTIONS_MAX {
            return Err(Unavailable::Busy);
        }
        queue.questions.push_back(question);
        drop(queue);
        self.shared.wake.notify_one();
        Ok(())
    }

    /// Waits until all changes queued so far are on disk, and returns whether they are. Returns `false` at
    /// once if the disk fails, and after one second if it is slow.
    async fn stored(&self) -> bool {
        let noted = self.shared.queue.lock().noted;
        let mut progress = self.shared.progress.subscribe();
        let done = progress.wait_for(|now| now.stored >= noted || now.failing || now.ended);
        let done = tokio::time::timeout(ANSWER_DEADLINE, done).await;
        matches!(done, Ok(Ok(now)) if now.stored >= noted)
    }

    /// Returns the reason why nothing can be stored, as long as there is one.
    pub(crate) fn failing(&self) -> Option<String> {
        let queue = self.shared.queue.lock();
        let slow = || file::slow(&self.shared.path, queue.busy_since?);
        queue.failing.clone().or_else(slow)
    }

    /// Writes the queued changes and ends the thread. Returns whether everything was written. Waits for at
    /// most two seconds.
    pub(crate) async fn close(&self) -> bool {
        self.end();
        let mut progress = self.shared.progress.subscribe();
        let ended = progress.wait_for(|now| now.ended);
        let ended = tokio::time::timeout(CLOSE_DEADLINE, ended).await.is_ok();
        let is_written = ended && self.shared.queue.lock().changes.is_empty();
        if !is_written {
            let path = self.shared.path.display();
            tracing::warn!(target: "mainstay", %path, "the newest entries of the audit log and the newest events are not stored");
        }
        is_written
    }

    fn end(&self) {
        self.shared.queue.lock().closing = true;
        self.shared.wake.notify_one();
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        self.end();
    }
}

// === impl Queue ===

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (changes, questions) = (self.changes.len(), self.questions.len());
        f.debug_struct("Queue")
            .field("changes", &changes)
            .field("questions", &questions)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
