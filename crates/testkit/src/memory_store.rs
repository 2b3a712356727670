//! A backend for state in memory that fails, hangs and loses data on demand.

mod events;
mod keys;
mod sessions;
mod tables;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mainstay_session::Serial;
use mainstay_store::{
    AuditEntry, Backend, KEY_BYTES, KeyName, NamesByEndpoint, Row, SessionStatus, StoreState,
    Stored, StoredEvent, Unavailable, Upkeep,
};
use parking_lot::Mutex;
use tokio::sync::watch;

use self::sessions::Run;
use self::tables::Rows;

/// State that outlives a daemon, for several daemons one after another.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    faults: watch::Sender<Faults>,
    runs: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    /// The data as readers see it.
    now: Data,
    /// The data that survives a crash.
    safe: Data,
}

#[derive(Debug, Clone, Default)]
struct Data {
    sessions: BTreeMap<Serial, SessionStatus>,
    names: NamesByEndpoint,
    keys: BTreeMap<KeyName, [u8; KEY_BYTES]>,
    audit: Vec<AuditEntry>,
    events: Vec<StoredEvent>,
    /// Keyed by kind and key.
    rows: BTreeMap<(&'static str, String), Row>,
}

#[derive(Debug, Clone, Default)]
struct Faults {
    fails: Option<String>,
    hangs: bool,
}

/// Longest wait for an operation that hangs: less than any backend may take, so that tests are quick.
const DEADLINE: Duration = Duration::from_millis(200);

// === impl MemoryStore ===

impl MemoryStore {
    /// Begins another daemon here.
    pub fn open(&self) -> Backend {
        let run = self.shared.runs.fetch_add(1, Ordering::Relaxed) + 1;
        let rows = |kind| Arc::new(Rows { store: self.clone(), kind });
        Backend {
            sessions: Arc::new(Run::new(self.clone(), run)),
            names: Arc::new(self.clone()),
            keys: Arc::new(self.clone()),
            audit: Arc::new(self.clone()),
            events: Arc::new(self.clone()),
            users: rows("users"),
            approvals: rows("approvals"),
            usage: rows("usage"),
            stopped_by_hand: rows("stopped"),
            upkeep: Arc::new(self.clone()),
        }
    }

    /// Loses every change that was not awaited.
    pub fn crash(&self) {
        let mut state = self.shared.state.lock();
        state.now = state.safe.clone();
    }

    /// Fails everything with these words from now on; none: no more.
    pub fn fail(&self, why: Option<&str>) {
        self.shared.faults.send_modify(|faults| faults.fails = why.map(str::to_owned));
    }

    /// Answers nothing from now on, or again.
    pub fn hang(&self, hangs: bool) {
        self.shared.faults.send_modify(|faults| faults.hangs = hangs);
    }

    /// How many wait for an answer.
    pub fn waiting(&self) -> usize {
        self.shared.faults.receiver_count()
    }

    /// Waits until it may answer.
    async fn answers(&self) -> Result<(), Unavailable> {
        let mut faults = self.shared.faults.subscribe();
        let moves = faults.wait_for(|faults| !faults.hangs);
        match tokio::time::timeout(DEADLINE, moves).await {
            Ok(Ok(faults)) => match &faults.fails {
                Some(why) => Err(Unavailable::Failed(why.clone())),
                None => Ok(()),
            },
            Ok(Err(_)) => Err(Unavailable::Closed),
            Err(_) => Err(Unavailable::Slow(DEADLINE)),
        }
    }

    /// Makes a change that a crash may undo.
    fn note(&self, change: impl FnOnce(&mut Data)) {
        change(&mut self.shared.state.lock().now);
    }

    /// Makes a change that nothing undoes.
    fn keep<T>(&self, change: impl Fn(&mut Data) -> T) -> T {
        let mut state = self.shared.state.lock();
        change(&mut state.safe);
        change(&mut state.now)
    }

    fn read<T>(&self, read: impl FnOnce(&Data) -> T) -> T {
        read(&self.shared.state.lock().now)
    }

    async fn stored(&self) -> bool {
        let answers = self.answers().await.is_ok();
        if answers {
            let mut state = self.shared.state.lock();
            state.safe = state.now.clone();
        }
        answers
    }
}

impl Upkeep for MemoryStore {
    fn state(&self) -> StoreState {
        let faults = self.shared.faults.borrow();
        StoreState { failing: faults.fails.clone(), bytes: 0 }
    }

    fn close(&self) -> Stored<'_> {
        Box::pin(self.stored())
    }
}
