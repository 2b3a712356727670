//! One small file that is replaced as a whole: read when the daemon starts, and written by a thread of its
//! own from then on.

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

/// A file whose content is a value in memory. No method but [`Document::open`] and [`Document::close`]
/// waits, however long the disk takes, and these two wait for at most two seconds.
#[derive(Debug)]
pub struct Document {
    shared: Arc<Shared>,
}

/// What the writer and everybody else share.
#[derive(Debug)]
struct Shared {
    path: PathBuf,
    /// What is in the file, for messages: a plural.
    what: &'static str,
    claim: Claim,
    disk: Disk,
    /// Held for moments only, never while a file is touched.
    state: Mutex<State>,
    /// There is something to do, or the end has come.
    wake: Condvar,
    /// How many values have come to the file, those that were replaced before it included.
    stored: watch::Sender<u64>,
    /// There is no writer any more.
    ended: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct State {
    /// The newest value that is not in the file.
    next: Option<Vec<u8>>,
    /// How many values there have been.
    set: u64,
    /// The file holds what nobody could make use of. It is set aside before anything is written.
    unusable: bool,
    /// When the attempt that is under way began.
    busy_since: Option<Instant>,
    /// Why the last attempt failed.
    failing: Option<String>,
    closing: bool,
}

/// The calls that may hang. Tests put others in their place.
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

/// Published names.
pub(crate) const NAMES: &str = "names.json";
/// Format 0 says none.
pub(crate) const NAMES_FORMAT: u64 = 1;
/// No file that was written here comes near it; memory is spared from one that is something else.
const BYTES_MAX: u64 = 64 << 20;
/// How long a start of the daemon waits for the file.
const READ_DEADLINE: Duration = Duration::from_secs(2);

// === impl Document ===

impl Document {
    /// Reads the file and starts its writer. `what` names what the file holds in messages and is a plural,
    /// such as "published names".
    ///
    /// None: there is no file, or it can't be read within two seconds. One that can't be read is set
    /// aside as `FILE.unreadable`, with a warning, and while that fails it is not overwritten: values stay
    /// in memory, and [`Self::failing`] says so.
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
        // No room: a result that comes after the deadline finds nobody, and the writer knows that.
        let (tell, told) = sync_channel(0);
        writer::start(&document.shared, tell);
        let content = match told.recv_timeout(deadline) {
            Ok(content) => content,
            Err(RecvTimeoutError::Timeout) => {
                let shared = &document.shared;
                tracing::warn!(
                    target: "mainstay", path = %shared.path.display(),
                    "the disk takes too long to read {}; going on without them", shared.what
                );
                None
            }
            // There is no writer, and that has been said.
            Err(RecvTimeoutError::Disconnected) => None,
        };
        (document, content)
    }

    /// Says that what was read is not what this file should hold. It is set aside rather than overwritten,
    /// and `why` is logged.
    pub fn reject(&self, why: &dyn Display) {
        self.shared.reject(why);
        self.shared.wake.notify_one();
    }

    /// Makes `value` the content of the file as soon as the disk allows. Of several values that wait,
    /// only the newest is written.
    pub fn set(&self, value: Vec<u8>) {
        let mut state = self.shared.state.lock();
        state.next = Some(value);
        state.set += 1;
        drop(state);
        self.shared.wake.notify_one();
    }

    /// Waits until the newest value is stored; returns whether it is. A disk that fails is not waited
    /// for, and one that is slow for a second.
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

    /// Why a restart of the daemon would lose the present value, while that is so: with the path and
    /// what the system says.
    pub fn failing(&self) -> Option<String> {
        let state = self.shared.state.lock();
        let slow = || file::slow(&self.shared.path, state.busy_since?);
        state.failing.clone().or_else(slow)
    }

    /// Writes what is left and ends the writer; returns whether everything was written. A disk that hangs
    /// is waited for for two seconds, and one that fails is tried once. A value that is set after this
    /// stays in memory.
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
