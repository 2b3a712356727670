//! The servers at which a session is not restored yet.

use std::collections::BTreeSet;
use std::time::Duration;

use mainstay_model::ServerId;
use tokio::sync::watch;

/// The servers at which a session is not restored yet.
#[derive(Debug)]
pub(super) struct Restoring(watch::Sender<BTreeSet<ServerId>>);

/// Longest wait of a call until its session is restored at the server.
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

    /// Waits until the session is restored at a server, for at most [`RESTORE_WAIT_MAX`].
    pub(super) async fn wait(&self, server: ServerId) {
        let mut servers = self.0.subscribe();
        let done = servers.wait_for(|servers| !servers.contains(&server));
        let _ = tokio::time::timeout(RESTORE_WAIT_MAX, done).await;
    }
}
