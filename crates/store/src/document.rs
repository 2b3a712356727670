//! A small file that is read when the daemon starts and replaced as a whole by its own thread afterwards.

use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tokio::sync::watch;

use crate::answer::{ANSWER_DEADLINE, CLOSE_DEADLINE};
use crate::file;
use crate::lock::Claim;

mod writer;

/// Stores a value in a file. Only [`Document::open`] and [`Document::close`] wait for the disk, for at most
/// two seconds; [`Document::stored`] waits for at most one.
#[derive(Debug)]
pub struct Document {
    shared: Arc<Shared>,
}

/// The state that the writer shares with its users.
#[derive(Debug)]
struct Shared {
    path: PathBuf,
    /// The content of the file as a plural noun, for messages.
    what: &'static str,
    claim: Claim,
    disk: Disk,
    /// Locked only briefly, never during file access.
    state: Mutex<State>,
    /// Signals new work, or that the document closes.
    wake: Condvar,
    /// The number of values that are stored, including those that a newer value replaced before they were
    /// written.
    stored: watch::Sender<u64>,
    /// Whether the writer has ended.
    ended: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    /// The newest value, if it is not in the file.
    next: Option<Vec<u8>>,
    /// The number of values that were ever set.
    set: u64,
    /// Whether the content of the file is unusable. It is then set aside before the next write.
    unusable: bool,
    /// The time at which the current attempt began.
    busy_since: Option<Instant>,
    /// The error of the last attempt.
    failing: Option<String>,
    closing: bool,
}

/// The file operations that may hang. Tests replace them.
#[derive(Debug, Clone, Copy)]
struct Disk {
    read: fn(&Path) -> io::Result<Option<Vec<u8>>>,
    replace: fn(&Path, &[u8]) -> io::Result<()>,
    set_aside: fn(&Path) -> io::Result<PathBuf>,
}

const DISK: Disk = Disk {
    read: |path| file::read(path, BYTES_MAX),
    replace: |path, bytes| file::replace(path, &[bytes]).map(drop),
    set_aside: file::set_aside,
};

/// The file of published names.
pub(crate) const NAMES: &str = "names.json";
/// The current format. Format 0 has no format field.
pub(crate) const NAMES_FORMAT: u64 = 1;
/// The largest size of a file that is read, in bytes. Larger files are not Mainstay's.
const BYTES_MAX: u64 = 64 << 20;
/// The longest time for which the daemon's start waits for the file.
const READ_DEADLINE: Duration = Duration::from_secs(2);

// === impl Document ===

impl Document {
    /// Reads the file and starts its writer. `what` names the content in messages as a plural, such as
    /// "published names".
    ///
    /// Returns `None` for the content if there is no file or if it can't be read within two seconds. An
    /// unreadable file is set aside as `FILE.unreadable`, with a warning. As long as that fails, the file
    /// is not overwritten: values stay in memory, and [`Self::failing`] returns the reason.
    pub(crate) fn open(path: PathBuf, what: &'static str, claim: Claim) -> (Self, Option<Vec<u8>>) {
        Self::open_on(path, what, claim, DISK, READ_DEADLINE)
    }

    fn open_on(
        path: PathBuf,
        what: &'static str,
        claim: Claim,
        disk: Disk,
        deadline: Duration,
    ) -> (Self, Option<Vec<u8>>) {
        let busy_since = Some(Instant::now());
        let state = Mutex::new(State { busy_since, ..State::default() });
        let (wake, stored, ended) =
            (Condvar::new(), watch::Sender::default(), watch::Sender::default());
        let shared = Arc::new(Shared { path, what, claim, disk, state, wake, stored, ended });
        let document = Self { shared };
        // The channel has no buffer, so the writer notices when a result comes after the deadline.
        let (tell, told) = sync_channel(0);
        writer::start(&document.shared, tell);
        let content = match told.recv_timeout(deadline) {
            Ok(content) => content,
            Err(RecvTimeoutError::Timeout) => {
                let shared = &document.shared;
                tracing::warn!(
                    target: "mainstay", path = %shared.path.display(),
                    "the disk takes too long to read {}; the daemon starts without them", shared.what
                );
                None
            }
            // The writer could not be started, which is logged already.
            Err(RecvTimeoutError::Disconnected) => None,
        };
        (document, content)
    }

    /// Rejects the content that was read. The file is set aside instead of overwritten, and `why` is
    /// logged.
    pub fn reject(&self, why: &dyn Display) {
        self.shared.reject(why);
        self.shared.wake.notify_one();
    }

    /// Queues `value` as the content of the file. If several values wait for the disk, only the newest is
    /// written.
    pub fn set(&self, value: Vec<u8>) {
        let mut state = self.shared.state.lock();
        state.next = Some(value);
        state.set += 1;
        drop(state);
        self.shared.wake.notify_one();
    }

    /// Waits until the newest value is stored, and returns whether it is. Returns `false` at once if the
    /// disk fails, and after one second if it is slow.
    pub async fn stored(&self) -> bool {
        let shared = &self.shared;
        let wanted = shared.state.lock().set;
        let mut stored = shared.stored.subscribe();
        let done = stored.wait_for(|now| *now >= wanted || shared.state.lock().failing.is_some());
        match tokio::time::timeout(ANSWER_DEADLINE, done).await {
            Ok(Ok(now)) => *now >= wanted,
            Ok(Err(_)) | Err(_) => false,
        }
    }

    /// Returns the reason why a restart of the daemon would lose the present value, as long as it would:
    /// the path and the error of the system.
    pub fn failing(&self) -> Option<String> {
        let state = self.shared.state.lock();
        let slow = || file::slow(&self.shared.path, state.busy_since?);
        state.failing.clone().or_else(slow)
    }

    /// Writes a waiting value and ends the writer. Returns whether everything was written. Waits for at
    /// most two seconds, and tries only once if the disk fails. Values that are set afterwards stay in
    /// memory.
    pub async fn close(&self) -> bool {
        self.end();
        let mut ended = self.shared.ended.subscribe();
        let ended = tokio::time::timeout(CLOSE_DEADLINE, ended.wait_for(|ended| *ended)).await;
        let is_written = ended.is_ok() && self.shared.state.lock().next.is_none();
        if !is_written {
            let (path, what) = (self.shared.path.display(), self.shared.what);
            tracing::warn!(target: "mainstay", %path, "the newest {what} are not stored");
        }
        is_written
    }

    fn end(&self) {
        self.shared.state.lock().closing = true;
        self.shared.wake.notify_one();
    }
}

impl Drop for Document {
    fn drop(&mut self) {
        self.end();
    }
}

// === impl Shared ===

impl Shared {
    fn reject(&self, why: &dyn Display) {
        let (path, what) = (self.path.display(), self.what);
        tracing::warn!(
            target: "mainstay", %path, error = %why, "{what} can't be read; the file is set aside"
        );
        self.state.lock().unusable = true;
    }
}

#[cfg(test)]
mod tests;
