//! The contract of every backend, whether it is the state folder or a service on the network.
//!
//! | the backend | a note (`used`, `save`, `record`, …) | `stored`, `flushed` | an answer (`status`, `get`, `put`, …) |
//! | --- | --- | --- | --- |
//! | works | is accepted at once | true once it is durable | the answer |
//! | fails | is accepted at once, kept in memory, and stored once the backend works | false at once | the correct answer, or [`Failed`] with the reason |
//! | hangs | the same | false within [`ANSWER_DEADLINE`] | the correct answer, [`Slow`] or [`Busy`] within that time |
//! | loses unconfirmed notes | is there completely or not at all | confirmed notes stay | reflects the notes that are left |
//!
//! An answer always includes everything that was noted before it. After an error, a change has either been
//! made completely or not at all. [`Upkeep::state`] tells why notes are not stored, as long as they are
//! not.
//!
//! [`ANSWER_DEADLINE`]: crate::ANSWER_DEADLINE
//! [`Failed`]: crate::Unavailable::Failed
//! [`Slow`]: crate::Unavailable::Slow
//! [`Busy`]: crate::Unavailable::Busy

use std::fmt::Debug;
use std::sync::Arc;

use crate::answer::Stored;
use crate::audit::AuditLog;
use crate::events::EventLog;
use crate::keys::KeyStore;
use crate::names::NameStore;
use crate::sessions::SessionStore;
use crate::table::Table;

/// Groups all state of a daemon behind traits. The rest of the daemon knows only these traits.
#[derive(Debug, Clone)]
pub struct Backend {
    pub sessions: Arc<dyn SessionStore>,
    pub names: Arc<dyn NameStore>,
    pub keys: Arc<dyn KeyStore>,
    pub audit: Arc<dyn AuditLog>,
    pub events: Arc<dyn EventLog>,
    pub users: Arc<dyn Table>,
    pub approvals: Arc<dyn Table>,
    pub usage: Arc<dyn Table>,
    /// The servers and services that were stopped by hand.
    pub stopped_by_hand: Arc<dyn Table>,
    pub upkeep: Arc<dyn Upkeep>,
}

/// Reports the state of a backend as a whole, and closes it.
pub trait Upkeep: Debug + Send + Sync {
    fn state(&self) -> StoreState;

    /// Stores what is not stored yet and closes the backend. Returns whether everything is stored durably.
    /// A backend that hangs is abandoned within [`CLOSE_DEADLINE`](crate::CLOSE_DEADLINE).
    fn close(&self) -> Stored<'_>;
}

/// The state of a backend, for health checks and metrics.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreState {
    /// The reason why a restart of the daemon would lose data, as long as it would.
    pub failing: Option<String>,
    /// The size of the stored sessions, in bytes.
    pub bytes: u64,
}
