//! Carries out the steps of one reload, one after the other.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_fleet::{Beside, Fleet, Leaver, Newcomer, NodeSpecs, StartSeen, with_output};
use mainstay_model::settings::Settings;
use mainstay_model::{Need, NodeKind};
use mainstay_pool::Pool;
use mainstay_supervisor::reload::{InForce, Reload, ReloadEvent, ReloadStep};
use tokio::sync::mpsc;

use super::Carryout;
use super::lists::place;

/// The state of one reload.
pub(super) struct Run<'a> {
    pub(super) of: &'a Carryout<'a>,
    pub(super) old: Settings,
    pub(super) new: &'a Settings,
    /// What was started beside what is in force.
    pub(super) beside: HashMap<Need, Prepared>,
    pub(super) events: mpsc::Sender<ReloadEvent>,
}

pub(super) enum Prepared {
    Server(Arc<Pool>),
    External(Beside),
}

/// Which settings of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Which {
    Old,
    New,
    None,
}

/// How often it is looked how a start goes.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// The longest wait for the first checks of an external.
const EXTERNAL_MAX: Duration = Duration::from_secs(60);

/// What is in force, for the decisions.
struct Seen<'a>(&'a Fleet);

// === impl Run ===

impl Run<'_> {
    /// Takes one step of the reload, and carries out what follows.
    pub(super) async fn take(&mut self, reload: &mut Reload, event: ReloadEvent) {
        let mut steps = Vec::new();
        let fleet = self.of.fleet.clone();
        reload.step(event, &Seen(&fleet), &mut steps);
        let mut open = VecDeque::from(steps);
        while let Some(step) = open.pop_front() {
            let Some(answer) = self.perform(step).await else { continue };
            let mut more = Vec::new();
            reload.step(answer, &Seen(&fleet), &mut more);
            open.extend(more);
        }
    }

    /// Carries out one step. Returns whether it took effect, where that is asked.
    async fn perform(&mut self, step: ReloadStep) -> Option<ReloadEvent> {
        let (id, done) = match step {
            ReloadStep::Prepare(id) => {
                self.prepare(&id);
                return None;
            }
            ReloadStep::Discard(id) => {
                self.discard(id);
                return None;
            }
            ReloadStep::Start(id) => {
                self.start(&id).await;
                return None;
            }
            ReloadStep::Switch(id) => (id.clone(), self.switch(&id).await),
            ReloadStep::Replace(id) => (id.clone(), self.suspend(&id, Which::New).await),
            ReloadStep::Restore(id) => (id.clone(), self.suspend(&id, Which::Old).await),
            ReloadStep::Add(id) => (id.clone(), self.add(&id).await),
            ReloadStep::Apply(id) => (id.clone(), self.apply(&id)),
            ReloadStep::Remove(id) => (id.clone(), self.remove(&id).await),
        };
        Some(match done {
            Ok(()) => ReloadEvent::Applied(id),
            Err(why) => ReloadEvent::Refused(id, why),
        })
    }

    fn prepare(&mut self, id: &Need) {
        let events = self.events.clone();
        let own = id.clone();
        if id.kind == NodeKind::External {
            let Some(spec) = self.new.externals.iter().find(|spec| spec.name == id.name) else {
                return;
            };
            let beside = self.of.fleet.watch_beside(spec);
            self.beside.insert(id.clone(), Prepared::External(beside.clone()));
            tokio::spawn(until_settled(own, EXTERNAL_MAX, events, move |_| beside.start_seen()));
            return;
        }
        let Some(spec) = self.new.servers.iter().find(|spec| spec.name == id.name) else { return };
        let most = spec.start_deadline;
        let pool = Pool::new(spec.clone(), &self.of.carrying.means.pools);
        self.of.gateway.prepare(&pool);
        self.beside.insert(id.clone(), Prepared::Server(pool.clone()));
        let fleet = self.of.fleet.clone();
        let seen = move |_| match fleet.held_meanwhile(&own) {
            Some(why) => StartSeen::Held(why),
            None => seen(&pool),
        };
        tokio::spawn(until_settled(id.clone(), most, events, seen));
    }

    fn discard(&mut self, id: Need) {
        let events = self.events.clone();
        match self.beside.remove(&id) {
            Some(Prepared::Server(pool)) => {
                tokio::spawn(async move {
                    pool.stop().await;
                    let _ = events.send(ReloadEvent::Ended(id)).await;
                });
            }
            prepared => {
                if let Some(Prepared::External(beside)) = prepared {
                    beside.end();
                }
                tokio::spawn(async move {
                    let _ = events.send(ReloadEvent::Ended(id)).await;
                });
            }
        }
    }

    async fn switch(&mut self, id: &Need) -> Result<(), String> {
        let Some(prepared) = self.beside.get(id) else {
            return Err("the daemon is stopping".to_owned());
        };
        let newcomer = match prepared {
            Prepared::Server(pool) => Newcomer::Server(pool.clone()),
            Prepared::External(beside) => Newcomer::Watched(beside.clone()),
        };
        if self.of.gateway.is_draining() {
            return Err("the daemon is stopping".to_owned());
        }
        let old = self.pool(id);
        let before = self.put(id, Which::New);
        let fleet = self.of.fleet.clone();
        let settings = self.in_force();
        let leaver = match fleet.switch(specs(&settings), id, newcomer).await {
            Ok(leaver) => leaver,
            Err(error) => {
                *self.of.in_force.lock() = before;
                return Err(error.to_string());
            }
        };
        match self.beside.remove(id) {
            Some(Prepared::Server(pool)) => self.hand_over(id, old, &pool, leaver),
            Some(Prepared::External(_)) | None => self.end(id, leaver),
        }
        Ok(())
    }

    /// Puts a pool in force for calls, and ends the one that was there.
    fn hand_over(&self, id: &Need, old: Option<Arc<Pool>>, new: &Arc<Pool>, leaver: Leaver) {
        if let Some(old) = &old {
            old.hand_over(new);
        }
        self.of.install();
        let Some(old) = old else { return self.end(id, leaver) };
        let (gateway, events, id) = (self.of.gateway.clone(), self.events.clone(), id.clone());
        tokio::spawn(async move {
            gateway.until_retired(&old).await;
            let _ = events.send(ReloadEvent::Ended(id)).await;
        });
    }

    /// Ends what is no longer in force.
    fn end(&self, id: &Need, leaver: Leaver) {
        let (events, id) = (self.events.clone(), id.clone());
        tokio::spawn(async move {
            leaver.end().await;
            let _ = events.send(ReloadEvent::Ended(id)).await;
        });
    }

    async fn suspend(&mut self, id: &Need, which: Which) -> Result<(), String> {
        let before = self.put(id, which);
        let fleet = self.of.fleet.clone();
        let settings = self.in_force();
        if let Err(error) = fleet.suspend(specs(&settings), id).await {
            *self.of.in_force.lock() = before;
            return Err(error.to_string());
        }
        let (events, id) = (self.events.clone(), id.clone());
        tokio::spawn(async move {
            fleet.until_suspended(&id).await;
            let _ = events.send(ReloadEvent::Ended(id)).await;
        });
        Ok(())
    }

    async fn start(&mut self, id: &Need) {
        let fleet = self.of.fleet.clone();
        let Some((newcomer, most)) = self.newcomer(id) else { return };
        let (old, new) = (self.pool(id), newcomer.clone());
        if let (Some(old), Newcomer::Server(pool)) = (&old, &new) {
            // Before it starts, so that what is told of the server goes on.
            old.hand_over(pool);
        }
        let leaver = fleet.resume(id, newcomer).await;
        match new {
            Newcomer::Server(_) => {
                self.of.install();
                if let Some(old) = old {
                    old.lead_on();
                }
            }
            // It has ended before.
            _ => drop(tokio::spawn(leaver.end())),
        }
        self.watch_start(id, most);
    }

    async fn add(&mut self, id: &Need) -> Result<(), String> {
        let before = self.put(id, Which::New);
        let Some((newcomer, most)) = self.newcomer(id) else {
            return Err("it is not configured".to_owned());
        };
        let settings = self.in_force();
        let fleet = self.of.fleet.clone();
        if let Err(error) = fleet.add(specs(&settings), id, newcomer).await {
            *self.of.in_force.lock() = before;
            return Err(error.to_string());
        }
        if id.kind == NodeKind::Server {
            self.of.install();
        }
        self.watch_start(id, most);
        Ok(())
    }

    fn apply(&mut self, id: &Need) -> Result<(), String> {
        let before = self.put(id, Which::New);
        let settings = self.in_force();
        if let Err(error) = self.of.fleet.replan(specs(&settings)) {
            *self.of.in_force.lock() = before;
            return Err(error.to_string());
        }
        match id.kind {
            NodeKind::Server => {
                let spec = self.new.servers.iter().find(|spec| spec.name == id.name);
                if let (Some(spec), Some(pool)) = (spec, self.pool(id)) {
                    pool.update(spec.clone());
                }
            }
            NodeKind::Service => {
                let spec = self.new.services.iter().find(|spec| spec.name == id.name);
                if let Some(spec) = spec {
                    self.of.fleet.update_service(spec);
                }
            }
            NodeKind::Volume | NodeKind::External => {}
        }
        Ok(())
    }

    async fn remove(&mut self, id: &Need) -> Result<(), String> {
        let old = self.pool(id);
        let before = self.put(id, Which::None);
        let settings = self.in_force();
        let fleet = self.of.fleet.clone();
        let leaver = match fleet.remove(specs(&settings), id).await {
            Ok(leaver) => leaver,
            Err(error) => {
                *self.of.in_force.lock() = before;
                return Err(error.to_string());
            }
        };
        let Some(old) = old else {
            self.end(id, leaver);
            return Ok(());
        };
        self.of.install();
        let (gateway, events, id) = (self.of.gateway.clone(), self.events.clone(), id.clone());
        tokio::spawn(async move {
            gateway.until_retired(&old).await;
            let _ = events.send(ReloadEvent::Ended(id)).await;
        });
        Ok(())
    }

    /// Watches the start of what is in force.
    fn watch_start(&self, id: &Need, most: Duration) {
        let (fleet, own) = (self.of.fleet.clone(), id.clone());
        let seen = move |waited| fleet.start_seen(&own, waited);
        tokio::spawn(until_settled(id.clone(), most, self.events.clone(), seen));
    }

    /// What takes a node's place with the settings in force, and the longest time for its start.
    fn newcomer(&self, id: &Need) -> Option<(Newcomer, Duration)> {
        let in_force = self.of.in_force.lock();
        match id.kind {
            NodeKind::Server => {
                let spec = in_force.servers.iter().find(|spec| spec.name == id.name)?;
                let pool = Pool::new(spec.clone(), &self.of.carrying.means.pools);
                Some((Newcomer::Server(pool), spec.start_deadline))
            }
            NodeKind::Service => {
                let spec = in_force.services.iter().find(|spec| spec.name == id.name)?;
                Some((Newcomer::Service(Box::new(spec.clone())), spec.start_deadline))
            }
            NodeKind::External => {
                let spec = in_force.externals.iter().find(|spec| spec.name == id.name)?;
                Some((Newcomer::External(Box::new(spec.clone())), EXTERNAL_MAX))
            }
            NodeKind::Volume => Some((Newcomer::Volume, EXTERNAL_MAX)),
        }
    }

    fn pool(&self, id: &Need) -> Option<Arc<Pool>> {
        let is_server = id.kind == NodeKind::Server;
        let pools = if is_server { self.of.fleet.pools() } else { Vec::new() };
        pools.into_iter().find(|pool| pool.name == id.name)
    }

    fn in_force(&self) -> Settings {
        self.of.in_force.lock().clone()
    }

    /// Puts the old, the new or no settings of a node in force. Returns all settings as they were before.
    fn put(&self, id: &Need, which: Which) -> Settings {
        let from = match which {
            Which::Old => &self.old,
            Which::New | Which::None => self.new,
        };
        let is_gone = which == Which::None;
        let mut in_force = self.of.in_force.lock();
        let before = in_force.clone();
        let (name, new) = ((&id.name, is_gone), self.new);
        match id.kind {
            NodeKind::Server => {
                let lists = (&*from.servers, &*new.servers);
                place(&mut in_force.servers, lists, name, |it| &it.name);
            }
            NodeKind::Service => {
                let lists = (&*from.services, &*new.services);
                place(&mut in_force.services, lists, name, |it| &it.name);
            }
            NodeKind::Volume => {
                let lists = (&*from.volumes, &*new.volumes);
                place(&mut in_force.volumes, lists, name, |it| &it.name);
            }
            NodeKind::External => {
                let lists = (&*from.externals, &*new.externals);
                place(&mut in_force.externals, lists, name, |it| &it.name);
            }
        }
        before
    }
}

fn specs(settings: &Settings) -> NodeSpecs<'_> {
    let Settings { servers, services, volumes, externals, .. } = settings;
    NodeSpecs { servers, services, volumes, externals }
}

/// How the start of a pool goes that is not in force yet.
fn seen(pool: &Pool) -> StartSeen {
    let glance = pool.glance();
    let reason = || with_output(glance.reason, &pool.last_output());
    StartSeen::of(pool.own_state(), pool.own_restarts(), reason)
}

/// Waits until a start has shown how it ends, for this time at most.
async fn until_settled(
    id: Need,
    most: Duration,
    events: mpsc::Sender<ReloadEvent>,
    seen: impl Fn(Duration) -> StartSeen,
) {
    let begun = Instant::now();
    let event = loop {
        match seen(begun.elapsed()) {
            StartSeen::Ready => break ReloadEvent::Ready(id),
            StartSeen::Held(why) => break ReloadEvent::Held(id, why),
            StartSeen::Failed(why) => break ReloadEvent::Failed(id, why),
            StartSeen::UnderWay if begun.elapsed() > most => {
                let why = format!("it was not ready within {} s", most.as_secs());
                break ReloadEvent::Failed(id, why);
            }
            StartSeen::UnderWay if events.is_closed() => return,
            StartSeen::UnderWay => tokio::time::sleep(LOOK_EVERY).await,
        }
    };
    let _ = events.send(event).await;
}

// === impl Seen ===

impl InForce for Seen<'_> {
    fn serves(&self, node: &Need) -> bool {
        self.0.serves(node)
    }

    fn needed_by(&self, node: &Need) -> Option<Need> {
        self.0.needed_by(node)
    }
}
