//! The session store of the state folder. It takes notes in memory at once and writes them to the journal
//! together.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mainstay_session::Serial;
use mainstay_telemetry::Metrics;
use mainstay_telemetry::events::StoreDamaged;
use parking_lot::{Condvar, Mutex};
use tokio::sync::watch;

use crate::answer::{ANSWER_DEADLINE, Answer, CLOSE_DEADLINE, Stored};
use crate::backend::StoreState;
use crate::file;
use crate::image::Image;
use crate::journal::{self, Found, Journal};
use crate::lock::Claim;
use crate::record::Record;
use crate::sessions::{SessionStatus, SessionStore};

mod writer;

/// The options for opening the sessions of a state folder.
#[derive(Debug)]
pub struct Options {
    /// A random number for this run of the daemon.
    pub run: u64,
    /// The time, in seconds since 1970.
    pub now: u64,
    /// The longest time for which a session may be idle.
    pub idle: Duration,
    /// The largest number of open sessions of a daemon.
    pub sessions_max: usize,
    pub metrics: Arc<Metrics>,
}

/// Stores changes of sessions in memory and on disk. A disk that fails causes a warning and, after a
/// restart of the daemon, the loss of what could not be written. Serving continues.
#[derive(Debug)]
pub(crate) struct Store {
    shared: Arc<Shared>,
    run: u64,
    opened: AtomicU64,
    idle_seconds: u64,
    pruned_at: AtomicU64,
    sessions_max: usize,
    writer: Mutex<Option<std::thread::JoinHandle<()>>>,
}

/// The state that the writer shares with its users.
#[derive(Debug)]
struct Shared {
    path: PathBuf,
    claim: Claim,
    metrics: Arc<Metrics>,
    inner: Mutex<Inner>,
    /// Signals something to write, or that the store closes.
    wake: Condvar,
    progress: watch::Sender<WriterProgress>,
    /// [`Journal::replace`]. Tests replace it to make the disk hang.
    replace: Replace,
}

type Replace = fn(&Path, &[u8]) -> std::io::Result<Journal>;

#[derive(Debug, Default)]
struct Inner {
    image: Image,
    /// Lines to append to the file.
    pending: Vec<u8>,
    /// Whether the file has to be replaced from the image.
    whole: bool,
    /// The step that preserves unreadable parts of the old file before it is replaced.
    aside: Option<Aside>,
    /// The number of records that were ever noted.
    noted: u64,
    failing: Option<Failing>,
    /// The time at which the current write began.
    busy_since: Option<Instant>,
    bytes: u64,
    closing: bool,
}

/// Preserves a file that is about to be replaced: [`file::set_aside`] or [`file::copy_aside`].
type Aside = fn(&Path) -> std::io::Result<PathBuf>;

#[derive(Debug)]
struct Failing {
    since: Instant,
    why: String,
}

/// The progress of the writer, in numbers of records.
#[derive(Debug, Clone, Copy, Default)]
struct WriterProgress {
    /// Records that are synced to disk.
    synced: u64,
    /// Records that are in the file. They survive the end of the daemon, but not a power cut.
    flushed: u64,
    failing: bool,
    /// Whether the writer has ended.
    ended: bool,
}

/// The largest size of the lines that wait for a slow disk. Beyond it they are dropped and the file is
/// replaced from the image, which contains all of them.
const PENDING_BYTES_MAX: usize = 1 << 20;
/// The shortest interval between searches for sessions that no client can return to.
const PRUNE_SECONDS: u64 = 60;
/// The longest time by which a session's last use may be later than noted.
const LAG_SECONDS: u64 = 300;
/// The number of sessions of earlier runs that can return, as a multiple of the sessions that may be open.
const RESTORABLE_FACTOR: usize = 4;

// === impl Store ===

impl Store {
    /// Reads the journal and starts the writer. Problems with the file or the folder are logged, and the
    /// store starts with what could be read.
    pub(crate) fn open(folder: &Path, claim: Claim, options: Options) -> Self {
        Self::open_on(folder, claim, options, Journal::replace)
    }

    fn open_on(folder: &Path, claim: Claim, options: Options, replace: Replace) -> Self {
        let Options { run, now, idle, sessions_max, metrics } = options;
        let path = folder.join(journal::FILE);
        let mut image = Image::default();
        let found = journal::read(&path, |record| image.apply(record));
        let aside = report(&path, &found, &metrics);
        let shared = Arc::new(Shared {
            path,
            claim,
            metrics,
            // Every run starts by replacing the file, so that it is complete.
            inner: Mutex::new(Inner { image, whole: true, aside, ..Inner::default() }),
            wake: Condvar::new(),
            progress: watch::Sender::default(),
            replace,
        });
        let store = Self {
            run,
            opened: AtomicU64::new(0),
            idle_seconds: idle.as_secs(),
            pruned_at: AtomicU64::new(0),
            sessions_max,
            writer: Mutex::new(writer::start(&shared)),
            shared,
        };
        store.prune(now);
        store
    }

    async fn wait_for_progress(&self, count: impl Fn(&WriterProgress) -> u64) -> bool {
        let noted = self.shared.inner.lock().noted;
        let mut progress = self.shared.progress.subscribe();
        let done = progress.wait_for(|now| count(now) >= noted || now.failing || now.ended);
        let done = tokio::time::timeout(ANSWER_DEADLINE, done).await;
        matches!(done, Ok(Ok(now)) if count(&now) >= noted)
    }

    /// Returns the state of the journal.
    pub(crate) fn state(&self) -> StoreState {
        let inner = self.shared.inner.lock();
        let failing = inner.failing.as_ref().map(|failing| failing.why.clone());
        let slow = || file::slow(&self.shared.path, inner.busy_since?);
        StoreState { failing: failing.or_else(slow), bytes: inner.bytes }
    }

    /// Writes the pending records and ends the writer. Returns whether everything was written. Later notes
    /// stay in memory.
    pub(crate) async fn close(&self) -> bool {
        self.end();
        let writer = self.writer.lock().take();
        if let Some(writer) = writer {
            // A disk that hangs must not keep the daemon from ending.
            let joined = tokio::task::spawn_blocking(move || writer.join());
            let _ = tokio::time::timeout(CLOSE_DEADLINE, joined).await;
        }
        let noted = self.shared.inner.lock().noted;
        self.shared.progress.borrow().synced >= noted
    }

    fn end(&self) {
        self.shared.inner.lock().closing = true;
        self.shared.wake.notify_one();
    }

    fn note(&self, records: impl IntoIterator<Item = Record>) {
        let mut inner = self.shared.inner.lock();
        let before = inner.noted;
        for record in records {
            inner.note(record);
        }
        let news = inner.noted > before;
        drop(inner);
        if news {
            self.shared.wake.notify_one();
        }
    }
}

impl SessionStore for Store {
    fn next(&self) -> Serial {
        Serial { run: self.run, number: self.opened.fetch_add(1, Ordering::Relaxed) + 1 }
    }

    fn status(&self, session: Serial) -> Answer<'_, SessionStatus> {
        // The image is in memory, so the answer is ready.
        let status = self.shared.inner.lock().image.status(session);
        Box::pin(std::future::ready(Ok(status)))
    }

    fn used(&self, uses: &[(Serial, u64)]) {
        self.note(uses.iter().map(|(session, at)| Record::Used { session: *session, at: *at }));
    }

    fn level(&self, session: Serial, at: u64, level: &str) {
        self.note([Record::Level { session, at, level: level.into() }]);
    }

    fn subscribed(&self, session: Serial, at: u64, server: &str, uri: &str) {
        self.note([Record::Subscribed { session, at, server: server.into(), uri: uri.into() }]);
    }

    fn unsubscribed(&self, session: Serial, server: &str, uri: &str) {
        self.note([Record::Unsubscribed { session, server: server.into(), uri: uri.into() }]);
    }

    fn ended(&self, session: Serial, at: u64) {
        self.note([Record::Ended { session, at }]);
    }

    /// Does nothing if called again within a minute.
    fn prune(&self, now: u64) {
        if self.pruned_at.load(Ordering::Relaxed).saturating_add(PRUNE_SECONDS) > now {
            return;
        }
        self.pruned_at.store(now, Ordering::Relaxed);
        let most = self.sessions_max.saturating_mul(RESTORABLE_FACTOR);
        let idle = self.idle_seconds.saturating_add(LAG_SECONDS);
        self.shared.inner.lock().image.prune(now, idle, most);
    }

    fn stored(&self) -> Stored<'_> {
        Box::pin(self.wait_for_progress(|progress| progress.synced))
    }

    fn flushed(&self) -> Stored<'_> {
        Box::pin(self.wait_for_progress(|progress| progress.flushed))
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.end();
    }
}

// === impl Inner ===

impl Inner {
    fn note(&mut self, record: Record) {
        self.noted += 1;
        if !self.whole {
            record.write(&mut self.pending);
            if self.pending.len() > PENDING_BYTES_MAX {
                self.rewrite();
            }
        }
        self.image.apply(record);
    }

    fn rewrite(&mut self) {
        self.whole = true;
        self.pending = Vec::new();
    }
}

/// Logs problems with a file and sets aside what can't be read. Returns the step to retry if that failed.
fn report(path: &Path, found: &std::io::Result<Found>, metrics: &Metrics) -> Option<Aside> {
    let damaged = |problem: &str, aside: Aside| {
        let kept = aside(path);
        StoreDamaged { path, aside: kept.as_deref().ok(), problem }.emit(metrics);
        kept.err().map(|_| aside)
    };
    match found {
        Ok(Found::Nothing | Found::Whole) => None,
        Ok(Found::Torn { bytes }) => {
            let path = path.display();
            tracing::info!(target: "mainstay", %path, bytes, "removed a half-written end of the file");
            None
        }
        Ok(Found::Damaged { lines }) => {
            damaged(&format!("lines that can't be read: {lines}"), file::copy_aside)
        }
        Ok(Found::Foreign) => damaged("it has another format", file::set_aside),
        Ok(Found::TooLarge) => damaged("it is too large", file::set_aside),
        Err(error) => damaged(&error.to_string(), file::set_aside),
    }
}

#[cfg(test)]
mod tests;
