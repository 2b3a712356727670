//! The state of client-specific lists: lists that depend on the capabilities of the client.

mod findings;
mod known;

use parking_lot::Mutex;
use tokio::sync::watch;

pub use self::findings::ListFindings;
pub(crate) use self::findings::version_of;
pub(crate) use self::known::{KnownLists, LookUp, everything};

/// The client-specific lists of a server.
#[derive(Debug, Default)]
pub(crate) struct ClientLists {
    pub(crate) known: Mutex<KnownLists>,
    /// Counts changes of `known`. Waiters check again after each.
    pub(crate) learnt: watch::Sender<u64>,
}
