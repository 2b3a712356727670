//! All servers and endpoints at one moment. A topology never changes: it is replaced as a whole.
//!
//! Servers and endpoints have numbers. One whose name stays in the configuration keeps its number
//! in the next topology, so that what refers to it (the subscription of a session, an entry of a
//! catalogue) stays valid.

use std::collections::HashMap;
use std::sync::Arc;

use mainstay_model::settings::{EndpointSpec, NameRule, Prefix};
use mainstay_model::{EndpointId, Ids, Name, ServerId};
use mainstay_pool::Pool;
use mainstay_session::names::NameStyle;

use crate::endpoint::Endpoint;
use crate::endpoint::names::NameRegistry;
use crate::server::Server;

/// The pools and groups from which a topology is built.
#[derive(Debug, Clone, Default)]
pub struct Layout {
    /// Pools in the order of the file. An unchanged server comes with the pool it has already.
    pub pools: Vec<Arc<Pool>>,
    pub groups: Vec<EndpointSpec>,
    /// How names are published at `/mcp`.
    pub names: NameRule,
}

/// All servers and endpoints.
#[derive(Debug, Default)]
pub struct Topology {
    /// In the order of the file.
    servers: Vec<Server>,
    /// `/mcp`, then the servers in their order, then the groups in theirs.
    endpoints: Vec<Arc<Endpoint>>,
    by_name: HashMap<String, usize>,
    by_id: HashMap<EndpointId, usize>,
    servers_by_id: HashMap<ServerId, usize>,
    servers_by_name: HashMap<Name, usize>,
    /// Positions of the endpoints that have a server.
    endpoints_by_server: HashMap<ServerId, Vec<usize>>,
}

/// The differences between a topology and the one before it.
#[derive(Debug, Default)]
pub(crate) struct TopologyChanges {
    /// New pools.
    pub(crate) new: Vec<Arc<Pool>>,
    /// Pools that are gone, because their servers are gone or have new pools.
    pub(crate) gone: Vec<Arc<Pool>>,
    /// Servers that stay and have a new pool.
    pub(crate) replaced: Vec<ServerId>,
    /// New servers.
    pub(crate) added: Vec<ServerId>,
    /// Servers that are gone.
    pub(crate) removed: Vec<ServerId>,
    /// Endpoints that stay, and whose lists change even if no server sends anything new.
    pub(crate) changed: Vec<EndpointId>,
    /// New endpoints.
    pub(crate) opened: Vec<EndpointId>,
    /// Endpoints that are gone.
    pub(crate) closed: Vec<EndpointId>,
}

// === impl Topology ===

impl Topology {
    /// Builds the topology of a layout. What was there in `before` keeps its number, its names and
    /// its streams.
    pub(crate) fn build(
        before: &Self,
        layout: Layout,
        ids: &Ids,
        names: &Arc<NameRegistry>,
    ) -> Self {
        let servers: Vec<_> = layout
            .pools
            .into_iter()
            .map(|pool| {
                let known = before.server_named(&pool.name);
                Server { id: known.map_or_else(|| ids.server(), |known| known.id), pool }
            })
            .collect();
        let endpoint = |name: String, servers: Vec<Server>, style: Option<NameStyle>| {
            let known = before.endpoints.iter().find(|known| known.name == name);
            // A name that belonged to a server and now belongs to a group is a different endpoint.
            let known = known.filter(|known| known.single == style.is_none());
            match known {
                Some(known) => Endpoint::updated(known, servers, style),
                None => Arc::new(Endpoint::new(ids.endpoint(), name, servers, style, names)),
            }
        };
        let style = NameStyle { prefix: Prefix::Auto, rule: layout.names };
        let mut endpoints = vec![endpoint(String::new(), servers.clone(), Some(style))];
        for server in &servers {
            endpoints.push(endpoint(server.pool.name.to_string(), vec![server.clone()], None));
        }
        for group in layout.groups {
            let named = |name: &Name| servers.iter().find(|it| it.pool.name == *name).cloned();
            let members = group.servers.iter().filter_map(named).collect();
            let style = NameStyle { prefix: group.prefix, rule: group.names };
            endpoints.push(endpoint(group.name.to_string(), members, Some(style)));
        }
        let places = || endpoints.iter().enumerate();
        let server_places = || servers.iter().enumerate();
        let mut endpoints_by_server: HashMap<_, Vec<_>> = HashMap::new();
        for (at, endpoint) in places() {
            for server in &endpoint.servers {
                endpoints_by_server.entry(server.id).or_default().push(at);
            }
        }
        Self {
            by_name: places().map(|(at, endpoint)| (endpoint.name.clone(), at)).collect(),
            by_id: places().map(|(at, endpoint)| (endpoint.id, at)).collect(),
            servers_by_id: server_places().map(|(at, server)| (server.id, at)).collect(),
            servers_by_name: server_places()
                .map(|(at, server)| (server.pool.name.clone(), at))
                .collect(),
            endpoints_by_server,
            servers,
            endpoints,
        }
    }

    /// Returns the servers, in the order of the configuration.
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// Returns the endpoints, `/mcp` first.
    pub fn endpoints(&self) -> &[Arc<Endpoint>] {
        &self.endpoints
    }

    /// Returns the endpoint at `/mcp/{name}`, or at `/mcp` for no name.
    pub(crate) fn endpoint(&self, name: Option<&str>) -> Option<&Arc<Endpoint>> {
        match name {
            None => self.endpoints.first(),
            Some("") => None,
            Some(name) => self.by_name.get(name).map(|at| &self.endpoints[*at]),
        }
    }

    pub(crate) fn endpoint_by_id(&self, id: EndpointId) -> Option<&Arc<Endpoint>> {
        self.by_id.get(&id).map(|at| &self.endpoints[*at])
    }

    pub(crate) fn server(&self, id: ServerId) -> Option<&Server> {
        self.servers_by_id.get(&id).map(|at| &self.servers[*at])
    }

    pub(crate) fn server_named(&self, name: &Name) -> Option<&Server> {
        self.servers_by_name.get(name).map(|at| &self.servers[*at])
    }

    /// Returns the endpoints that have this server.
    pub(crate) fn endpoints_with(&self, server: ServerId) -> impl Iterator<Item = &Arc<Endpoint>> {
        let places = self.endpoints_by_server.get(&server).into_iter().flatten();
        places.map(|at| &self.endpoints[*at])
    }

    /// Returns the differences from `before`.
    pub(crate) fn changes_since(&self, before: &Self) -> TopologyChanges {
        let mut changes = TopologyChanges::default();
        for server in &self.servers {
            match before.server(server.id) {
                Some(had) if Arc::ptr_eq(&had.pool, &server.pool) => {}
                Some(had) => {
                    changes.new.push(server.pool.clone());
                    changes.gone.push(had.pool.clone());
                    changes.replaced.push(server.id);
                }
                None => {
                    changes.new.push(server.pool.clone());
                    changes.added.push(server.id);
                }
            }
        }
        for had in before.servers.iter().filter(|had| self.server(had.id).is_none()) {
            changes.gone.push(had.pool.clone());
            changes.removed.push(had.id);
        }
        let opened = self.endpoints.iter().filter(|now| before.endpoint_by_id(now.id).is_none());
        changes.opened = opened.map(|now| now.id).collect();
        for had in &before.endpoints {
            match self.endpoint_by_id(had.id) {
                Some(now) if now.lists_differ_from(had) => changes.changed.push(now.id),
                Some(_) => {}
                None => changes.closed.push(had.id),
            }
        }
        changes
    }
}
