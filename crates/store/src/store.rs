//! The journal for the rest of the daemon: notes are taken at once and written together.

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
use crate::sessions::{Known, SessionStore};

mod writer;

/// How the sessions of a state folder are opened.
#[derive(Debug)]
pub struct Options {
    /// A random number for this run of the daemon.
    pub run: u64,
    /// Seconds since 1970.
    pub now: u64,
    /// How long a session may be idle.
    pub idle: Duration,
    /// Sessions a daemon may have at a time.
    pub sessions_max: usize,
    pub metrics: Arc<Metrics>,
}

/// What became of sessions, in memory and on disk. A disk that fails costs a warning and, after a
/// restart of the daemon, what could not be written; nothing else.
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

/// What the writer and everybody else share.
#[derive(Debug)]
struct Shared {
    path: PathBuf,
    claim: Claim,
    metrics: Arc<Metrics>,
    inner: Mutex<Inner>,
    /// There is something to write, or the end has come.
    wake: Condvar,
    written: watch::Sender<Written>,
    /// [`Journal::replace`]; tests put a disk that hangs before it.
    replace: Replace,
}

type Replace = fn(&Path, &[u8]) -> std::io::Result<Journal>;

#[derive(Debug, Default)]
struct Inner {
    image: Image,
    /// Lines to add to the file.
    pending: Vec<u8>,
    /// The file has to be written anew, from the image.
    whole: bool,
    /// What has to be done before that, so that what could not be read of the file is not lost.
    aside: Option<Aside>,
    /// Records so far.
    noted: u64,
    failing: Option<Failing>,
    /// When the write that is under way began.
    busy_since: Option<Instant>,
    bytes: u64,
    closing: bool,
}

/// How a file is kept that is about to be replaced: [`file::set_aside`] or [`file::copy_aside`].
type Aside = fn(&Path) -> std::io::Result<PathBuf>;

#[derive(Debug)]
struct Failing {
    since: Instant,
    why: String,
}

/// How far the writer has come.
#[derive(Debug, Clone, Copy, Default)]
struct Written {
    /// Records that are on disk.
    upto: u64,
    /// Records that are in the file: there after the daemon is killed, though not after a power cut.
    added: u64,
    failing: bool,
    /// There is no writer any more.
    ended: bool,
}

/// Lines that wait for a slow disk. Beyond this they are dropped, since the image has it all, and
/// the file is written anew.
const PENDING_BYTES_MAX: usize = 1 << 20;
/// How often what nobody can come back for is looked for.
const PRUNE_SECONDS: u64 = 60;
/// How much later than noted a session may have been in use.
const LAG_SECONDS: u64 = 300;
/// Sessions of earlier runs that may still come back, as a multiple of what may be open at a time.
const KEPT_FACTOR: usize = 4;

// === impl Store ===

impl Store {
    /// Reads what is there and starts to write. Whatever is wrong with the file or the folder is
    /// said, and the store begins with what could be read.
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
            // Whatever was found, this run begins with a file that is whole.
            inner: Mutex::new(Inner { image, whole: true, aside, ..Inner::default() }),
            wake: Condvar::new(),
            written: watch::Sender::default(),
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

    async fn reached(&self, how_far: impl Fn(&Written) -> u64) -> bool {
        let noted = self.shared.inner.lock().noted;
        let mut written = self.shared.written.subscribe();
        let done = written.wait_for(|now| how_far(now) >= noted || now.failing || now.ended);
        let done = tokio::time::timeout(ANSWER_DEADLINE, done).await;
        matches!(done, Ok(Ok(now)) if how_far(&now) >= noted)
    }

    /// Returns how the journal is.
    pub(crate) fn state(&self) -> StoreState {
        let inner = self.shared.inner.lock();
        let failing = inner.failing.as_ref().map(|failing| failing.why.clone());
        let slow = || file::slow(&self.shared.path, inner.busy_since?);
        StoreState { failing: failing.or_else(slow), bytes: inner.bytes }
    }

    /// Writes what is left and ends the writer; returns whether everything was written. What is noted
    /// after this stays in memory.
    pub(crate) async fn close(&self) -> bool {
        self.end();
        let writer = self.writer.lock().take();
        if let Some(writer) = writer {
            // A disk that hangs must not keep the daemon from ending.
            let joined = tokio::task::spawn_blocking(move || writer.join());
            let _ = tokio::time::timeout(CLOSE_DEADLINE, joined).await;
        }
        let noted = self.shared.inner.lock().noted;
        self.shared.written.borrow().upto >= noted
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

    fn known(&self, of: Serial) -> Answer<'_, Known> {
        // Everything is in memory: nothing is waited for.
        let known = self.shared.inner.lock().image.known(of);
        Box::pin(std::future::ready(Ok(known)))
    }

    fn used(&self, uses: &[(Serial, u64)]) {
        self.note(uses.iter().map(|(of, at)| Record::Used { of: *of, at: *at }));
    }

    fn level(&self, of: Serial, at: u64, level: &str) {
        self.note([Record::Level { of, at, level: level.into() }]);
    }

    fn subscribed(&self, of: Serial, at: u64, server: &str, uri: &str) {
        self.note([Record::Subscribed { of, at, server: server.into(), uri: uri.into() }]);
    }

    fn unsubscribed(&self, of: Serial, server: &str, uri: &str) {
        self.note([Record::Unsubscribed { of, server: server.into(), uri: uri.into() }]);
    }

    fn ended(&self, of: Serial, at: u64) {
        self.note([Record::Ended { of, at }]);
    }

    /// Does nothing if called again within a minute.
    fn prune(&self, now: u64) {
        if self.pruned_at.load(Ordering::Relaxed).saturating_add(PRUNE_SECONDS) > now {
            return;
        }
        self.pruned_at.store(now, Ordering::Relaxed);
        let most = self.sessions_max.saturating_mul(KEPT_FACTOR);
        let idle = self.idle_seconds.saturating_add(LAG_SECONDS);
        self.shared.inner.lock().image.prune(now, idle, most);
    }

    fn stored(&self) -> Stored<'_> {
        Box::pin(self.reached(|written| written.upto))
    }

    fn written(&self) -> Stored<'_> {
        Box::pin(self.reached(|written| written.added))
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

/// Says what is wrong with a file, and sets aside what can't be read; returns how, where that failed.
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
            tracing::info!(target: "mainstay", %path, bytes, "cut off what was half written");
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
