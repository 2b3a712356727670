//! Lists of servers that do not tell when they change.

use std::sync::Arc;
use std::time::Instant;

use mainstay_protocol::Era;
use mainstay_protocol::list::ListKind;
use mainstay_upstream::handshake;

use crate::instance::{Instance, ReadyRun};
use crate::pool::Pool;

impl Pool {
    /// Fetches a list anew from a server that does not tell when it changes, and has not said for how
    /// long it does not. What can't be fetched by `deadline` stays as it was.
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

    /// Fetches a list anew from a server that has shown that it is not as it was.
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
            // Nobody is told of a change that is none: whoever hears of one asks again.
            if changed {
                self.publish_facts(base, &run.facts.load_full(), &[kind]);
            }
        }
    }

    /// The instance with the lists, if it is ready; a second dialect that was ended for want of use is
    /// started again.
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
