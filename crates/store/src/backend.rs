//! What every place for state promises, whether it is the state folder or a service on the network.
//!
//! | the place | a note (`used`, `save`, `record`, …) | `stored`, `written` | an answer (`known`, `get`, `put`, …) |
//! | --- | --- | --- | --- |
//! | works | is taken at once | true once it survives | the answer |
//! | fails | is taken at once, kept in memory, stored once the place works | false at once | the right answer, or [`Failed`] with the reason |
//! | hangs | the same | false within [`ANSWER_DEADLINE`] | the right answer, [`Slow`] or [`Busy`] within that |
//! | loses what it has not confirmed | is there or not, never in part | what was confirmed stays | as of what is left |
//!
//! Nothing that was noted is ever answered as if it were not there, and after an error a change has been made or
//! not. [`Upkeep::state`] says why notes are not stored, while that is so.
//!
//! [`ANSWER_DEADLINE`]: crate::ANSWER_DEADLINE
//! [`Failed`]: crate::Unavailable::Failed
//! [`Slow`]: crate::Unavailable::Slow
//! [`Busy`]: crate::Unavailable::Busy

use std::fmt::Debug;
use std::sync::Arc;

use crate::answer::Stored;
use crate::audit::AuditLog;
use crate::keys::KeyStore;
use crate::names::NameStore;
use crate::sessions::SessionStore;
use crate::table::Table;

/// A place for all state of a daemon. Whoever uses it knows only these traits.
#[derive(Debug, Clone)]
pub struct Backend {
    pub sessions: Arc<dyn SessionStore>,
    pub names: Arc<dyn NameStore>,
    pub keys: Arc<dyn KeyStore>,
    pub audit: Arc<dyn AuditLog>,
    pub users: Arc<dyn Table>,
    pub approvals: Arc<dyn Table>,
    pub usage: Arc<dyn Table>,
    pub upkeep: Arc<dyn Upkeep>,
}

/// How a backend is, as a whole, and its end.
pub trait Upkeep: Debug + Send + Sync {
    fn state(&self) -> StoreState;

    /// Brings what is left to where it survives and ends the backend; returns whether everything is
    /// there. One that hangs is given up within [`CLOSE_DEADLINE`](crate::CLOSE_DEADLINE).
    fn close(&self) -> Stored<'_>;
}

/// How it is with a backend, for whoever watches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreState {
    /// Why a restart of the daemon would lose something, while that is so.
    pub failing: Option<String>,
    /// Size of what is stored of sessions.
    pub bytes: u64,
}
