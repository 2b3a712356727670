//! Where the suite is tried.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_store::{Backend, Folder, Options};
use mainstay_telemetry::Metrics;
use mainstay_testkit::{Freezer, MemoryStore};
use tempfile::TempDir;

pub(crate) const NOW: u64 = 1_790_000_000;
/// More than a busy machine needs beyond a deadline, or until a backend works again.
const PATIENCE: Duration = Duration::from_secs(60);

/// A place where state survives the daemons that use it, one after another.
pub(crate) trait Place {
    /// Begins another daemon.
    fn open(&mut self) -> Backend;

    /// Ends the daemon as a kill would: what nobody waited for may be lost.
    fn crash(&mut self);
}

/// A place that can be made to fail.
pub(crate) trait Fails: Place {
    fn fail(&mut self, fails: bool);
}

/// A place that can be kept from answering.
pub(crate) trait Hangs: Place {
    fn hang(&mut self, hangs: bool);
}

/// The backend of the state folder. It fails when the folder is taken away, and hangs when its threads
/// stand still, as threads do that wait for a disk.
#[derive(Default)]
pub(crate) struct StateFolder {
    outside: Option<TempDir>,
    open: Option<Folder>,
    runs: u64,
    frozen: Vec<Freezer>,
}

#[derive(Debug, Default)]
pub(crate) struct InMemory(MemoryStore);

/// The threads of the backend that touch the disk while a daemon serves.
const THREADS: [&str; 3] = ["mainstay-store", "mainstay-state", "mainstay-names"];

/// Waits for this, which may take so long and not much longer.
pub(crate) async fn within<T>(deadline: Duration, work: impl Future<Output = T>) -> T {
    let begun = Instant::now();
    let done = tokio::time::timeout(deadline + PATIENCE, work).await.expect("it ends");
    // What a machine takes that is busy is no deadline, and far less than none would be.
    assert!(begun.elapsed() < deadline * 2 + Duration::from_secs(5), "{:?}", begun.elapsed());
    done
}

/// Waits until this is so.
pub(crate) async fn soon(what: &str, so: impl AsyncFn() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !so().await {
        assert!(Instant::now() < until, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Whether this user may freeze a thread of this process.
fn can_freeze() -> bool {
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::Builder::new().name("to-be-frozen".to_owned());
    let thread = thread.spawn(move || ended.recv().is_ok()).unwrap();
    let can = Freezer::of_thread(std::process::id() as i32, "to-be-frozen").is_some();
    drop(end);
    thread.join().unwrap();
    can
}

// === impl StateFolder ===

impl StateFolder {
    pub(crate) fn new() -> Self {
        Self { outside: Some(tempfile::tempdir().unwrap()), ..Self::default() }
    }

    /// None where threads can't be frozen, or this process may have those of other tests.
    pub(crate) fn whose_threads_freeze() -> Option<Self> {
        let can = std::env::var_os("NEXTEST").is_some() && can_freeze();
        if !can {
            eprintln!("SKIPPED: this user, or this way to run tests, can't freeze single threads");
        }
        can.then(Self::new)
    }

    fn outside(&self, name: &str) -> std::path::PathBuf {
        self.outside.as_ref().unwrap().path().join(name)
    }
}

impl Place for StateFolder {
    fn open(&mut self) -> Backend {
        self.open = None;
        let folder = Folder::open(&self.outside("state")).unwrap();
        self.runs += 1;
        let options = Options {
            run: self.runs,
            now: NOW,
            idle: Duration::from_secs(3600),
            sessions_max: 1000,
            metrics: Arc::new(Metrics::new("0", [])),
        };
        let backend = folder.backend(options).unwrap();
        self.open = Some(folder);
        backend
    }

    fn crash(&mut self) {
        self.open = None;
    }
}

impl Fails for StateFolder {
    fn fail(&mut self, fails: bool) {
        let (state, elsewhere) = (self.outside("state"), self.outside("elsewhere"));
        match fails {
            true => fs::rename(state, elsewhere).unwrap(),
            false => fs::rename(elsewhere, state).unwrap(),
        }
    }
}

impl Hangs for StateFolder {
    fn hang(&mut self, hangs: bool) {
        self.frozen.clear();
        if hangs {
            let own = std::process::id() as i32;
            let frozen = THREADS.map(|thread| Freezer::of_thread(own, thread).unwrap());
            self.frozen.extend(frozen);
        }
    }
}

impl Place for InMemory {
    fn open(&mut self) -> Backend {
        self.0.open()
    }

    fn crash(&mut self) {
        self.0.crash();
    }
}

impl Fails for InMemory {
    fn fail(&mut self, fails: bool) {
        self.0.fail(fails.then_some("the service is away"));
    }
}

impl Hangs for InMemory {
    fn hang(&mut self, hangs: bool) {
        self.0.hang(hangs);
    }
}
