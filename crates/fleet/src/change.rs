//! Changes the nodes of a fleet while they run. Nodes that a change does not name don't notice it.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mainstay_model::settings::{ExternalSpec, OnLostNeed, ServerSpec, ServiceSpec, VolumeSpec};
use mainstay_model::status::InstanceState;
use mainstay_model::{InstanceId, Name, Need, NodeKind};
use mainstay_pool::{ListFindings, Pool};
use mainstay_supervisor::graph::{GraphEvent, NodeNo, NodeSpec, Order, PlanError, StandingChange};
use mainstay_telemetry::Metrics;
use mainstay_upstream::process::ProcessHost;

use crate::external::External;
use crate::fleet::Fleet;
use crate::member::Member;
use crate::service::{Service, Shared};

/// All nodes of a configuration.
#[derive(Debug, Clone, Copy)]
pub struct NodeSpecs<'a> {
    pub servers: &'a [ServerSpec],
    pub services: &'a [ServiceSpec],
    pub volumes: &'a [VolumeSpec],
    pub externals: &'a [ExternalSpec],
}

/// What takes a place in the fleet.
#[derive(Debug, Clone)]
pub enum Newcomer {
    Server(Arc<Pool>),
    Service(Box<ServiceSpec>),
    External(Box<ExternalSpec>),
    /// An external that is being watched already.
    Watched(Beside),
    Volume,
}

/// An external that is watched and that no node needs yet.
#[derive(Debug, Clone)]
pub struct Beside(Arc<External>);

/// How the start of a node goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StartSeen {
    Ready,
    UnderWay,
    /// It is not started for this reason.
    Held(String),
    Failed(String),
}

/// What is needed to make services and externals.
#[derive(Debug)]
pub(crate) struct Workshop {
    pub(crate) host: Arc<ProcessHost>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) instance_ids: Arc<AtomicU64>,
    pub(crate) findings: Arc<ListFindings>,
    pub(crate) seed: u64,
}

/// What runs under each number of the graph.
#[derive(Debug, Default)]
pub(crate) struct Roll {
    members: HashMap<NodeNo, Member>,
    /// Nodes of different kinds have the same name only while one takes the place of the other.
    numbers: HashMap<Need, NodeNo>,
}

/// A need that was ready a moment ago may not have been looked at yet.
const HELD_MIN: Duration = Duration::from_millis(300);

// === impl NodeSpecs ===

impl NodeSpecs<'_> {
    /// The nodes of the graph: servers, services, volumes, externals, each in the order of the configuration.
    pub fn all(&self) -> Vec<NodeSpec> {
        let id = |kind, name: &Name| Need { kind, name: name.clone() };
        let servers = self.servers.iter().map(|spec| NodeSpec {
            id: id(NodeKind::Server, &spec.name),
            needs: spec.needs.clone(),
            on_lost_need: spec.on_lost_need,
        });
        let services = self.services.iter().map(|spec| NodeSpec {
            id: id(NodeKind::Service, &spec.name),
            needs: spec.needs.clone(),
            on_lost_need: spec.on_lost_need,
        });
        let watched = |id| NodeSpec { id, needs: Vec::new(), on_lost_need: OnLostNeed::Keep };
        let volumes = self.volumes.iter().map(|spec| watched(id(NodeKind::Volume, &spec.name)));
        let externals =
            self.externals.iter().map(|spec| watched(id(NodeKind::External, &spec.name)));
        servers.chain(services).chain(volumes).chain(externals).collect()
    }
}

// === impl Workshop ===

impl Workshop {
    fn next_id(&self) -> InstanceId {
        InstanceId(self.instance_ids.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// A service that does not run yet.
    pub(crate) fn service(&self, spec: &ServiceSpec) -> Arc<Service> {
        let Self { host, metrics, findings, seed, .. } = self;
        let shared = Shared { host, metrics, findings, seed: *seed };
        Arc::new(Service::new(spec.clone(), self.next_id(), &shared))
    }

    /// An external that is not watched yet.
    pub(crate) fn external(&self, spec: &ExternalSpec) -> Arc<External> {
        let seed = self.seed.wrapping_sub(self.next_id().0);
        Arc::new(External::new(spec.clone(), &self.host, &self.metrics, seed))
    }
}

// === impl Roll ===

impl Roll {
    /// Gives a number to what runs under a node's name. Returns what ran there.
    pub(crate) fn put(&mut self, id: &Need, no: NodeNo, member: Member) -> Option<Member> {
        self.numbers.insert(id.clone(), no);
        self.members.insert(no, member)
    }

    fn remove(&mut self, id: &Need) -> Option<Member> {
        let no = self.numbers.remove(id)?;
        self.members.remove(&no)
    }

    pub(crate) fn number(&self, id: &Need) -> Option<NodeNo> {
        self.numbers.get(id).copied()
    }

    /// The number of the node of a name, whatever its kind.
    pub(crate) fn number_of(&self, name: &Name) -> Option<NodeNo> {
        const KINDS: [NodeKind; 4] =
            [NodeKind::Server, NodeKind::Service, NodeKind::External, NodeKind::Volume];
        KINDS.into_iter().find_map(|kind| self.number(&Need { kind, name: name.clone() }))
    }

    pub(crate) fn member(&self, no: NodeNo) -> Option<Member> {
        self.members.get(&no).cloned()
    }
}

// === impl Fleet ===

impl Fleet {
    /// Watches an external that no node needs yet.
    pub fn watch_beside(&self, spec: &ExternalSpec) -> Beside {
        let external = self.workshop.external(spec);
        external.set_quiet(true);
        self.run(&Member::External(external.clone()));
        Beside(external)
    }

    /// Puts other needs in force. `specs`: all nodes, the same as before.
    ///
    /// # Errors
    /// [`PlanError`]. Nothing has changed then.
    pub fn replan(&self, specs: NodeSpecs<'_>) -> Result<(), PlanError> {
        let mut decisions = Vec::new();
        self.graph.lock().replan(specs.all(), &mut decisions)?;
        self.carry_out(decisions);
        Ok(())
    }

    /// Adds a node and starts it, if it may run. `specs`: all nodes with the new one. Waits for the store.
    ///
    /// # Errors
    /// [`PlanError`]. Nothing has changed then.
    pub async fn add(
        &self,
        specs: NodeSpecs<'_>,
        id: &Need,
        newcomer: Newcomer,
    ) -> Result<(), PlanError> {
        let stopped = self.by_hand.all().await.unwrap_or_default();
        let _hand = self.hand.lock().await;
        let member = self.member_of(newcomer);
        let mut decisions = Vec::new();
        let no = {
            let mut graph = self.graph.lock();
            graph.replan(specs.all(), &mut decisions)?;
            let Some(no) = graph.numbers().find(|no| graph.id(*no) == id) else { return Ok(()) };
            if stopped.contains_key(&id.to_string()) {
                graph.step(no, GraphEvent::StoppedByHand, &mut decisions);
            }
            self.roll.write().put(id, no, member.clone());
            no
        };
        self.listen(no, &member);
        self.put_on_board(no, &self.own);
        self.carry_out(decisions);
        self.run(&member);
        self.note(no);
        Ok(())
    }

    /// Takes a node out of the graph. `specs`: all nodes without it. Returns what is left of it, which still runs.
    ///
    /// # Errors
    /// [`PlanError`]. Nothing has changed then.
    pub async fn remove(&self, specs: NodeSpecs<'_>, id: &Need) -> Result<Leaver, PlanError> {
        let _hand = self.hand.lock().await;
        let mut decisions = Vec::new();
        let member = {
            let mut graph = self.graph.lock();
            graph.replan(specs.all(), &mut decisions)?;
            self.needs.remove(id);
            self.roll.write().remove(id)
        };
        self.carry_out(decisions);
        // A later node of this name is another one, and starts.
        if let Err(error) = self.by_hand.note(id, false).await {
            tracing::warn!(
                target: "mainstay", node = %id, %error,
                "if it was stopped by hand, it stays so when it is configured again"
            );
        }
        Ok(Leaver(member))
    }

    /// Puts something else in the place of a node that runs on. `specs`: all nodes, with its new needs. Returns
    /// what was there, which still runs.
    ///
    /// # Errors
    /// [`PlanError`]. Nothing has changed then.
    pub async fn switch(
        &self,
        specs: NodeSpecs<'_>,
        id: &Need,
        newcomer: Newcomer,
    ) -> Result<Leaver, PlanError> {
        let _hand = self.hand.lock().await;
        let mut decisions = Vec::new();
        self.graph.lock().replan(specs.all(), &mut decisions)?;
        let member = self.member_of(newcomer);
        let before = self.put(id, &member);
        self.carry_out(decisions);
        Ok(Leaver(before))
    }

    /// Ends what runs of a node, so that something else can take its place with [`resume`](Self::resume).
    /// `specs`: all nodes, with its new needs. Returns while its calls finish.
    ///
    /// # Errors
    /// [`PlanError`]. Nothing has changed then.
    pub async fn suspend(&self, specs: NodeSpecs<'_>, id: &Need) -> Result<(), PlanError> {
        let _hand = self.hand.lock().await;
        let mut decisions = Vec::new();
        let no = {
            let mut graph = self.graph.lock();
            graph.replan(specs.all(), &mut decisions)?;
            graph.numbers().find(|no| graph.id(*no) == id)
        };
        self.carry_out(decisions);
        let Some(no) = no else { return Ok(()) };
        if is_run(id) {
            self.step(no, GraphEvent::Suspended);
        }
        Ok(())
    }

    /// Waits until nothing of a suspended node runs any more.
    pub async fn until_suspended(&self, id: &Need) {
        let no = self.number(id);
        if let Some(member) = no.and_then(|no| self.member(no)) {
            member.until_ended().await;
        }
    }

    /// Puts something else in the place of a suspended node, and starts it unless it was stopped by hand. Returns
    /// what was there.
    pub async fn resume(&self, id: &Need, newcomer: Newcomer) -> Leaver {
        let _hand = self.hand.lock().await;
        let member = self.member_of(newcomer);
        let before = self.put(id, &member);
        self.run(&member);
        if let Some(no) = self.number(id) {
            self.start_afresh(no, GraphEvent::Resumed);
            // One that waits for a need says so now, although it has waited before.
            let standing = self.graph.lock().standing(no);
            self.apply(no, standing);
        }
        Leaver(before)
    }

    /// Puts settings of a service in force that change nothing about how it is started.
    pub fn update_service(&self, spec: &ServiceSpec) {
        let no = self.number(&Need { kind: NodeKind::Service, name: spec.name.clone() });
        if let Some(Member::Service(service)) = no.and_then(|no| self.member(no)) {
            service.update(spec.clone());
        }
    }

    /// Whether a node does what it is there for. True for what is not watched.
    pub fn serves(&self, id: &Need) -> bool {
        let Some(no) = self.number(id) else { return false };
        let is_held = {
            let graph = self.graph.lock();
            graph.is_stopped_by_hand(no) || graph.is_suspended(no)
        };
        self.member(no).is_some_and(|member| !is_held && member.own_state().serves())
    }

    /// A node that needs this one, if there is one.
    pub fn needed_by(&self, id: &Need) -> Option<Need> {
        let no = self.number(id)?;
        let graph = self.graph.lock();
        graph.dependants(no).first().map(|no| graph.id(*no).clone())
    }

    /// Why a node that is prepared anew is not to run any more: it was stopped by hand meanwhile, or must wait for
    /// a need.
    pub fn held_meanwhile(&self, id: &Need) -> Option<String> {
        let no = self.number(id)?;
        let order = {
            let graph = self.graph.lock();
            graph.standing(no).order
        };
        if order == Order::Run || self.restarting.lock().contains(&no) {
            return None;
        }
        // The reason in it locks the graph itself.
        let reason = self.member(no)?.sight().and_then(|sight| sight.reason);
        Some(reason.unwrap_or_else(|| "it waits".to_owned()))
    }

    /// How the start of a node in force goes, `waited` after it was asked for.
    pub fn start_seen(&self, id: &Need, waited: Duration) -> StartSeen {
        let member = self.number(id).and_then(|no| Some((no, self.member(no)?)));
        let Some((no, member)) = member else {
            return StartSeen::Failed("it was removed".to_owned());
        };
        let standing = self.graph.lock().standing(no);
        // The reason in it locks the graph itself.
        let sight = member.sight();
        let reason = || sight.as_ref().and_then(|sight| sight.reason.clone());
        if self.restarting.lock().contains(&no) {
            return StartSeen::UnderWay;
        }
        if standing.order != Order::Run {
            return match waited < HELD_MIN {
                true => StartSeen::UnderWay,
                false => StartSeen::Held(reason().unwrap_or_else(|| "it waits".to_owned())),
            };
        }
        let output = member.last_output();
        StartSeen::of(member.own_state(), member.restarts(), || with_output(reason(), &output))
    }

    /// Puts a member in the place of a node, and tells the graph.
    fn put(&self, id: &Need, member: &Member) -> Option<Member> {
        let no = self.number(id)?;
        let before = self.roll.write().put(id, no, member.clone());
        if let Some(before) = &before {
            before.set_quiet(true);
        }
        self.listen(no, member);
        self.put_on_board(no, &self.own);
        member.set_quiet(false);
        // First what holds it, so that nothing starts that must not run.
        let standing = self.graph.lock().standing(no);
        self.apply(no, standing);
        self.step(no, GraphEvent::Replaced(member.own_state(), member.run()));
        self.note(no);
        before
    }

    fn carry_out(&self, decisions: Vec<StandingChange>) {
        for StandingChange { node, standing } in decisions {
            self.apply(node, standing);
        }
    }

    fn member_of(&self, newcomer: Newcomer) -> Member {
        match newcomer {
            Newcomer::Server(pool) => Member::Server(pool),
            Newcomer::Service(spec) => Member::Service(self.workshop.service(&spec)),
            Newcomer::External(spec) => Member::External(self.workshop.external(&spec)),
            Newcomer::Watched(Beside(external)) => Member::External(external),
            Newcomer::Volume => Member::Volume,
        }
    }
}

/// What was in force, and may still run.
#[derive(Debug)]
pub struct Leaver(Option<Member>);

// === impl Leaver ===

impl Leaver {
    /// Ends it, and waits until nothing of it is left. A server's pool is ended by the gateway.
    pub async fn end(self) {
        match self.0 {
            Some(Member::Service(service)) => {
                service.stop.cancel();
                service.until_over().await;
            }
            Some(Member::External(external)) => external.stop.cancel(),
            Some(Member::Server(_) | Member::Volume) | None => {}
        }
    }
}

// === impl StartSeen ===

impl StartSeen {
    /// What a state means for a start. A start that was lost is tried once more.
    pub fn of(
        state: InstanceState,
        restarts: u64,
        reason: impl FnOnce() -> Option<String>,
    ) -> Self {
        let failed = match state {
            state if state.serves() => return Self::Ready,
            InstanceState::Failed | InstanceState::CrashLooping | InstanceState::Unhealthy => true,
            InstanceState::BackingOff => restarts > 0,
            _ => false,
        };
        match failed {
            true => Self::Failed(reason().unwrap_or_else(|| format!("it is {}", state.as_str()))),
            false => Self::UnderWay,
        }
    }
}

// === impl Beside ===

impl Beside {
    /// What its probe has shown.
    pub fn start_seen(&self) -> StartSeen {
        let reason = || self.0.sight().reason;
        StartSeen::of(self.0.state(), 1, reason)
    }

    pub fn end(&self) {
        self.0.stop.cancel();
    }
}

/// A reason with the last output of the process that ended below it.
pub fn with_output(reason: Option<String>, output: &[String]) -> Option<String> {
    match output {
        [] => reason,
        output => reason.map(|reason| format!("{reason}\n{}", output.join("\n"))),
    }
}

fn is_run(id: &Need) -> bool {
    matches!(id.kind, NodeKind::Server | NodeKind::Service)
}
