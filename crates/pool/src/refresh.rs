//! Refreshing lists of servers that don't announce changes.

use std::sync::Arc;
use std::time::Instant;

use mainstay_protocol::Era;
use mainstay_protocol::list::ListKind;
use mainstay_upstream::handshake;

use crate::instance::{Instance, ReadyRun};
use crate::pool::Pool;

impl Pool {
    /// Fetches a list again, unless the server announces changes or the TTL of the list has not passed. The
    /// old list stays if this fails or takes until `deadline`.
    pub async fn refresh_list(self: &Arc<Self>, era: Era, kind: ListKind, deadline: Instant) {
        if self.facts(era).is_none_or(|facts| !facts.capabilities.has_list(kind)) {
            return;
        }
        let Some((base, run)) = self.ready_base_or_start(era, deadline).await else { return };
        if run.is_fresh(kind, Instant::now()) {
            return;
        }
        self.fetch(&base, &run, kind, deadline).await;
    }

    /// Fetches a list again, because an answer has shown that it is outdated.
    pub async fn refetch_list(self: &Arc<Self>, era: Era, kind: ListKind, deadline: Instant) {
        if let Some((base, run)) = self.ready_base_or_start(era, deadline).await {
            self.fetch(&base, &run, kind, deadline).await;
        }
    }

    async fn fetch(&self, base: &Arc<Instance>, run: &ReadyRun, kind: ListKind, deadline: Instant) {
        let list = handshake::list(&run.link, kind);
        if let Ok(Ok(list)) = tokio::time::timeout_at(deadline.into(), list).await {
            let changed = run.facts.load().lists.of(kind) != list.items;
            run.set_list(kind, list);
            // Notify clients only of a real change, because they fetch the list again.
            if changed {
                self.publish_facts(base, &run.facts.load_full(), &[kind]);
            }
        }
    }

    /// The base instance with its run, if it is ready. Starts a base instance that was stopped because it
    /// was idle, and waits for it.
    async fn ready_base_or_start(
        self: &Arc<Self>,
        era: Era,
        deadline: Instant,
    ) -> Option<(Arc<Instance>, Arc<ReadyRun>)> {
        if self.base(era).is_some() {
            return self.ready_base(era);
        }
        let second = self.base_or_start(era).ok()?;
        let run = self.wait_ready(&second, deadline).await.ok()?;
        Some((second, run))
    }
}
