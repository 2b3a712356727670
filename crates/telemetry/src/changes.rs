//! Changes of the condition of servers and of the daemon, for whoever keeps or tells them.
//!
//! A change is made known once, where it is decided. What becomes of it is up to the observers: one stores it,
//! another tells people. Observers are called in place and must not block.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use mainstay_model::{ChangeKind, Condition, InstanceId, Name};
use parking_lot::RwLock;
use tokio::sync::watch;

#[cfg(test)]
mod tests;

/// A change of the condition of a server, or of the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub at: SystemTime,
    /// None: the daemon itself.
    pub server: Option<Name>,
    /// The instance that changed.
    pub instance: Option<InstanceId>,
    pub from: Condition,
    pub to: Condition,
    /// The reason for the operator, with the last output of a process that died.
    pub reason: Option<String>,
    /// The same without paths, arguments, addresses and output.
    pub brief_reason: Option<String>,
}

/// Is called with each change. It must not block.
pub type ChangeObserver = Box<dyn Fn(&Change) + Send + Sync>;

/// Where changes are made known. Clones share the observers.
#[derive(Clone, Default)]
pub struct Changes(Arc<Inner>);

#[derive(Default)]
struct Inner {
    observers: RwLock<Vec<ChangeObserver>>,
    news: watch::Sender<News>,
}

#[derive(Debug, Clone, Copy, Default)]
struct News {
    count: u64,
    is_closed: bool,
}

/// Waits for changes.
#[derive(Debug)]
pub struct ChangeFollower(watch::Receiver<News>);

// === impl Change ===

impl Change {
    pub fn kind(&self) -> ChangeKind {
        ChangeKind::of(self.from, self.to)
    }
}

// === impl Changes ===

impl Changes {
    /// Adds an observer of all later changes. It is never removed.
    pub fn observe(&self, observer: ChangeObserver) {
        self.0.observers.write().push(observer);
    }

    /// Hands a change to all observers, then wakes who follows.
    pub fn make_known(&self, change: &Change) {
        for observer in self.0.observers.read().iter() {
            observer(change);
        }
        self.0.news.send_modify(|news| news.count += 1);
    }

    /// Waits for changes from now on.
    pub fn follow(&self) -> ChangeFollower {
        ChangeFollower(self.0.news.subscribe())
    }

    /// Ends all waits, because the daemon ends.
    pub fn close(&self) {
        self.0.news.send_modify(|news| news.is_closed = true);
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes").field("news", &*self.0.news.borrow()).finish_non_exhaustive()
    }
}

// === impl ChangeFollower ===

impl ChangeFollower {
    /// Takes note of all changes until now. Returns whether more may come.
    pub fn catch_up(&mut self) -> bool {
        !self.0.borrow_and_update().is_closed
    }

    /// Waits for a change since [`catch_up`](Self::catch_up), or for the end.
    pub async fn changed(&mut self) {
        // An error means that nobody can make a change known any more.
        let _ = self.0.changed().await;
    }
}
