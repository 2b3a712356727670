//! Implements the session store in memory.

use std::sync::atomic::{AtomicU64, Ordering};

use mainstay_session::Serial;
use mainstay_store::{Answer, SessionChanges, SessionStatus, SessionStore, Stored};

use super::MemoryStore;

/// Gives one run of a daemon access to the sessions.
#[derive(Debug)]
pub(super) struct Run {
    store: MemoryStore,
    run: u64,
    opened: AtomicU64,
}

// === impl Run ===

impl Run {
    pub(super) fn new(store: MemoryStore, run: u64) -> Self {
        Self { store, run, opened: AtomicU64::new(0) }
    }

    /// Applies `change` to a session, unless the session has ended.
    fn change(&self, session: Serial, change: impl FnOnce(&mut SessionChanges)) {
        self.store.note(|data| {
            let status = data.sessions.entry(session).or_insert(SessionStatus::Unchanged);
            if *status == SessionStatus::Unchanged {
                *status = SessionStatus::Changed(SessionChanges::default());
            }
            if let SessionStatus::Changed(changes) = status {
                change(changes);
            }
        });
    }
}

impl SessionStore for Run {
    fn next(&self) -> Serial {
        Serial { run: self.run, number: self.opened.fetch_add(1, Ordering::Relaxed) + 1 }
    }

    fn status(&self, session: Serial) -> Answer<'_, SessionStatus> {
        Box::pin(async move {
            self.store.answers().await?;
            let status = self.store.read(|data| data.sessions.get(&session).cloned());
            Ok(status.unwrap_or(SessionStatus::Unchanged))
        })
    }

    fn used(&self, uses: &[(Serial, u64)]) {
        for (session, at) in uses {
            self.change(*session, |changes| changes.used_at = changes.used_at.max(*at));
        }
    }

    fn level(&self, session: Serial, at: u64, level: &str) {
        self.change(session, |changes| {
            changes.used_at = changes.used_at.max(at);
            changes.level = Some(level.into());
        });
    }

    fn subscribed(&self, session: Serial, at: u64, server: &str, uri: &str) {
        self.change(session, |changes| {
            changes.used_at = changes.used_at.max(at);
            changes.subscriptions.insert((server.into(), uri.into()));
        });
    }

    fn unsubscribed(&self, session: Serial, server: &str, uri: &str) {
        self.change(session, |changes| {
            changes.subscriptions.remove(&(server.into(), uri.into()));
        });
    }

    fn ended(&self, session: Serial, _: u64) {
        self.store.note(|data| {
            data.sessions.insert(session, SessionStatus::Ended);
        });
    }

    /// Keeps everything: no test runs long enough.
    fn prune(&self, _: u64) {}

    fn stored(&self) -> Stored<'_> {
        Box::pin(self.store.stored())
    }

    fn flushed(&self) -> Stored<'_> {
        Box::pin(self.store.stored())
    }
}
