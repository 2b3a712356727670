//! Another topology, while requests are served.
//!
//! The swap itself is one store. Requests that have begun go on with what they have found; what is gone
//! is drained by a task: no new call finds it, those in flight get `limits.drain`, then it is stopped.

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

/// What is no longer there, while calls to it finish.
struct Retiring {
    pools: Vec<Arc<Pool>>,
    endpoints: Vec<EndpointId>,
}

/// How often it is asked whether calls of sessions that end have finished.
const BUSY_POLL_INTERVAL: Duration = Duration::from_millis(50);

/// Sessions that servers are told about at the same time.
const RESTORES_AT_ONCE: usize = 64;

impl Gateway {
    /// Puts a layout in force: starts pools that are new, stops those that are gone once their calls have
    /// finished, and tells clients whose lists are others now. Sessions of endpoints that stay go on;
    /// those of endpoints that are gone end. False: nothing was done, since the daemon is stopping.
    ///
    /// A server keeps its identity by its name. One whose pool is another now is asked again for what
    /// sessions had asked for.
    pub fn install(self: &Arc<Self>, layout: Layout) -> bool {
        // Held to the end: a second one begins with what this one has done.
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
            endpoint.publish(&ListKind::ALL);
        }
        for endpoint in changes.changed.iter().filter_map(|id| after.endpoint_by_id(*id)) {
            endpoint.publish(&ListKind::ALL);
            endpoint.state.audience.lists_changed(&ListKind::ALL);
        }
        self.stateless.listens.lists_changed(&changes.changed, &ListKind::ALL);
        self.forget_servers(&before, &changes.removed);
        self.restore_at_servers(&after, &changes);
        self.retire(changes);
        true
    }

    /// Forgets what sessions had asked of servers that are gone.
    fn forget_servers(&self, before: &Topology, removed: &[ServerId]) {
        let removed = removed.iter().filter_map(|id| before.server(*id));
        for server in removed {
            self.sessions.levels.forget_server(server.id);
            for session in self.sessions.table.all() {
                let uris = session.subscriptions_at(server.id);
                for uri in uris {
                    session.remove_subscription(server.id, &uri);
                    if let Some(serial) = session.serial() {
                        self.sessions.store.unsubscribed(
                            serial,
                            server.pool.spec.name.as_str(),
                            &uri,
                        );
                    }
                }
            }
        }
    }

    /// Tells servers that have another pool now, or are new, what sessions had asked for.
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

    /// Drains and stops what is gone.
    fn retire(self: &Arc<Self>, changes: TopologyChanges) {
        let retiring = Retiring { pools: changes.gone, endpoints: changes.closed };
        if retiring.pools.is_empty() && retiring.endpoints.is_empty() {
            return;
        }
        self.retiring.lock().extend(retiring.pools.iter().cloned());
        let gateway = self.clone();
        self.serving.tasks.spawn(async move {
            tokio::select! {
                () = retiring.wait_until_unused(&gateway) => {}
                () = tokio::time::sleep(gateway.serving.settings.limits.drain) => {}
                // The pools are stopped with all others.
                () = gateway.serving.stopping.cancelled() => return,
            }
            retiring.end(&gateway).await;
        });
    }
}

/// Asks a server again for what sessions had asked for, and tells these that what they subscribed to may
/// have changed meanwhile.
async fn restore_at_changed_server(
    context: &Sessions,
    server: ServerId,
    sessions: Vec<Arc<Session>>,
) {
    let directory = &context.directory;
    let Some(pool) = directory.pool(server) else { return };
    tokio::select! {
        () = pool.wait_until(Pool::is_ready) => {}
        // It was changed again, and whoever did that sees to the rest.
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
    /// Waits until no call needs it any more.
    async fn wait_until_unused(&self, gateway: &Gateway) {
        let is_busy = || self.sessions(gateway).iter().any(|session| session.is_busy());
        while is_busy() {
            tokio::time::sleep(BUSY_POLL_INTERVAL).await;
        }
        for pool in &self.pools {
            pool.until_unused().await;
        }
    }

    /// Sessions of endpoints that are gone.
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
                let server = &pool.spec.name;
                tracing::info!(target: "mainstay", %server, calls, "what ran for a server is stopped");
            });
        }
        while stopping.join_next().await.is_some() {}
        gateway.retiring.lock().retain(|pool| !ids.contains(&Arc::as_ptr(pool).addr()));
    }
}
