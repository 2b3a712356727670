//! The daemon's present state, read from the gateway and its pools on request.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use mainstay_admin::api::breakers::CircuitBreaker;
use mainstay_admin::api::configuration::{AskedReload, Configuration};
use mainstay_admin::api::graph::Graph;
use mainstay_admin::api::pools::{ConnectionPool, PoolNumbers};
use mainstay_admin::api::servers::Server;
use mainstay_admin::api::services::Service;
use mainstay_admin::api::sessions::{Session, Sessions};
use mainstay_admin::api::status::{self as api, DaemonStatus, Memory, MemoryBudget};
use mainstay_admin::{Source, View, health, memory};
use mainstay_fleet::{self as fleet, Fleet};
use mainstay_gateway::endpoint::Endpoint;
use mainstay_gateway::endpoint::summary::{ListSize, RenamedItem};
use mainstay_gateway::{Clock, Gateway, SessionStatus};
use mainstay_model::budget::BudgetState;
use mainstay_model::settings::{GatewaySettings, Runtime};
use mainstay_model::status::{Health, InstanceState, InstanceStatus, MissingItems, ServerStatus};
use mainstay_model::{Budget, MemoryKind, NodeKind};
use mainstay_pool::breaker::label;
use mainstay_pool::{BreakerView, Instance, Pool};
use mainstay_supervisor::breaker::Position;
use mainstay_telemetry::{Metrics, StreamKind};
use mainstay_upstream::process::ProcessHost;
use parking_lot::Mutex;
use tokio::time::MissedTickBehavior;

use super::breakers::{self, is_tripped};
use super::listening::Addresses;
use super::nodes::{Nodes, date_of, planned_limits};
use super::notify::Sections;
use super::reload::Reloader;
use super::target;

/// Time between two readings of the processes' memory.
const MEMORY_EVERY: Duration = Duration::from_secs(2);
/// Renamed items of an endpoint that are shown.
const RENAMED_MAX: usize = 100;

/// Reads the state of one daemon.
#[derive(Clone)]
pub(super) struct Status {
    gateway: Weak<Gateway>,
    fleet: Weak<Fleet>,
    metrics: Arc<Metrics>,
    clock: Clock,
    listen: Vec<SocketAddr>,
    places: Places,
    notify: Sections,
    reloader: Option<Reloader>,
}

/// Whose memory is measured.
enum Measured {
    Of(Arc<Instance>),
    Service(Arc<fleet::Service>),
}

/// Where things of the daemon are.
#[derive(Debug, Clone)]
pub(super) struct Places {
    pub(super) state_dir: PathBuf,
    pub(super) config_file: Option<PathBuf>,
    /// Where the daemon listens.
    listen: SocketAddr,
    /// The address of all servers for clients of streamable HTTP.
    mcp_url: Arc<Mutex<Option<String>>>,
}

// === impl Places ===

impl Places {
    pub(super) fn new(
        state_dir: PathBuf,
        config_file: Option<PathBuf>,
        listen: SocketAddr,
    ) -> Self {
        Self { state_dir, config_file, listen, mcp_url: Arc::default() }
    }

    /// Finds out the address for clients from settings.
    pub(super) fn set_mcp_url(&self, settings: &GatewaySettings) {
        let own = GatewaySettings { listen: self.listen, ..settings.clone() };
        *self.mcp_url.lock() = mainstay_config::export::url(&own, None).ok();
    }
}

impl Status {
    pub(super) fn new(
        gateway: &Arc<Gateway>,
        fleet: &Arc<Fleet>,
        metrics: Arc<Metrics>,
        addresses: &Addresses,
        places: Places,
        (notify, reloader): (Sections, Option<Reloader>),
    ) -> Self {
        let clock = gateway.clock();
        let listen = addresses.all();
        let (gateway, fleet) = (Arc::downgrade(gateway), Arc::downgrade(fleet));
        Self { gateway, fleet, metrics, clock, listen, places, notify, reloader }
    }

    /// Updates the gauges from the gateway and the pools at each scrape.
    pub(super) fn observe(&self, host: &Arc<ProcessHost>) {
        let (status, host) = (self.clone(), Arc::downgrade(host));
        self.metrics.observe(Box::new(move |sample| {
            let Some(gateway) = status.gateway.upgrade() else { return };
            sample.active_sessions(gateway.sessions_active());
            sample.connections_open(gateway.connections_open());
            sample.streams_kept_bytes(gateway.streams_kept_bytes());
            for endpoint in endpoints(&gateway) {
                for kind in StreamKind::ALL {
                    sample.streams_open(&endpoint.path(), *kind, endpoint.streams_open(*kind));
                }
            }
            sample.sessions_displaced(gateway.sessions_displaced());
            sample.budget(gateway.budget());
            sample.store_failing(gateway.store_state().failing.is_some());
            let fleet = status.fleet.upgrade();
            for node in fleet.iter().flat_map(|fleet| fleet.view()) {
                if let Some(state) = node.state {
                    sample.node(node.id.kind.as_str(), node.id.name.as_str(), state);
                }
            }
            for breaker in status.breaker_views() {
                let name = breaker.id.name.as_str();
                sample.breaker(name, label(breaker.position), breaker.failures_counted);
            }
            for service in fleet.iter().flat_map(|fleet| fleet.services()) {
                let name = service.name.as_str();
                sample.service_restarts(name, service.status().restarts);
                sample.limits(name, &service.limits());
            }
            for (name, kind, times) in host.upgrade().iter().flat_map(|host| host.limit_hits()) {
                sample.limit_reached(name.as_str(), kind, times);
            }
            let memory = status.memory_of(&gateway);
            sample.memory(memory.usage_bytes, memory.limit_bytes);
            for pool in gateway.pools() {
                let name = pool.name.as_str();
                sample.calls_in_flight(name, pool.in_flight());
                sample.calls_waiting(name, pool.calls_waiting());
                if pool.has_pool() {
                    let numbers = pool_numbers(&pool);
                    sample.pool(name, numbers.active, numbers.idle, numbers.max_pool_size);
                }
                let mut states: BTreeMap<&str, (InstanceState, usize)> = BTreeMap::new();
                for instance in pool.instances() {
                    let state = instance.state();
                    states.entry(state.as_str()).or_insert((state, 0)).1 += 1;
                    sample.limits(name, &instance.limits());
                }
                for (state, count) in states.into_values() {
                    sample.instances(name, state, count);
                }
            }
        }));
    }

    /// The circuit breakers of all servers, services and externals, as they are now.
    fn breaker_views(&self) -> Vec<BreakerView> {
        let fleet = self.fleet.upgrade();
        let breakers = fleet.iter().flat_map(|fleet| fleet.breakers());
        breakers.map(|breaker| breaker.view()).collect()
    }

    /// Reads the memory of all processes every few seconds. Never returns.
    pub(super) async fn watch_memory(self, host: Arc<ProcessHost>) {
        let mut tick = tokio::time::interval(MEMORY_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            let Some(gateway) = self.gateway.upgrade() else { return };
            let instances: Vec<_> =
                gateway.pools().iter().flat_map(|pool| pool.instances()).collect();
            drop(gateway);
            let fleet = self.fleet.upgrade();
            let services: Vec<_> = fleet.iter().flat_map(|fleet| fleet.services()).collect();
            let running = |instance: Arc<Instance>| Some((instance.pid()?, Measured::Of(instance)));
            let service = |service: &Arc<fleet::Service>| {
                Some((service.pid()?, Measured::Service(service.clone())))
            };
            let running = instances.into_iter().filter_map(running);
            let (pids, measured): (Vec<_>, Vec<_>) =
                running.chain(services.iter().filter_map(service)).unzip();
            let seen = host.memory_of_all(pids.clone()).await;
            let limits = host.limits_of_all(pids).await;
            for ((measured, bytes), limits) in measured.iter().zip(seen).zip(limits) {
                let (bytes, limits) = (bytes.unwrap_or(0), limits.unwrap_or_default());
                match measured {
                    Measured::Of(instance) => {
                        instance.note_memory(bytes);
                        instance.note_limits(limits);
                    }
                    Measured::Service(service) => {
                        service.note_memory(bytes);
                        service.note_limits(limits);
                    }
                }
            }
        }
    }

    fn servers(&self, gateway: &Gateway, view: View) -> Vec<Server> {
        let clock = |at| date_of(self.clock.date(at));
        let now = Instant::now();
        let fleet = self.fleet.upgrade();
        let server = |pool: &Arc<Pool>| {
            let status = pool.status(now, &clock);
            let mut server = match view {
                View::Operator => Server::from(status),
                View::Open => Server::from(ServerStatus {
                    target: target::shown(&pool.spec().runtime),
                    reason: status.brief_reason.clone(),
                    last_output: Vec::new(),
                    note: status.brief_note.clone(),
                    missing: status.missing.iter().map(briefly).collect(),
                    instances: status.instances.iter().map(without_notes).collect(),
                    ..status
                }),
            };
            if let Some(fleet) = &fleet {
                Nodes { fleet, clock: self.clock, view }.complete(&mut server);
            }
            if let Runtime::Process(process) = &pool.spec().runtime {
                let without = server.instances.iter_mut().filter(|it| it.pid.is_none());
                for instance in without {
                    instance.limits = planned_limits(&process.limits, instance.state, view);
                }
            }
            server.breaker = Some(breakers::shown(&pool.breaker.view(), view));
            server.refused_tools = breakers::refused_tools(pool);
            server
        };
        gateway.pools().iter().map(server).collect()
    }

    /// The memory of the daemon and of its processes.
    fn memory_of(&self, gateway: &Gateway) -> Memory {
        let instances = gateway.pools().into_iter().flat_map(|pool| pool.instances());
        let fleet = self.fleet.upgrade();
        let services = fleet.iter().flat_map(|fleet| fleet.services());
        let servers_bytes = instances.filter_map(|instance| instance.memory_bytes()).sum::<u64>()
            + services.filter_map(|service| service.memory_bytes()).sum::<u64>();
        let own = memory::now();
        Memory {
            servers_bytes,
            usage_bytes: own.resident_bytes + servers_bytes,
            budgets: budgets(gateway.budget()),
            ..own
        }
    }
}

impl Source for Status {
    fn status(&self, view: View) -> DaemonStatus {
        let gateway = self.gateway.upgrade();
        let servers =
            gateway.as_ref().map(|gateway| self.servers(gateway, view)).unwrap_or_default();
        let services = self.services(view);
        let draining = gateway.as_ref().is_none_or(|gateway| gateway.is_draining());
        let pools = gateway.iter().flat_map(|gateway| gateway.pools());
        let pools = pools.filter(|pool| pool.has_pool()).map(|pool| {
            let serves = servers.iter().any(|it| it.name == pool.name && it.state.serves());
            (pool_numbers(&pool), serves)
        });
        let connection_pool = ConnectionPool::of(pools);
        let graph = self.graph(View::Open);
        let breakers = self.breaker_views();
        let endpoints = gateway.as_ref().map(|gateway| endpoints(gateway)).unwrap_or_default();
        DaemonStatus {
            status: word(
                health::of(&servers, &services, &graph.nodes, draining),
                gateway.as_deref(),
                is_tripped(&breakers),
            ),
            tripped_breakers: breakers
                .iter()
                .filter(|breaker| breaker.position != Position::Closed)
                .map(|breaker| breakers::shown(breaker, view))
                .collect(),
            circuit_breakers: breakers
                .iter()
                .map(|breaker| {
                    (breaker.id.name.to_string(), label(breaker.position).as_str().to_owned())
                })
                .collect(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_ms: self.clock.uptime().as_millis() as u64,
            call_timeout_max_ms: gateway
                .as_ref()
                .map_or(0, |gateway| gateway.call_max().as_millis() as u64),
            listen: self.listen.iter().map(|address| format!("http://{address}")).collect(),
            state_dir: self.places.state_dir.display().to_string(),
            config_file: self.places.config_file.as_ref().map(|file| file.display().to_string()),
            configuration: self.configuration(view),
            mcp_url: self.places.mcp_url.lock().clone(),
            sessions: gateway.as_ref().map_or_else(Sessions::default, |gateway| Sessions {
                active: gateway.sessions_active(),
                max: gateway.sessions_max(),
                calls: gateway.calls_in_flight(),
                listens: gateway.streams_open(StreamKind::Listen),
                streams: streams(|kind| gateway.streams_open(kind)),
                unstored: gateway.store_state().failing,
            }),
            connection_pool,
            memory_usage: gateway
                .as_deref()
                .map_or_else(memory::now, |gateway| self.memory_of(gateway)),
            volumes: states(&graph, &[NodeKind::Volume]),
            dependencies: states(&graph, &[NodeKind::Service, NodeKind::External]),
            endpoints: endpoints
                .iter()
                .map(|endpoint| api::Endpoint {
                    path: endpoint.path(),
                    servers: endpoint.pools().map(|pool| pool.name.clone()).collect(),
                    listens: endpoint.streams_open(StreamKind::Listen),
                    streams: streams(|kind| endpoint.streams_open(kind)),
                    lists: merged_lists(endpoint),
                    renamed: renamed_items(endpoint),
                })
                .collect(),
            servers,
            services,
            notifications: self.notify.status(view),
        }
    }

    fn health(&self) -> Health {
        let Some(gateway) = self.gateway.upgrade() else { return Health::Draining };
        let (servers, services) = (self.servers(&gateway, View::Open), self.services(View::Open));
        let draining = gateway.is_draining();
        let nodes = self.graph(View::Open).nodes;
        let health = health::of(&servers, &services, &nodes, draining);
        word(health, Some(&gateway), is_tripped(&self.breaker_views()))
    }

    fn graph(&self, view: View) -> Graph {
        let Some(fleet) = self.fleet.upgrade() else { return Graph::default() };
        let mut graph = Nodes { fleet: &fleet, clock: self.clock, view }.graph();
        let pools = self.gateway.upgrade().map(|gateway| gateway.pools()).unwrap_or_default();
        breakers::complete(&mut graph, &pools, &self.breaker_views(), view);
        graph
    }

    fn services(&self, view: View) -> Vec<Service> {
        let Some(fleet) = self.fleet.upgrade() else { return Vec::new() };
        Nodes { fleet: &fleet, clock: self.clock, view }.services()
    }

    fn breakers(&self, view: View) -> Vec<CircuitBreaker> {
        self.breaker_views().iter().map(|breaker| breakers::shown(breaker, view)).collect()
    }

    fn configuration(&self, view: View) -> Configuration {
        self.reloader.as_ref().map(|it| it.configuration(view)).unwrap_or_default()
    }

    fn reload(&self, view: View, number: u64) -> AskedReload {
        self.reloader.as_ref().map_or(AskedReload::Unknown, |it| it.find(number, view))
    }

    fn sessions(&self) -> Vec<Session> {
        let all = self.gateway.upgrade().map(|gateway| gateway.sessions()).unwrap_or_default();
        all.into_iter().map(session).collect()
    }

    fn metrics(&self) -> String {
        self.metrics.encode()
    }

    fn pool(&self, server: &str) -> Option<PoolNumbers> {
        let gateway = self.gateway.upgrade()?;
        gateway.pools().iter().find(|pool| pool.name.as_str() == server).map(pool_numbers)
    }
}

/// The numbers of a server's pool, as the metrics have them, too. All are zero for a server without one.
fn pool_numbers(pool: &Arc<Pool>) -> PoolNumbers {
    if pool.has_pool() { pool.pool_status().into() } else { PoolNumbers::default() }
}

/// The nodes of these kinds with their states.
fn states(graph: &Graph, kinds: &[NodeKind]) -> BTreeMap<String, String> {
    let nodes = graph.nodes.iter().filter(|node| kinds.contains(&node.kind));
    nodes.map(|node| (node.name.to_string(), node.state.as_str().to_owned())).collect()
}

/// What is missing in a list, as anybody may know it: neither the server's own words nor its URIs.
fn briefly(missing: &MissingItems) -> MissingItems {
    let MissingItems { list, brief, .. } = missing.clone();
    MissingItems { list, why: brief.clone(), brief, items: Vec::new() }
}

/// An instance without the notes on its limits, which have paths.
fn without_notes(instance: &InstanceStatus) -> InstanceStatus {
    let mut instance = instance.clone();
    instance.limits.iter_mut().for_each(|limit| limit.note = None);
    instance
}

fn session(session: SessionStatus) -> Session {
    Session {
        number: session.number,
        endpoint: session.endpoint,
        revision: session.revision.to_owned(),
        user: session.user,
        age_ms: session.age.as_millis() as u64,
        idle_ms: session.idle.as_millis() as u64,
        calls: session.calls,
        streams: session.streams,
    }
}

/// The memory budgets, by kind.
fn budgets(budget: Budget) -> BTreeMap<String, MemoryBudget> {
    let named = |name: &str, state: BudgetState| {
        let BudgetState { used_bytes, bytes_max, refused } = state;
        let (used_bytes, max_bytes) = (used_bytes as u64, bytes_max as u64);
        (name.to_owned(), MemoryBudget { used_bytes, max_bytes, refusals: refused })
    };
    let kinds = MemoryKind::ALL.iter().map(|kind| named(kind.as_str(), budget.of(*kind)));
    kinds.chain([named("whole", budget.whole())]).collect()
}

/// The health of the daemon. A failing disk does no harm before a restart.
fn word(health: Health, gateway: Option<&Gateway>, is_tripped: bool) -> Health {
    let unstored = || gateway.is_some_and(|gateway| gateway.store_state().failing.is_some());
    match health {
        Health::Ok if is_tripped || unstored() => Health::Degraded,
        health => health,
    }
}

/// The streams of sessions, over either transport.
fn streams(open: impl Fn(StreamKind) -> usize) -> usize {
    open(StreamKind::Get) + open(StreamKind::Sse)
}

fn merged_lists(endpoint: &Endpoint) -> Vec<api::MergedList> {
    let list = |size: ListSize| api::MergedList {
        list: size.kind.member().to_owned(),
        items: size.items,
        bytes: size.bytes,
        renamed: size.renamed,
        refused_names: size.refused_names,
    };
    endpoint.list_sizes().into_iter().map(list).collect()
}

fn renamed_items(endpoint: &Endpoint) -> Vec<api::RenamedItem> {
    let item = |item: RenamedItem| api::RenamedItem {
        list: item.kind.member().to_owned(),
        server: item.server,
        own: item.own,
        published: item.published,
    };
    endpoint.renamed_items(RENAMED_MAX).into_iter().map(item).collect()
}

/// All endpoints: the one for all servers, each server in the file's order, then groups.
pub(super) fn endpoints(gateway: &Gateway) -> Vec<Arc<Endpoint>> {
    let topology = gateway.topology();
    let mut endpoints = topology.endpoints().to_vec();
    let place = |endpoint: &Endpoint| {
        let mut servers = topology.servers().iter().map(|server| &server.pool.name);
        servers.position(|server| server.as_str() == endpoint.name).unwrap_or(usize::MAX)
    };
    endpoints.sort_by_cached_key(|endpoint| {
        (!endpoint.name.is_empty(), place(endpoint), endpoint.name.clone())
    });
    endpoints
}
