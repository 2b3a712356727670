//! Where the suite is tried.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mainstay_store::{Backend, Folder, Options};
use mainstay_telemetry::Metrics;
use mainstay_testkit::MemoryStore;
use tempfile::TempDir;

pub(crate) const NOW: u64 = 1_790_000_000;

/// A place where state survives the daemons that use it, one after another.
pub(crate) trait Place {
    /// Begins another daemon.
    fn open(&mut self) -> Backend;

    /// Ends the daemon as a kill would: what nobody waited for may be lost.
    fn crash(&mut self);
}

#[derive(Debug)]
pub(crate) struct StateFolder {
    path: TempDir,
    open: Option<Folder>,
    runs: AtomicU64,
}

#[derive(Debug, Default)]
pub(crate) struct InMemory(MemoryStore);

// === impl StateFolder ===

impl StateFolder {
    pub(crate) fn new() -> Self {
        Self { path: tempfile::tempdir().unwrap(), open: None, runs: AtomicU64::new(0) }
    }
}

impl Place for StateFolder {
    fn open(&mut self) -> Backend {
        self.open = None;
        let folder = Folder::open(self.path.path()).unwrap();
        let options = Options {
            run: self.runs.fetch_add(1, Ordering::Relaxed) + 1,
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

impl Place for InMemory {
    fn open(&mut self) -> Backend {
        self.0.open()
    }

    fn crash(&mut self) {
        self.0.crash();
    }
}
