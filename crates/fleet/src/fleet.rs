//! The driver of the dependency graph.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime};

use mainstay_model::settings::{ExternalSpec, OnLostNeed, ServiceSpec, VolumeSpec};
use mainstay_model::status::InstanceState;
use mainstay_model::{InstanceId, Name, Need, NodeKind};
use mainstay_pool::{Breaker, ListFindings, NeedBoard, Pool};
use mainstay_store::{Table, Unavailable};
use mainstay_supervisor::breaker::ChangeWhy;
use mainstay_supervisor::graph::{
    Graph, GraphEvent, Hold, HoldKind, NodeNo, NodeSpec, Order, PlanError, Standing,
    StandingChange, Why,
};
use mainstay_telemetry::Metrics;
use mainstay_upstream::process::ProcessHost;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::by_hand::ByHand;
use crate::external::External;
use crate::member::Member;
use crate::service::{Service, Shared};
use crate::words::{Chain, ChainLink, MissingNeeds, RestartedByHand, StoppedByHand};

/// What a fleet is made of.
#[derive(Debug)]
pub struct FleetParts {
    pub pools: Vec<Arc<Pool>>,
    pub services: Vec<ServiceSpec>,
    pub volumes: Vec<VolumeSpec>,
    pub externals: Vec<ExternalSpec>,
    pub host: Arc<ProcessHost>,
    pub metrics: Arc<Metrics>,
    /// Allocates instance ids, together with the pools.
    pub instance_ids: Arc<AtomicU64>,
    /// The seed of jitter.
    pub seed: u64,
    /// How long starts of services have taken in earlier daemons.
    pub findings: Arc<ListFindings>,
    /// Where it is stored what was stopped by hand.
    pub stopped_by_hand: Arc<dyn Table>,
    /// The longest wait for calls in flight of a server that is stopped.
    pub drain: Duration,
    /// Where pools see what their tools need.
    pub needs: Arc<NeedBoard>,
}

/// All servers, services, volumes and externals of a daemon.
#[derive(Debug)]
pub struct Fleet {
    pub(crate) graph: Mutex<Graph>,
    /// By [`NodeNo`].
    pub(crate) members: Vec<Member>,
    pub(crate) begun: Instant,
    numbers: HashMap<String, NodeNo>,
    /// Nodes whose state may have changed since the graph has looked at them.
    unseen: Mutex<BTreeSet<NodeNo>>,
    news: Notify,
    by_hand: ByHand,
    /// Held while a node is started or stopped by hand, so that what is stored follows what was done last.
    hand: tokio::sync::Mutex<()>,
    /// Nodes that are stopped only to be started again.
    restarting: Mutex<BTreeSet<NodeNo>>,
    drain: Duration,
    pub(crate) needs: Arc<NeedBoard>,
    tasks: TaskTracker,
    stop: CancellationToken,
    own: Weak<Self>,
}

/// What stopping a node by hand leads to.
#[derive(Debug, Clone)]
pub struct Stopping {
    pub id: Need,
    /// Calls in flight when it was asked.
    pub calls: usize,
    /// The longest wait for them.
    pub drain: Duration,
    /// What depends on it, directly or through others.
    pub dependants: Vec<Need>,
}

/// Why a node can't be started or stopped by hand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnknownNode {
    #[error("there is no server or service {name:?}")]
    Unknown { name: String, names: Vec<String> },
    #[error("{id} is only watched: Mainstay does not run it")]
    NotRun { id: Need },
    #[error("a restart would end {id}, which could not start again: {why}")]
    Missing { id: Need, why: String },
    #[error("it can't be stored that {id} was {done} by hand: {source}")]
    Unstored { id: Need, done: &'static str, source: Unavailable },
}

/// How often the calls of a server that ends are counted.
const CALLS_COUNTED_EVERY: Duration = Duration::from_millis(20);

// === impl Fleet ===

impl Fleet {
    /// Plans the fleet, and holds every server that must not start yet. Call it before the pools are started.
    /// Waits for the store.
    ///
    /// # Errors
    /// [`PlanError`], which `mainstay-config` has found before.
    pub async fn new(parts: FleetParts) -> Result<Arc<Self>, PlanError> {
        let FleetParts { pools, services, volumes, externals, host, metrics, .. } = parts;
        let (ids, seed) = (parts.instance_ids, parts.seed);
        let mut specs = Vec::new();
        let mut members = Vec::new();
        let mut add = |kind, name: &Name, needs: &[Need], on_lost_need, member| {
            let id = Need { kind, name: name.clone() };
            specs.push(NodeSpec { id, needs: needs.to_vec(), on_lost_need });
            members.push(member);
        };
        for pool in pools {
            let spec = pool.spec().clone();
            let member = Member::Server(pool);
            add(NodeKind::Server, &spec.name, &spec.needs, spec.on_lost_need, member);
        }
        for spec in services {
            let id = InstanceId(ids.fetch_add(1, Ordering::Relaxed) + 1);
            let shared = Shared { host: &host, metrics: &metrics, findings: &parts.findings, seed };
            let service = Arc::new(Service::new(spec.clone(), id, &shared));
            let member = Member::Service(service);
            add(NodeKind::Service, &spec.name, &spec.needs, spec.on_lost_need, member);
        }
        for VolumeSpec { name, .. } in volumes {
            add(NodeKind::Volume, &name, &[], OnLostNeed::Keep, Member::Volume);
        }
        for (at, spec) in (1..).zip(externals) {
            let name = spec.name.clone();
            let seed = seed.wrapping_sub(at);
            let external = Arc::new(External::new(spec, &host, &metrics, seed));
            add(NodeKind::External, &name, &[], OnLostNeed::Keep, Member::External(external));
        }
        let numbers =
            (0..).map(NodeNo).zip(&specs).map(|(no, spec)| (spec.id.name.to_string(), no));
        let numbers = numbers.collect();
        let graph = Graph::plan(specs)?;
        let by_hand = ByHand::new(parts.stopped_by_hand);
        let stopped = by_hand.all().await.unwrap_or_else(|error| {
            tracing::error!(
                target: "mainstay", %error,
                "can't read what was stopped by hand: all servers and services start"
            );
            BTreeMap::new()
        });
        let fleet = Arc::new_cyclic(|own: &Weak<Self>| Self {
            graph: Mutex::new(graph),
            members,
            begun: Instant::now(),
            numbers,
            unseen: Mutex::default(),
            news: Notify::new(),
            by_hand,
            hand: tokio::sync::Mutex::default(),
            restarting: Mutex::default(),
            drain: parts.drain,
            needs: parts.needs,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            own: own.clone(),
        });
        fleet.begin(&stopped);
        Ok(fleet)
    }

    /// Holds what must not run yet, and listens to all nodes.
    fn begin(self: &Arc<Self>, stopped: &BTreeMap<String, SystemTime>) {
        let standings: Vec<_> = {
            let mut graph = self.graph.lock();
            for no in graph.numbers() {
                let is_run = matches!(graph.id(no).kind, NodeKind::Server | NodeKind::Service);
                if is_run && stopped.contains_key(&graph.id(no).to_string()) {
                    graph.step(no, GraphEvent::StoppedByHand, &mut Vec::new());
                }
            }
            graph.numbers().map(|no| (no, graph.standing(no))).collect()
        };
        for (no, standing) in standings {
            let fleet = self.own.clone();
            self.members[no.0].on_change(Box::new(move || {
                if let Some(fleet) = fleet.upgrade() {
                    fleet.note(no);
                }
            }));
            self.put_on_board(no, &self.own);
            self.apply(no, standing);
            let id = self.graph.lock().id(no).to_string();
            if let (Order::Stop, Some(since)) = (standing.order, stopped.get(&id)) {
                let ago = SystemTime::now().duration_since(*since).unwrap_or_default();
                self.members[no.0].backdate(Instant::now().checked_sub(ago).unwrap_or(self.begun));
            }
        }
    }

    /// Starts services and the watch over externals, and follows what happens from now on.
    pub fn start(self: &Arc<Self>) {
        for member in &self.members {
            match member {
                Member::Service(service) => drop(self.tasks.spawn(service.clone().supervise())),
                Member::External(external) => drop(self.tasks.spawn(external.clone().watch())),
                Member::Server(_) | Member::Volume => {}
            }
        }
        let all: Vec<_> = self.graph.lock().numbers().collect();
        all.into_iter().for_each(|no| self.note(no));
        let fleet = self.clone();
        self.tasks.spawn(async move {
            loop {
                tokio::select! {
                    () = fleet.news.notified() => fleet.look(),
                    () = fleet.stop.cancelled() => return,
                }
            }
        });
    }

    /// Notes that the state of a node may have changed.
    fn note(&self, no: NodeNo) {
        self.unseen.lock().insert(no);
        self.news.notify_one();
    }

    /// Tells the graph what happened to nodes, and carries out what it decides.
    fn look(&self) {
        let unseen = std::mem::take(&mut *self.unseen.lock());
        for no in unseen {
            let state = self.members[no.0].own_state();
            let run = self.members[no.0].run();
            let (before, run_before) = self.graph.lock().seen(no);
            if state == before && run == run_before {
                continue;
            }
            if is_lost(before, state) {
                self.hasten_needs(no);
            }
            self.step(no, GraphEvent::Seen(state, run));
        }
    }

    /// Takes one step of the graph. Its lock is not held while decisions are carried out.
    fn step(&self, no: NodeNo, event: GraphEvent) {
        let mut decisions = Vec::new();
        {
            let mut graph = self.graph.lock();
            graph.step(no, event, &mut decisions);
            self.show_on_board(&graph, no);
        }
        for StandingChange { node, standing } in decisions {
            self.apply(node, standing);
        }
    }

    fn apply(&self, no: NodeNo, standing: Standing) {
        let member = &self.members[no.0];
        match standing.order {
            Order::Stop => {
                let why: Arc<dyn Why> = match self.restarting.lock().contains(&no) {
                    true => Arc::new(RestartedByHand),
                    false => Arc::new(StoppedByHand),
                };
                member.hold(Hold { kind: HoldKind::Stopped, why }, self.drain);
            }
            Order::Wait => {
                let kind = if standing.is_held { HoldKind::Held } else { HoldKind::Waiting };
                member.hold(Hold { kind, why: self.missing_needs(no) }, self.drain);
            }
            Order::Run => member.release(false),
        }
        member.set_shortage(standing.is_short.then(|| self.missing_needs(no)));
    }

    fn missing_needs(&self, node: NodeNo) -> Arc<dyn Why> {
        Arc::new(MissingNeeds { fleet: self.own.clone(), node })
    }

    /// Checks what a node needs at once, because the node was lost.
    fn hasten_needs(&self, no: NodeNo) {
        let needs = self.graph.lock().needs(no).to_vec();
        needs.into_iter().for_each(|need| self.members[need.0].hasten());
    }

    /// The missing needs of a node, each with the way to where the trouble is.
    pub(crate) fn chains(&self, no: NodeNo) -> Vec<Chain> {
        let graph = self.graph.lock();
        let link = |no: NodeNo| ChainLink {
            id: graph.id(no).clone(),
            member: self.members[no.0].clone(),
            is_stopped_by_hand: graph.is_stopped_by_hand(no),
        };
        let chain = |need| Chain {
            links: std::iter::once(need).chain(graph.chain(need)).map(link).collect(),
        };
        graph.blockers(no).map(chain).collect()
    }

    /// The way from a node that is down to where the trouble is, beginning with the node itself.
    pub(crate) fn chain_of(&self, no: NodeNo) -> Chain {
        let graph = self.graph.lock();
        let way = std::iter::once(no).chain(graph.chain(no));
        let links = way.map(|no| ChainLink {
            id: graph.id(no).clone(),
            member: self.members[no.0].clone(),
            is_stopped_by_hand: graph.is_stopped_by_hand(no),
        });
        Chain { links: links.collect() }
    }

    pub(crate) fn number(&self, name: &str) -> Option<NodeNo> {
        self.numbers.get(name).copied()
    }

    /// All servers, in the order of the configuration.
    pub fn pools(&self) -> impl Iterator<Item = &Arc<Pool>> {
        self.members.iter().filter_map(|member| match member {
            Member::Server(pool) => Some(pool),
            Member::Service(_) | Member::External(_) | Member::Volume => None,
        })
    }

    /// All services, in the order of the configuration.
    pub fn services(&self) -> impl Iterator<Item = &Arc<Service>> {
        self.members.iter().filter_map(|member| match member {
            Member::Service(service) => Some(service),
            Member::Server(_) | Member::External(_) | Member::Volume => None,
        })
    }

    /// All externals, in the order of the configuration.
    pub fn externals(&self) -> impl Iterator<Item = &Arc<External>> {
        self.members.iter().filter_map(|member| match member {
            Member::External(external) => Some(external),
            Member::Server(_) | Member::Service(_) | Member::Volume => None,
        })
    }

    /// The circuit breakers of all servers, services and externals, in the order of the configuration.
    pub fn breakers(&self) -> impl Iterator<Item = Arc<Breaker>> {
        self.members.iter().filter_map(Member::breaker).cloned()
    }

    // ## By hand

    /// What stopping a server or service would lead to.
    ///
    /// # Errors
    /// [`UnknownNode`] if there is no such server or service.
    pub fn stopping(&self, name: &str) -> Result<Stopping, UnknownNode> {
        let no = self.node_by_hand(name)?;
        let graph = self.graph.lock();
        let dependants = graph.downstream(no).into_iter().map(|no| graph.id(no).clone()).collect();
        let calls = self.members[no.0].calls();
        Ok(Stopping { id: graph.id(no).clone(), calls, drain: self.drain, dependants })
    }

    /// Stops a server or service by hand. It stays stopped, also after a restart of the daemon. Returns when
    /// nothing of it runs any more, the number of calls that were cut off.
    ///
    /// # Errors
    /// [`UnknownNode`] if there is no such server or service, or the wish can't be stored.
    pub async fn stop_by_hand(&self, name: &str) -> Result<usize, UnknownNode> {
        let no = self.node_by_hand(name)?;
        let calls;
        {
            let _hand = self.hand.lock().await;
            self.store(no, true).await?;
            calls = self.members[no.0].calls_counter();
            self.step(no, GraphEvent::StoppedByHand);
        }
        Ok(self.until_ended(no, &*calls).await)
    }

    /// Starts a server or service by hand: one that was stopped, or that waits for its next attempt. Returns when
    /// the start is under way, or waits for a need.
    ///
    /// # Errors
    /// As [`stop_by_hand`](Self::stop_by_hand).
    pub async fn start_by_hand(&self, name: &str) -> Result<(), UnknownNode> {
        let no = self.node_by_hand(name)?;
        let _hand = self.hand.lock().await;
        self.store(no, false).await?;
        let member = &self.members[no.0];
        let is_stopped = self.graph.lock().is_stopped_by_hand(no);
        if !is_stopped {
            if is_up(member.own_state()) {
                return Ok(());
            }
            // It waits for its next attempt, or was given up.
            self.end_for_now(no).await;
        }
        // Earlier losses are forgotten.
        self.start_afresh(no);
        Ok(())
    }

    /// Stops a server or service and starts it again. Returns when the start is under way, the number of calls
    /// that were cut off.
    ///
    /// # Errors
    /// As [`stop_by_hand`](Self::stop_by_hand).
    pub async fn restart_by_hand(&self, name: &str) -> Result<usize, UnknownNode> {
        let no = self.node_by_hand(name)?;
        self.check_restart(name)?;
        let _hand = self.hand.lock().await;
        let cut_off = self.end_for_now(no).await;
        self.store(no, false).await?;
        self.start_afresh(no);
        Ok(cut_off)
    }

    /// Whether a restart would bring a server or service back.
    ///
    /// # Errors
    /// [`UnknownNode::Missing`] if it runs without something that it needs, and would wait for that.
    pub fn check_restart(&self, name: &str) -> Result<(), UnknownNode> {
        let no = self.node_by_hand(name)?;
        let why = MissingNeeds { fleet: self.own.clone(), node: no };
        let is_running = is_up(self.members[no.0].own_state());
        match is_running && self.lacks_need(no) && why.loading().is_none() {
            true => Err(UnknownNode::Missing {
                id: self.graph.lock().id(no).clone(),
                why: why.reason(),
            }),
            false => Ok(()),
        }
    }

    /// Whether a need of a node is not fulfilled.
    fn lacks_need(&self, no: NodeNo) -> bool {
        let graph = self.graph.lock();
        graph.needs(no).iter().any(|need| {
            graph.is_stopped_by_hand(*need) || !self.members[need.0].own_state().serves()
        })
    }

    /// Whether a server or service runs, or is being started.
    pub fn is_running(&self, name: &str) -> bool {
        self.number(name).is_some_and(|no| {
            !self.graph.lock().is_stopped_by_hand(no) && is_up(self.members[no.0].own_state())
        })
    }

    /// Ends what runs of a node, without storing that it was stopped.
    async fn end_for_now(&self, no: NodeNo) -> usize {
        let calls = self.members[no.0].calls_counter();
        self.restarting.lock().insert(no);
        self.step(no, GraphEvent::StoppedByHand);
        let cut_off = self.until_ended(no, &*calls).await;
        self.restarting.lock().remove(&no);
        cut_off
    }

    /// Waits until nothing of a node runs that is held. Returns the number of calls that were cut off.
    async fn until_ended(&self, no: NodeNo, count: &(dyn Fn() -> usize + Send + Sync)) -> usize {
        let (member, begun) = (&self.members[no.0], Instant::now());
        let mut calls = count();
        let ended = member.until_ended();
        tokio::pin!(ended);
        loop {
            tokio::select! {
                () = &mut ended => break,
                () = tokio::time::sleep(CALLS_COUNTED_EVERY) => {
                    // After that the calls are over, and the process may take a while to end.
                    if begun.elapsed() < self.drain {
                        calls = count();
                    }
                }
            }
        }
        if begun.elapsed() < self.drain { 0 } else { calls }
    }

    fn start_afresh(&self, no: NodeNo) {
        if let Some(breaker) = self.members[no.0].breaker() {
            breaker.reset(ChangeWhy::Restarted);
        }
        let mut decisions = Vec::new();
        {
            let mut graph = self.graph.lock();
            graph.step(no, GraphEvent::StartedByHand, &mut decisions);
            self.show_on_board(&graph, no);
        }
        for StandingChange { node, standing } in decisions {
            if node == no && standing.order == Order::Run {
                self.members[no.0].release(true);
            }
            self.apply(node, standing);
        }
    }

    /// The number of a node that can be started and stopped, by its name, also written as `service:NAME`.
    fn node_by_hand(&self, name: &str) -> Result<NodeNo, UnknownNode> {
        let graph = self.graph.lock();
        let name = match name.parse::<Need>() {
            Ok(need) if self.number(need.name.as_str()).is_some_and(|no| *graph.id(no) == need) => {
                &need.name.to_string()
            }
            _ => name,
        };
        let is_run =
            |no: &NodeNo| matches!(graph.id(*no).kind, NodeKind::Server | NodeKind::Service);
        match self.number(name) {
            Some(no) if is_run(&no) => Ok(no),
            Some(no) => Err(UnknownNode::NotRun { id: graph.id(no).clone() }),
            None => {
                let names = graph.numbers().filter(is_run).map(|no| graph.id(no).name.to_string());
                Err(UnknownNode::Unknown { name: name.to_owned(), names: names.collect() })
            }
        }
    }

    async fn store(&self, no: NodeNo, is_stopped: bool) -> Result<(), UnknownNode> {
        let id = self.graph.lock().id(no).clone();
        let stored = self.by_hand.note(&id, is_stopped).await;
        let done = if is_stopped { "stopped" } else { "started" };
        stored.map_err(|source| UnknownNode::Unstored { id, done, source })
    }

    // ## The end

    /// Stops services, those that depend on others first, and the watch over externals. The servers are stopped
    /// before, by the gateway.
    pub async fn stop(&self) {
        self.stop.cancel();
        let mut layers: Vec<(usize, Arc<Service>)> = {
            let graph = self.graph.lock();
            let services = graph.numbers().filter_map(|no| match &self.members[no.0] {
                Member::Service(service) => Some((graph.layer(no), service.clone())),
                Member::Server(_) | Member::External(_) | Member::Volume => None,
            });
            services.collect()
        };
        layers.sort_by_key(|(layer, _)| std::cmp::Reverse(*layer));
        for external in self.externals() {
            external.stop.cancel();
        }
        for layer in layers.chunk_by(|one, other| one.0 == other.0) {
            let mut ends = tokio::task::JoinSet::new();
            for (_, service) in layer {
                service.stop.cancel();
                let service = service.clone();
                ends.spawn(async move { service.until_over().await });
            }
            while ends.join_next().await.is_some() {}
        }
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Whether a node that served does not any more.
fn is_lost(before: InstanceState, now: InstanceState) -> bool {
    before.serves() && !now.serves()
}

/// Whether a node runs, or is being started.
fn is_up(state: InstanceState) -> bool {
    matches!(
        state,
        InstanceState::Starting
            | InstanceState::Handshaking
            | InstanceState::Ready
            | InstanceState::Idle
    )
}
