//! The sessions in the store.

use std::sync::atomic::{AtomicU64, Ordering};

use mainstay_session::Serial;
use mainstay_store::{Answer, Kept, Known, SessionStore, Stored};

use super::MemoryStore;

/// The sessions as one daemon sees them.
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

    /// Changes the record of a session, unless the session has ended.
    fn change(&self, of: Serial, change: impl FnOnce(&mut Kept)) {
        self.store.note(|data| {
            let known = data.sessions.entry(of).or_insert(Known::Nothing);
            if *known == Known::Nothing {
                *known = Known::Kept(Kept::default());
            }
            if let Known::Kept(kept) = known {
                change(kept);
            }
        });
    }
}

impl SessionStore for Run {
    fn next(&self) -> Serial {
        Serial { run: self.run, number: self.opened.fetch_add(1, Ordering::Relaxed) + 1 }
    }

    fn known(&self, of: Serial) -> Answer<'_, Known> {
        Box::pin(async move {
            self.store.answers().await?;
            let known = self.store.read(|data| data.sessions.get(&of).cloned());
            Ok(known.unwrap_or(Known::Nothing))
        })
    }

    fn used(&self, uses: &[(Serial, u64)]) {
        for (of, at) in uses {
            self.change(*of, |kept| kept.used_at = kept.used_at.max(*at));
        }
    }

    fn level(&self, of: Serial, at: u64, level: &str) {
        self.change(of, |kept| {
            kept.used_at = kept.used_at.max(at);
            kept.level = Some(level.into());
        });
    }

    fn subscribed(&self, of: Serial, at: u64, server: &str, uri: &str) {
        self.change(of, |kept| {
            kept.used_at = kept.used_at.max(at);
            kept.subscriptions.insert((server.into(), uri.into()));
        });
    }

    fn unsubscribed(&self, of: Serial, server: &str, uri: &str) {
        self.change(of, |kept| {
            kept.subscriptions.remove(&(server.into(), uri.into()));
        });
    }

    fn ended(&self, of: Serial, _: u64) {
        self.store.note(|data| {
            data.sessions.insert(of, Known::Ended);
        });
    }

    /// Keeps everything: no test runs long enough.
    fn prune(&self, _: u64) {}

    fn stored(&self) -> Stored<'_> {
        Box::pin(self.store.stored())
    }

    fn written(&self) -> Stored<'_> {
        Box::pin(self.store.stored())
    }
}
