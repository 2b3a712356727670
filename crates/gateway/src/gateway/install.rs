//! Replaces the topology while requests are served.
//!
//! The swap itself is one store. Requests that have begun continue with what they found. A task
//! drains what is gone: no new call finds it, calls in flight get `limits.drain`, then it is
//! stopped.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use mainstay_model::{EndpointId, ServerId};
use mainstay_pool::Pool;
use mainstay_protocol::list::ListKind;

use super::Gateway;
use crate::session::Session;
use crate::sessions::{Sessions, levels, restore};
use crate::topology::{Layout, Topology, TopologyChanges};

/// Pools and endpoints that are gone, until their calls have finished.
struct Retiring {
    pools: Vec<Arc<Pool>>,
    endpoints: Vec<EndpointId>,
}

/// Interval at which sessions of closed endpoints are checked for calls in flight.
const BUSY_POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Sessions that are restored at a server at the same time.
const RESTORES_AT_ONCE: usize = 64;

impl Gateway {
    /// Puts a layout in force: starts new pools, stops those that are gone once their calls have
    /// finished, and notifies clients whose lists have changed. Sessions of endpoints that stay
    /// continue; those of endpoints that are gone end. False: nothing was done, because the daemon
    /// is stopping.
    ///
    /// A server keeps its identity by its name. At a server with a new pool, log levels and
    /// subscriptions of sessions are restored.
    pub fn install(self: &Arc<Self>, layout: Layout) -> bool {
        // The lock is held to the end, so that a second change starts from the result of this one.
        let _one = self.installing.lock();
        if self.is_draining() {
            return false;
        }
        let (before, after) = self.directory.replace(layout);
        let changes = after.changes_since(&before);
        let observer = self.observer();
        for pool in &changes.new {
            pool.start(observer.clone());
        }
        for endpoint in changes.opened.iter().filter_map(|id| after.endpoint_by_id(*id)) {
            endpoint.note_changes(&ListKind::ALL);
            endpoint.start_build(&self.serving.tasks);
        }
        for endpoint in changes.changed.iter().filter_map(|id| after.endpoint_by_id(*id)) {
            endpoint.note_changes(&ListKind::ALL);
            endpoint.start_build(&self.serving.tasks);
            endpoint.state.audience.lists_changed(&ListKind::ALL);
        }
        self.stateless.listens.lists_changed(&changes.changed, &ListKind::ALL);
        self.forget_servers(&before, &changes.removed);
        self.restore_at_servers(&after, &changes);
        self.retire(changes);
        true
    }

    /// Removes log levels and subscriptions at servers that are gone.
    fn forget_servers(&self, before: &Topology, removed: &[ServerId]) {
        let removed = removed.iter().filter_map(|id| before.server(*id));
        for server in removed {
            self.sessions.levels.forget_server(server.id);
            for session in self.sessions.table.all() {
                let uris = session.subscriptions_at(server.id);
                for uri in uris {
                    session.remove_subscription(server.id, &uri);
                    if let Some(serial) = session.serial() {
                        self.sessions.store.unsubscribed(serial, server.pool.name.as_str(), &uri);
                    }
                }
            }
        }
    }

    /// Restores log levels and subscriptions of sessions at servers that are new or have a new
    /// pool.
    fn restore_at_servers(self: &Arc<Self>, after: &Topology, changes: &TopologyChanges) {
        let new = changes.replaced.iter().chain(&changes.added);
        for server in new.copied() {
            let asked = |session: &Arc<Session>| {
                let Some(endpoint) = after.endpoint_by_id(session.endpoint) else { return false };
                if endpoint.pool(server).is_none() {
                    return false;
                }
                let level = session.log_level();
                if let Some(level) = level {
                    levels::set(&self.sessions, endpoint, session, level);
                }
                level.is_some() || !session.subscriptions_at(server).is_empty()
            };
            let sessions: Vec<_> = self.sessions.table.all().into_iter().filter(asked).collect();
            if sessions.is_empty() {
                continue;
            }
            let context = self.sessions.clone();
            self.serving.tasks.spawn(async move {
                tokio::select! {
                    () = restore_at_changed_server(&context, server, sessions) => {}
                    () = context.serving.stopping.cancelled() => {}
                }
            });
        }
    }

    /// Drains and stops the pools and endpoints that are gone.
    fn retire(self: &Arc<Self>, changes: TopologyChanges) {
        let retiring = Retiring { pools: changes.gone, endpoints: changes.closed };
        if retiring.pools.is_empty() && retiring.endpoints.is_empty() {
            return;
        }
        self.retiring.lock().extend(retiring.pools.iter().cloned());
        let gateway = self.clone();
        let drain = self.serving.settings().limits.drain;
        self.serving.tasks.spawn(async move {
            tokio::select! {
                () = retiring.wait_until_unused(&gateway) => {}
                () = tokio::time::sleep(drain) => {}
                // The gateway stops these pools with all others.
                () = gateway.serving.stopping.cancelled() => return,
            }
            retiring.end(&gateway).await;
        });
    }
}

/// Restores sessions at a server with a new pool, and notifies their clients that subscribed
/// resources may have changed meanwhile.
async fn restore_at_changed_server(
    context: &Sessions,
    server: ServerId,
    sessions: Vec<Arc<Session>>,
) {
    let directory = &context.directory;
    let Some(pool) = directory.pool(server) else { return };
    tokio::select! {
        () = pool.wait_until(Pool::is_ready) => {}
        // The topology was changed again, and that change does the rest.
        () = directory.wait_until_replaced(server, &pool) => return,
    }
    let each = futures_util::stream::iter(sessions);
    each.for_each_concurrent(RESTORES_AT_ONCE, async |session| {
        restore::restore_at_server(context, &session, server).await;
        let Some(endpoint) = directory.endpoint(session.endpoint) else { return };
        for uri in session.subscriptions_at(server) {
            session
                .notify_resource_updated(&restore::updated_notification(&endpoint, server, &uri));
        }
    })
    .await;
}

// === impl Retiring ===

impl Retiring {
    /// Waits until no call uses the pools and endpoints.
    async fn wait_until_unused(&self, gateway: &Gateway) {
        let is_busy = || self.sessions(gateway).iter().any(|session| session.is_busy());
        while is_busy() {
            tokio::time::sleep(BUSY_POLL_INTERVAL).await;
        }
        // Its queue first: what waits for an instance gets it.
        while self.pools.iter().any(|pool| pool.calls_waiting() > 0) {
            tokio::time::sleep(BUSY_POLL_INTERVAL).await;
        }
        for pool in &self.pools {
            pool.until_unused().await;
        }
    }

    /// Returns the sessions of endpoints that are gone.
    fn sessions(&self, gateway: &Gateway) -> Vec<Arc<Session>> {
        if self.endpoints.is_empty() {
            return Vec::new();
        }
        let mut all = gateway.sessions.table.all();
        all.retain(|session| self.endpoints.contains(&session.endpoint));
        all
    }

    async fn end(self, gateway: &Arc<Gateway>) {
        for session in self.sessions(gateway) {
            gateway.sessions.end(&session);
        }
        gateway.sse_streams.end_at(&self.endpoints);
        gateway.stateless.listens.end_at(&self.endpoints);
        let mut stopping = tokio::task::JoinSet::new();
        let ids: BTreeSet<_> =
            self.pools.iter().map(Arc::as_ptr).map(<*const Pool>::addr).collect();
        for pool in self.pools {
            stopping.spawn(async move {
                let calls = pool.in_flight();
                pool.stop().await;
                let server = &pool.name;
                tracing::info!(target: "mainstay", %server, calls, "instances of a server stopped");
            });
        }
        while stopping.join_next().await.is_some() {}
        gateway.retiring.lock().retain(|pool| !ids.contains(&Arc::as_ptr(pool).addr()));
    }
}
