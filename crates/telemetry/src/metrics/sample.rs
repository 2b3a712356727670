//! The gauges of a scrape.

use std::collections::BTreeMap;

use mainstay_model::budget::BudgetState;
use mainstay_model::resource::{LimitKind, LimitStatus};
use mainstay_model::status::InstanceState;
use mainstay_model::{Budget, MemoryKind};

use crate::labels::{Breaker, StreamKind};

/// All states of an instance in the order of the scrape.
pub(crate) const STATES: [InstanceState; 14] = InstanceState::ALL;

/// The gauges of one scrape. All start at zero, and values of several observers are added.
#[derive(Debug, Default)]
pub struct Sample {
    pub(crate) active_sessions: u64,
    pub(crate) connections_open: u64,
    pub(crate) streams_kept_bytes: u64,
    pub(crate) memory_usage: u64,
    pub(crate) memory_limit: u64,
    /// The budgets by kind, and last that of the whole.
    pub(crate) budgets: [(u64, u64, u64); MemoryKind::ALL.len() + 1],
    pub(crate) sessions_displaced: u64,
    pub(crate) store_failing: u64,
    pub(crate) servers: Vec<ServerSample>,
    pub(crate) breakers: Vec<BreakerSample>,
    pub(crate) nodes: Vec<NodeSample>,
    /// Resource limits of servers and services.
    pub(crate) limits: Vec<LimitSample>,
    /// Restarts of services.
    pub(crate) service_restarts: Vec<(String, u64)>,
    /// Open streams by address.
    pub(crate) streams: Vec<(String, [u64; StreamKind::COUNT])>,
}

#[derive(Debug, Default)]
pub(crate) struct ServerSample {
    pub(crate) server: String,
    pub(crate) calls_in_flight: u64,
    pub(crate) calls_waiting: u64,
    pub(crate) pool_active: u64,
    pub(crate) pool_idle: u64,
    pub(crate) pool_max: u64,
    pub(crate) instances: [u64; STATES.len()],
}

#[derive(Debug)]
pub(crate) struct BreakerSample {
    pub(crate) service: String,
    pub(crate) state: Breaker,
    pub(crate) failures: u64,
}

/// The resource limits of a server or service.
#[derive(Debug, Default)]
pub(crate) struct LimitSample {
    pub(crate) server: String,
    counts: BTreeMap<LimitKind, LimitCounts>,
}

/// One resource limit of all instances.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct LimitCounts {
    pub(crate) max: u64,
    pub(crate) used: u64,
    /// Since the start of the daemon.
    pub(crate) reached: u64,
}

/// The limits whose use is counted.
pub(crate) const LIMITS_COUNTED: [LimitKind; 3] =
    [LimitKind::Memory, LimitKind::Cpus, LimitKind::Processes];

/// A node of the dependency graph.
#[derive(Debug)]
pub(crate) struct NodeSample {
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    pub(crate) state: InstanceState,
}

// === impl LimitSample ===

impl LimitSample {
    pub(crate) fn of(&self, kind: LimitKind) -> LimitCounts {
        self.counts.get(&kind).copied().unwrap_or_default()
    }
}

// === impl Sample ===

impl Sample {
    pub(crate) fn zero<'a>(servers: impl Iterator<Item = &'a str>) -> Self {
        let servers = servers
            .map(|server| ServerSample { server: server.to_owned(), ..ServerSample::default() })
            .collect::<Vec<_>>();
        let limits = servers
            .iter()
            .map(|server: &ServerSample| LimitSample {
                server: server.server.clone(),
                ..LimitSample::default()
            })
            .collect();
        Self { servers, limits, ..Self::default() }
    }

    /// Adds sessions that have not ended or expired.
    pub fn active_sessions(&mut self, count: usize) {
        self.active_sessions += count as u64;
    }

    /// Adds memory of client streams, in bytes.
    pub fn streams_kept_bytes(&mut self, bytes: usize) {
        self.streams_kept_bytes += bytes as u64;
    }

    /// Adds open streams at an address, such as `/mcp/NAME`.
    pub fn streams_open(&mut self, endpoint: &str, kind: StreamKind, count: usize) {
        let at = self.streams.iter().position(|(known, _)| known == endpoint);
        let at = at.unwrap_or_else(|| {
            self.streams.push((endpoint.to_owned(), [0; StreamKind::COUNT]));
            self.streams.len() - 1
        });
        self.streams[at].1[kind.index()] += count as u64;
    }

    /// Adds open client connections.
    pub fn connections_open(&mut self, count: usize) {
        self.connections_open += count as u64;
    }

    /// Sets resident memory and its limit, in bytes. The last observer wins, because there is one process.
    pub fn memory(&mut self, usage_bytes: u64, limit_bytes: u64) {
        self.memory_usage = usage_bytes;
        self.memory_limit = limit_bytes;
    }

    /// Sets the memory budgets. The last observer wins.
    pub fn budget(&mut self, budget: Budget) {
        let states =
            MemoryKind::ALL.map(|kind| budget.of(kind)).into_iter().chain([budget.whole()]);
        for (to, BudgetState { bytes_max, used_bytes, refused }) in
            self.budgets.iter_mut().zip(states)
        {
            *to = (bytes_max as u64, used_bytes as u64, refused);
        }
    }

    /// Adds sessions that gave way to others since the start of the daemon.
    pub fn sessions_displaced(&mut self, count: u64) {
        self.sessions_displaced += count;
    }

    /// Marks that the state of sessions can't be written.
    pub fn store_failing(&mut self, failing: bool) {
        self.store_failing += u64::from(failing);
    }

    /// Adds requests sent to a server without a response yet.
    pub fn calls_in_flight(&mut self, server: &str, count: usize) {
        self.of(server).calls_in_flight += count as u64;
    }

    /// Adds calls that wait for a server: for their turn, for an instance, or for its start.
    pub fn calls_waiting(&mut self, server: &str, count: usize) {
        self.of(server).calls_waiting += count as u64;
    }

    /// Adds the instances in the pool of a server: those in use, those that nobody uses, and the
    /// maximum.
    pub fn pool(&mut self, server: &str, active: usize, idle: usize, max: usize) {
        let of = self.of(server);
        of.pool_active += active as u64;
        of.pool_idle += idle as u64;
        of.pool_max += max as u64;
    }

    /// Adds instances of a server in this state.
    pub fn instances(&mut self, server: &str, state: InstanceState, count: usize) {
        if let Some(at) = STATES.iter().position(|known| *known == state) {
            self.of(server).instances[at] += count as u64;
        }
    }

    /// Adds a circuit breaker with its state and its failures since the start of the daemon.
    pub fn breaker(&mut self, service: &str, state: Breaker, failures: u64) {
        self.breakers.push(BreakerSample { service: service.to_owned(), state, failures });
    }

    /// Adds a node of the dependency graph with its state.
    pub fn node(&mut self, kind: &'static str, name: &str, state: InstanceState) {
        self.nodes.push(NodeSample { kind, name: name.to_owned(), state });
    }

    /// Adds a service with its restarts since the start of the daemon.
    pub fn service_restarts(&mut self, service: &str, restarts: u64) {
        self.service_restarts.push((service.to_owned(), restarts));
    }

    /// Adds a server or service, and the limits of one of its instances.
    pub fn limits(&mut self, server: &str, limits: &[LimitStatus]) {
        let of = self.limits_of(server);
        for limit in limits {
            let counts = of.counts.entry(limit.kind).or_default();
            counts.max += limit.max;
            counts.used += limit.used.unwrap_or(0);
        }
    }

    /// Sets how often a limit was reached since the start of the daemon.
    pub fn limit_reached(&mut self, server: &str, kind: LimitKind, count: u64) {
        self.limits_of(server).counts.entry(kind).or_default().reached = count;
    }

    fn limits_of(&mut self, server: &str) -> &mut LimitSample {
        let at = self.limits.iter().position(|known| known.server == server);
        let at = at.unwrap_or_else(|| {
            self.limits.push(LimitSample { server: server.to_owned(), ..Default::default() });
            self.limits.len() - 1
        });
        &mut self.limits[at]
    }

    fn of(&mut self, server: &str) -> &mut ServerSample {
        let at = self.servers.iter().position(|known| known.server == server);
        let at = at.unwrap_or_else(|| {
            self.servers.push(ServerSample { server: server.to_owned(), ..Default::default() });
            self.servers.len() - 1
        });
        &mut self.servers[at]
    }
}
