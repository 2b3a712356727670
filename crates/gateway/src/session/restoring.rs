//! The servers that a restored session still has to be made known to.

use std::collections::BTreeSet;
use std::time::Duration;

use mainstay_model::ServerId;
use tokio::sync::watch;

/// Servers that a restored session still has to be made known to.
#[derive(Debug)]
pub(super) struct Restoring(watch::Sender<BTreeSet<ServerId>>);

/// Longest that a call waits until a server knows again what its session had asked for.
const RESTORE_WAIT_MAX: Duration = Duration::from_secs(5);

// === impl Restoring ===

impl Restoring {
    pub(super) fn new(servers: BTreeSet<ServerId>) -> Self {
        Self(watch::Sender::new(servers))
    }

    pub(super) fn servers(&self) -> BTreeSet<ServerId> {
        self.0.borrow().clone()
    }

    pub(super) fn done(&self, server: ServerId) {
        self.0.send_modify(|servers| {
            servers.remove(&server);
        });
    }

    /// Waits until a server knows what it has to know, for as long as a call may be held up by it.
    pub(super) async fn wait(&self, server: ServerId) {
        let mut servers = self.0.subscribe();
        let done = servers.wait_for(|servers| !servers.contains(&server));
        let _ = tokio::time::timeout(RESTORE_WAIT_MAX, done).await;
    }
}
