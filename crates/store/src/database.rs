//! Tables in one SQLite file, `state.db`: what is asked for by other things than its key, and what only
//! grows.
//!
//! One thread owns the connection. Whatever is asked of it waits in a bounded queue, and whoever asks has
//! a deadline, so a disk that hangs holds up that thread and nobody else.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
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
mod records;
mod worker;

pub(crate) use self::connection::{FORMAT, format_of};
pub(crate) use self::records::Kind;

/// The open file.
#[derive(Debug)]
pub(crate) struct Database {
    shared: Arc<Shared>,
}

/// What the thread and everybody else share.
#[derive(Debug)]
struct Shared {
    path: PathBuf,
    claim: Claim,
    /// Held for moments only, never while the file is touched.
    queue: Mutex<Queue>,
    /// There is something to do, or the end has come.
    wake: Condvar,
    progress: watch::Sender<Progress>,
}

#[derive(Default)]
struct Queue {
    /// Changes that are made as soon as the disk allows, and tried again until then.
    changes: VecDeque<Change>,
    /// How many changes there have been.
    noted: u64,
    /// Changes that were dropped because too many waited, since the last one that was not.
    dropped: u64,
    /// Questions, each with somebody who waits for its answer.
    questions: VecDeque<Question>,
    /// When the work began that is under way.
    busy_since: Option<Instant>,
    /// Why the last attempt failed.
    failing: Option<String>,
    closing: bool,
}

/// How far the thread has come.
#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    /// Changes that are on disk.
    stored: u64,
    failing: bool,
    /// The thread has ended.
    ended: bool,
}

/// Something to write. It may be tried more than once.
type Change = Box<dyn Fn(&Transaction<'_>) -> rusqlite::Result<()> + Send>;
/// Something to ask. It gets what keeps it from being asked, if there is no connection.
type Question =
    Box<dyn FnOnce(Result<&mut Connection, Unavailable>) -> rusqlite::Result<()> + Send>;

pub(crate) const FILE: &str = "state.db";
/// Changes that wait for a disk.
const CHANGES_MAX: usize = 1000;
/// Questions that wait for a disk.
const QUESTIONS_MAX: usize = 64;
/// How long a start of the daemon waits for the file.
const OPEN_DEADLINE: Duration = Duration::from_secs(2);

// === impl Database ===

impl Database {
    /// Opens the file in this folder and starts its thread. A file that can't be used is set aside as
    /// `state.db.unreadable` with a warning; one that hangs is waited for for two seconds.
    ///
    /// # Errors
    /// When a newer version of the daemon has written the file. Nothing of it is changed then.
    pub(crate) fn open(folder: &Path, claim: Claim) -> Result<Self, Newer> {
        let shared = Arc::new(Shared {
            path: folder.join(FILE),
            claim,
            queue: Mutex::new(Queue { busy_since: Some(Instant::now()), ..Queue::default() }),
            wake: Condvar::new(),
            progress: watch::Sender::default(),
        });
        let database = Self { shared };
        let (tell, told) = sync_channel(1);
        worker::start(&database.shared, tell);
        match told.recv_timeout(OPEN_DEADLINE) {
            Ok(Err(newer)) => return Err(newer),
            // There is no thread, and that has been said.
            Ok(Ok(())) | Err(RecvTimeoutError::Disconnected) => {}
            Err(RecvTimeoutError::Timeout) => {
                let path = database.shared.path.display();
                tracing::warn!(target: "mainstay", %path, "the disk takes too long; going on without it");
            }
        }
        Ok(database)
    }

    /// Makes a change as soon as the disk allows. Dropped, with a warning, while too many wait.
    fn change(&self, change: Change) {
        let mut queue = self.shared.queue.lock();
        if queue.changes.len() >= CHANGES_MAX {
            queue.dropped += 1;
            let (is_first, path) = (queue.dropped == 1, self.shared.path.display());
            drop(queue);
            if is_first {
                tracing::error!(target: "mainstay", %path, "too much waits for the disk; what comes now is lost");
            }
            return;
        }
        queue.changes.push_back(change);
        queue.noted += 1;
        drop(queue);
        self.shared.wake.notify_one();
    }

    /// Asks the thread, after all changes so far; waits for a second at most.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Unavailable> {
        let (tell, told) = oneshot::channel();
        let question: Question = Box::new(move |connection| {
            // Whoever has given up must not find later that it was done all the same.
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
            // Whoever asked may have gone.
            let _ = tell.send(answer);
            outcome
        });
        self.enqueue(question)?;
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

    /// Waits until all changes so far are on disk; returns whether they are. A disk that fails is not
    /// waited for, and one that is slow for a second.
    async fn stored(&self) -> bool {
        let noted = self.shared.queue.lock().noted;
        let mut progress = self.shared.progress.subscribe();
        let done = progress.wait_for(|now| now.stored >= noted || now.failing || now.ended);
        let done = tokio::time::timeout(ANSWER_DEADLINE, done).await;
        matches!(done, Ok(Ok(now)) if now.stored >= noted)
    }

    /// Returns why nothing can be stored, while that is so.
    pub(crate) fn failing(&self) -> Option<String> {
        let queue = self.shared.queue.lock();
        let slow = || file::slow(&self.shared.path, queue.busy_since?);
        queue.failing.clone().or_else(slow)
    }

    /// Writes what is left and ends the thread; returns whether everything was written. A disk that hangs
    /// is waited for for two seconds.
    pub(crate) async fn close(&self) -> bool {
        self.end();
        let mut progress = self.shared.progress.subscribe();
        let ended = progress.wait_for(|now| now.ended);
        let ended = tokio::time::timeout(CLOSE_DEADLINE, ended).await.is_ok();
        let is_written = ended && self.shared.queue.lock().changes.is_empty();
        if !is_written {
            let path = self.shared.path.display();
            tracing::warn!(target: "mainstay", %path, "the newest entries of the audit log are not stored");
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
