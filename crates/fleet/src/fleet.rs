//! The driver of the dependency graph.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime};

use mainstay_model::settings::{ExternalSpec, ServerSpec, ServiceSpec, VolumeSpec};
use mainstay_model::status::InstanceState;
use mainstay_model::{Name, Need, NodeKind};
use mainstay_pool::{Breaker, ListFindings, NeedBoard, Pool};
use mainstay_store::Table;
use mainstay_supervisor::graph::{
    Graph, GraphEvent, Hold, HoldKind, NodeNo, Order, PlanError, Standing, StandingChange, Why,
};
use mainstay_telemetry::Metrics;
use mainstay_upstream::process::ProcessHost;
use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::by_hand::ByHand;
use crate::change::{NodeSpecs, Roll, Workshop};
use crate::external::External;
use crate::member::Member;
use crate::service::Service;
use crate::words::{BeingChanged, Chain, ChainLink, MissingNeeds, RestartedByHand, StoppedByHand};

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
    /// What runs under the numbers of the graph. Never locked before the graph.
    pub(crate) roll: RwLock<Roll>,
    pub(crate) workshop: Workshop,
    pub(crate) begun: Instant,
    /// Nodes whose state may have changed since the graph has looked at them.
    unseen: Mutex<BTreeSet<NodeNo>>,
    news: Notify,
    pub(crate) by_hand: ByHand,
    /// Held while a node is started or stopped by hand, so that what is stored follows what was done last.
    pub(crate) hand: tokio::sync::Mutex<()>,
    /// Nodes that are stopped only to be started again.
    pub(crate) restarting: Mutex<BTreeSet<NodeNo>>,
    drain: Mutex<Duration>,
    pub(crate) needs: Arc<NeedBoard>,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
    /// Ends what is left of members that are no longer in force.
    end: CancellationToken,
    pub(crate) own: Weak<Self>,
}

// === impl Fleet ===

impl Fleet {
    /// Plans the fleet, and holds every server that must not start yet. Call it before the pools are started.
    /// Waits for the store.
    ///
    /// # Errors
    /// [`PlanError`], which `mainstay-config` has found before.
    pub async fn new(parts: FleetParts) -> Result<Arc<Self>, PlanError> {
        let FleetParts { pools, services, volumes, externals, .. } = parts;
        let workshop = Workshop {
            host: parts.host,
            metrics: parts.metrics,
            instance_ids: parts.instance_ids,
            findings: parts.findings,
            seed: parts.seed,
        };
        let servers: Vec<ServerSpec> =
            pools.iter().map(|pool| ServerSpec::clone(&pool.spec())).collect();
        let specs = NodeSpecs {
            servers: &servers,
            services: &services,
            volumes: &volumes,
            externals: &externals,
        };
        let specs = specs.all();
        let servers = pools.into_iter().map(Member::Server);
        let services = services.iter().map(|spec| Member::Service(workshop.service(spec)));
        let watched = volumes.iter().map(|_| Member::Volume);
        let externals = externals.iter().map(|spec| Member::External(workshop.external(spec)));
        let members: Vec<_> = servers.chain(services).chain(watched).chain(externals).collect();
        let graph = Graph::plan(specs)?;
        let mut roll = Roll::default();
        for (no, member) in graph.numbers().zip(members) {
            roll.put(graph.id(no), no, member);
        }
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
            roll: RwLock::new(roll),
            workshop,
            begun: Instant::now(),
            unseen: Mutex::default(),
            news: Notify::new(),
            by_hand,
            hand: tokio::sync::Mutex::default(),
            restarting: Mutex::default(),
            drain: Mutex::new(parts.drain),
            needs: parts.needs,
            tasks: TaskTracker::new(),
            stop: CancellationToken::new(),
            end: CancellationToken::new(),
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
            let Some(member) = self.member(no) else { continue };
            self.listen(no, &member);
            self.put_on_board(no, &self.own);
            self.apply(no, standing);
            let id = self.graph.lock().id(no).to_string();
            if let (Order::Stop, Some(since)) = (standing.order, stopped.get(&id)) {
                let ago = SystemTime::now().duration_since(*since).unwrap_or_default();
                member.backdate(Instant::now().checked_sub(ago).unwrap_or(self.begun));
            }
        }
    }

    /// Looks at a node again after each change of its state.
    pub(crate) fn listen(&self, no: NodeNo, member: &Member) {
        let fleet = self.own.clone();
        member.on_change(Box::new(move || {
            if let Some(fleet) = fleet.upgrade() {
                fleet.note(no);
            }
        }));
    }

    /// Starts services and the watch over externals, and follows what happens from now on.
    pub fn start(self: &Arc<Self>) {
        let all: Vec<_> = self.graph.lock().numbers().collect();
        for no in all {
            if let Some(member) = self.member(no) {
                self.run(&member);
            }
            self.note(no);
        }
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

    /// Begins what a member does by itself.
    pub(crate) fn run(&self, member: &Member) {
        match member {
            Member::Service(service) => {
                self.run_until_end(service.clone().supervise(), service.stop.clone());
            }
            Member::External(external) => {
                self.run_until_end(external.clone().watch(), external.stop.clone());
            }
            Member::Server(_) | Member::Volume => {}
        }
    }

    /// Runs what a member does. `stop` ends it: at the latest when the fleet has ended, also if the member is no
    /// longer in force.
    fn run_until_end(
        &self,
        work: impl Future<Output = ()> + Send + 'static,
        stop: CancellationToken,
    ) {
        let end = self.end.clone();
        self.tasks.spawn(async move {
            tokio::pin!(work);
            tokio::select! {
                () = &mut work => return,
                () = end.cancelled() => stop.cancel(),
            }
            work.await;
        });
    }

    /// Notes that the state of a node may have changed.
    pub(crate) fn note(&self, no: NodeNo) {
        self.unseen.lock().insert(no);
        self.news.notify_one();
    }

    /// Tells the graph what happened to nodes, and carries out what it decides.
    fn look(&self) {
        let unseen = std::mem::take(&mut *self.unseen.lock());
        for no in unseen {
            // It may be gone.
            let Some(member) = self.member(no) else { continue };
            let (state, run) = (member.own_state(), member.run());
            let (before, run_before) = self.graph.lock().seen(no);
            if state == before && run == run_before {
                continue;
            }
            if is_lost(before, state) {
                self.hasten_needs(no);
            }
            if state.serves() && (!before.serves() || run != run_before) {
                member.try_breaker();
            }
            self.step(no, GraphEvent::Seen(state, run));
        }
    }

    /// Takes one step of the graph. Its lock is not held while decisions are carried out.
    pub(crate) fn step(&self, no: NodeNo, event: GraphEvent) {
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

    pub(crate) fn apply(&self, no: NodeNo, standing: Standing) {
        let Some(member) = self.member(no) else { return };
        let drain = *self.drain.lock();
        match standing.order {
            Order::Stop => {
                let why: Arc<dyn Why> = match self.restarting.lock().contains(&no) {
                    true => Arc::new(RestartedByHand),
                    false => Arc::new(StoppedByHand),
                };
                member.hold(Hold { kind: HoldKind::Stopped, why }, drain);
            }
            Order::Wait if self.graph.lock().is_suspended(no) => {
                member.hold(Hold { kind: HoldKind::Waiting, why: Arc::new(BeingChanged) }, drain);
            }
            Order::Wait => {
                let kind = if standing.is_held { HoldKind::Held } else { HoldKind::Waiting };
                member.hold(Hold { kind, why: self.missing_needs(no) }, drain);
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
        needs.into_iter().filter_map(|need| self.member(need)).for_each(|member| member.hasten());
    }

    /// The missing needs of a node, each with the way to where the trouble is.
    pub(crate) fn chains(&self, no: NodeNo) -> Vec<Chain> {
        let graph = self.graph.lock();
        let link = |no: NodeNo| {
            Some(ChainLink {
                id: graph.id(no).clone(),
                member: self.member(no)?,
                is_stopped_by_hand: graph.is_stopped_by_hand(no),
            })
        };
        let chain = |need| Chain {
            links: std::iter::once(need).chain(graph.chain(need)).filter_map(link).collect(),
        };
        graph.blockers(no).map(chain).filter(|chain| !chain.links.is_empty()).collect()
    }

    /// The way from a node that is down to where the trouble is, beginning with the node itself.
    pub(crate) fn chain_of(&self, no: NodeNo) -> Chain {
        let graph = self.graph.lock();
        let way = std::iter::once(no).chain(graph.chain(no));
        let links = way.filter_map(|no| {
            Some(ChainLink {
                id: graph.id(no).clone(),
                member: self.member(no)?,
                is_stopped_by_hand: graph.is_stopped_by_hand(no),
            })
        });
        Chain { links: links.collect() }
    }

    pub(crate) fn number(&self, id: &Need) -> Option<NodeNo> {
        self.roll.read().number(id)
    }

    /// The number of the node of a name, whatever its kind.
    pub(crate) fn number_of(&self, name: &str) -> Option<NodeNo> {
        self.roll.read().number_of(&Name::try_new(name).ok()?)
    }

    pub(crate) fn member(&self, no: NodeNo) -> Option<Member> {
        self.roll.read().member(no)
    }

    /// The longest wait for calls in flight of a server that is stopped.
    pub fn drain(&self) -> Duration {
        *self.drain.lock()
    }

    /// Changes that wait from now on.
    pub fn set_drain(&self, drain: Duration) {
        *self.drain.lock() = drain;
    }

    /// All members, in the order of the configuration.
    pub(crate) fn members(&self) -> Vec<Member> {
        let graph = self.graph.lock();
        graph.numbers().filter_map(|no| self.member(no)).collect()
    }

    /// All servers, in the order of the configuration.
    pub fn pools(&self) -> Vec<Arc<Pool>> {
        let members = self.members().into_iter().filter_map(|member| match member {
            Member::Server(pool) => Some(pool),
            Member::Service(_) | Member::External(_) | Member::Volume => None,
        });
        members.collect()
    }

    /// All services, in the order of the configuration.
    pub fn services(&self) -> Vec<Arc<Service>> {
        let members = self.members().into_iter().filter_map(|member| match member {
            Member::Service(service) => Some(service),
            Member::Server(_) | Member::External(_) | Member::Volume => None,
        });
        members.collect()
    }

    /// All externals, in the order of the configuration.
    pub fn externals(&self) -> Vec<Arc<External>> {
        let members = self.members().into_iter().filter_map(|member| match member {
            Member::External(external) => Some(external),
            Member::Server(_) | Member::Service(_) | Member::Volume => None,
        });
        members.collect()
    }

    /// The circuit breakers of all servers, services and externals, in the order of the configuration.
    pub fn breakers(&self) -> Vec<Arc<Breaker>> {
        self.members().iter().filter_map(Member::breaker).cloned().collect()
    }

    // ## The end

    /// Stops services, those that depend on others first, and the watch over externals. The servers are stopped
    /// before, by the gateway.
    pub async fn stop(&self) {
        self.stop.cancel();
        let mut layers: Vec<(usize, Arc<Service>)> = {
            let graph = self.graph.lock();
            let services = graph.numbers().filter_map(|no| match self.member(no)? {
                Member::Service(service) => Some((graph.layer(no), service)),
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
        self.end.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Whether a node that served does not any more.
fn is_lost(before: InstanceState, now: InstanceState) -> bool {
    before.serves() && !now.serves()
}
