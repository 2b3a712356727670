//! Holds the servers and endpoints in force, and replaces them while requests are served.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use mainstay_model::{EndpointId, Ids, ServerId};
use mainstay_pool::Pool;
use tokio::sync::watch;

use crate::endpoint::Endpoint;
use crate::endpoint::names::NameRegistry;
use crate::topology::{Layout, Topology};

/// The middle one of the three contexts: it knows no session.
pub(crate) struct Directory {
    topology: ArcSwap<Topology>,
    ids: Ids,
    names: Arc<NameRegistry>,
    /// Notifies of each replacement.
    replaced: watch::Sender<()>,
}

// === impl Directory ===

impl Directory {
    pub(crate) fn new(layout: Layout, names: Arc<NameRegistry>) -> Arc<Self> {
        let ids = Ids::default();
        let topology = Topology::build(&Topology::default(), layout, &ids, &names);
        let topology = ArcSwap::from_pointee(topology);
        Arc::new(Self { topology, ids, names, replaced: watch::Sender::new(()) })
    }

    /// Puts a layout in force. Returns the topologies before and after. The caller must make sure
    /// that nobody else does so meanwhile.
    pub(crate) fn replace(&self, layout: Layout) -> (Arc<Topology>, Arc<Topology>) {
        let before = self.topology.load_full();
        let after = Arc::new(Topology::build(&before, layout, &self.ids, &self.names));
        self.topology.store(after.clone());
        self.replaced.send_replace(());
        (before, after)
    }

    pub(crate) fn topology(&self) -> Arc<Topology> {
        self.topology.load_full()
    }

    /// Returns the topology in force as a cheap guard, which must not be held over an await.
    pub(crate) fn topology_now(&self) -> Guard<Arc<Topology>> {
        self.topology.load()
    }

    /// All pools, in the order of the configuration.
    pub(crate) fn pools(&self) -> Vec<Arc<Pool>> {
        self.topology.load().servers().iter().map(|server| server.pool.clone()).collect()
    }

    /// Returns the pool that runs a server now.
    pub(crate) fn pool(&self, server: ServerId) -> Option<Arc<Pool>> {
        self.topology.load().server(server).map(|server| server.pool.clone())
    }

    /// Returns the endpoint with this id, if it still exists.
    pub(crate) fn endpoint(&self, id: EndpointId) -> Option<Arc<Endpoint>> {
        self.topology.load().endpoint_by_id(id).cloned()
    }

    /// Waits until another pool runs a server than this one, or the server is gone.
    pub(crate) async fn wait_until_replaced(&self, server: ServerId, pool: &Arc<Pool>) {
        let mut replaced = self.replaced.subscribe();
        while self.pool(server).is_some_and(|now| Arc::ptr_eq(&now, pool)) {
            if replaced.changed().await.is_err() {
                return;
            }
        }
    }
}
