//! The sessions of the daemon: opened, found, restored, and ended.

mod ending;
pub(crate) mod get_stream;
pub(crate) mod levels;
pub(crate) mod open;
pub(crate) mod restore;
mod stored;
pub(crate) mod subscribe;

use std::sync::Arc;

use mainstay_session::{QuestionNumbers, SealKey};
use mainstay_store::{SessionStore, Upkeep};

use crate::directory::Directory;
use crate::serving::Serving;
use crate::session::levels::LogLevels;
use crate::session::subscription_locks::SubscriptionLocks;
use crate::session::table::SessionTable;
use crate::stream::replay_budget::ReplayBudget;

/// The highest of the three contexts: what calls and sessions need.
pub(crate) struct Sessions {
    pub(crate) serving: Arc<Serving>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) table: SessionTable,
    /// Counts what streams hold for clients that read slowly or may return.
    pub(crate) replay: Arc<ReplayBudget>,
    pub(crate) question_numbers: QuestionNumbers,
    pub(crate) levels: LogLevels,
    subscription_locks: Arc<SubscriptionLocks>,
    key: SealKey,
    pub(crate) store: Arc<dyn SessionStore>,
    pub(crate) upkeep: Arc<dyn Upkeep>,
}

// === impl Sessions ===

impl Sessions {
    pub(crate) fn new(
        serving: Arc<Serving>,
        directory: Arc<Directory>,
        key: SealKey,
        (store, upkeep): (Arc<dyn SessionStore>, Arc<dyn Upkeep>),
    ) -> Arc<Self> {
        Arc::new(Self {
            table: SessionTable::new(serving.settings().limits.sessions_max),
            replay: ReplayBudget::new(first_number(), serving.budget),
            question_numbers: QuestionNumbers::beginning_at(first_number()),
            levels: LogLevels::default(),
            subscription_locks: Arc::default(),
            serving,
            directory,
            key,
            store,
            upkeep,
        })
    }
}

/// Returns a random number, which another run of the daemon hardly begins with.
fn first_number() -> u32 {
    let mut random = [0; 4];
    if getrandom::fill(&mut random).is_ok() {
        return u32::from_ne_bytes(random);
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |since| since.subsec_nanos())
}
