//! State that stdio and HTTP share: counters, and questions to the client.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::{broadcast, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::flags::Flags;
use super::hangs::Hangs;
use super::message::{Incoming, Outlet};

/// Longest wait for the answer to a question.
const ANSWER_WITHIN: Duration = Duration::from_secs(120);

pub(super) struct Server {
    pub(super) flags: Flags,
    /// How often each thing happened, as shown by `stats`.
    counters: Mutex<BTreeMap<String, u64>>,
    /// The level that was set last. None before the first.
    pub(super) level: Mutex<Option<String>>,
    /// Tools added by `change`.
    pub(super) added: AtomicU64,
    /// List requests that a fault was meant for.
    pub(super) faulty_lists: AtomicU64,
    /// Calls of `work` in progress.
    pub(super) working: AtomicU64,
    /// Counts those tools; listens wait for it.
    pub(super) changes: watch::Sender<u64>,
    /// URIs of resources that `touch` reported as updated.
    pub(super) touches: broadcast::Sender<String>,
    /// The method of the first message.
    pub(super) first: OnceLock<String>,
    pub(super) questions: Mutex<HashMap<u64, oneshot::Sender<Incoming>>>,
    next_question: AtomicU64,
    pub(super) running: Mutex<HashMap<String, CancellationToken>>,
    dice: AtomicU64,
    /// Cancelled by the first call of a tool.
    pub(super) called: CancellationToken,
    pub(super) hangs: Hangs,
}

/// The two ways out of a request: its own exchange, and the session's side stream.
#[derive(Clone)]
pub(super) struct Ways {
    pub(super) exchange: Outlet,
    pub(super) side: Outlet,
}

/// Most updates that wait for a slow listen; older ones are dropped.
const TOUCHES_MAX: usize = 64;

// === impl Server ===

impl Server {
    pub(super) fn new(flags: Flags) -> Arc<Self> {
        let seed = flags.number("seed").unwrap_or(1) as u64;
        Arc::new(Self {
            flags,
            counters: Mutex::default(),
            level: Mutex::default(),
            added: AtomicU64::new(0),
            faulty_lists: AtomicU64::new(0),
            working: AtomicU64::new(0),
            changes: watch::Sender::new(0),
            touches: broadcast::Sender::new(TOUCHES_MAX),
            first: OnceLock::new(),
            questions: Mutex::default(),
            next_question: AtomicU64::new(0),
            running: Mutex::default(),
            dice: AtomicU64::new(seed),
            called: CancellationToken::new(),
            hangs: Hangs::default(),
        })
    }

    pub(super) fn count(&self, what: &str) {
        *self.counters.lock().entry(what.to_owned()).or_default() += 1;
    }

    pub(super) fn stats(&self) -> Value {
        let level = self.level.lock().clone();
        json!({"pid": std::process::id(), "counts": *self.counters.lock(), "level": level})
    }

    /// Asks the client; none when it does not answer in time or answers with an error.
    pub(super) async fn ask(&self, out: &Outlet, method: &str, params: &Value) -> Option<Value> {
        let id = self.next_question.fetch_add(1, Ordering::Relaxed);
        let (sender, receiver) = oneshot::channel();
        self.questions.lock().insert(id, sender);
        let question =
            format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#);
        out.send(question).await;
        let answer = tokio::time::timeout(ANSWER_WITHIN, receiver).await;
        self.questions.lock().remove(&id);
        answer.ok()?.ok().and_then(|answer| answer.result.or(answer.error))
    }

    /// The next random number below `below`; the same seed gives the same numbers.
    pub(super) fn roll(&self, below: u64) -> u64 {
        let state = self.dice.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % below.max(1)
    }
}
