//! Lists of servers that do not tell when they change.

use std::sync::Arc;
use std::time::Instant;

use mainstay_protocol::Era;
use mainstay_protocol::list::ListKind;
use mainstay_upstream::handshake;

use crate::instance::{Instance, Live};
use crate::pool::Pool;

impl Pool {
    /// Fetches a list anew from a server that does not tell when it changes, and has not said for how
    /// long it does not. What can't be fetched by `deadline` stays as it was.
    pub async fn freshen(self: &Arc<Self>, era: Era, kind: ListKind, deadline: Instant) {
        if self.facts(era).is_none_or(|facts| !facts.capabilities.has_list(kind)) {
            return;
        }
        let Some((base, live)) = self.face(era, deadline).await else { return };
        if live.is_fresh(kind, Instant::now()) {
            return;
        }
        self.fetch(&base, &live, kind, deadline).await;
    }

    /// Fetches a list anew from a server that has shown that it is not as it was.
    pub async fn refetch(self: &Arc<Self>, era: Era, kind: ListKind, deadline: Instant) {
        if let Some((base, live)) = self.face(era, deadline).await {
            self.fetch(&base, &live, kind, deadline).await;
        }
    }

    async fn fetch(&self, base: &Arc<Instance>, live: &Live, kind: ListKind, deadline: Instant) {
        let list = handshake::list(&live.link, kind);
        if let Ok(Ok(list)) = tokio::time::timeout_at(deadline.into(), list).await {
            let changed = live.facts.load().lists.of(kind) != list.items;
            live.set_list(kind, list);
            // Nobody is told of a change that is none: whoever hears of one asks again.
            if changed {
                self.remember(base, &live.facts.load_full(), &[kind]);
            }
        }
    }

    /// The instance with the lists, if it is ready; a second face that was ended for want of use is
    /// started again.
    async fn face(
        self: &Arc<Self>,
        era: Era,
        deadline: Instant,
    ) -> Option<(Arc<Instance>, Arc<Live>)> {
        if self.base(era).is_some() {
            return self.ready_base(era);
        }
        let second = self.supplier(era).ok()?;
        let live = self.wait_ready(&second, deadline).await.ok()?;
        Some((second, live))
    }
}
