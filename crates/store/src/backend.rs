//! What every place for state promises, whether it is the state folder or a service on the network.

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
    /// there. A backend that hangs is given up after a few seconds.
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
