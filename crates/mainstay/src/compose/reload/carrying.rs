//! Carries out what `supervisor::reload` decides, on the gateway and the fleet.

mod lists;
mod steps;

use std::collections::HashMap;
use std::sync::Arc;

use mainstay_config::diff::gateway_in_force;
use mainstay_config::{Loaded, Origin, Origins, Plan};
use mainstay_fleet::Fleet;
use mainstay_gateway::{Gateway, Layout};
use mainstay_model::Budget;
use mainstay_model::settings::Settings;
use mainstay_supervisor::reload::{Reload, ReloadEvent, ReloadOutcome};
use mainstay_telemetry::Metrics;
use parking_lot::{Mutex, RwLock};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::lists::sort;
use self::steps::Run;
use super::super::limits;
use super::super::notify::Notifier;
use super::super::passed::{self, PassedPages};
use super::super::status::Places;
use super::super::verify::Declared;
use super::tasks::{needs, tasks};

/// What only the composition of the daemon knows how to change.
#[derive(Debug)]
pub(in super::super) struct Means {
    pub(in super::super) pools: mainstay_pool::Parts,
    pub(in super::super) pages: Arc<RwLock<Arc<PassedPages>>>,
    pub(in super::super) notifier: Arc<Notifier>,
    pub(in super::super) places: Places,
    pub(in super::super) declared: Arc<RwLock<Declared>>,
    /// The limit on open files.
    pub(in super::super) files: Option<u64>,
    pub(in super::super) budget: Budget,
}

/// What all reloads share.
#[derive(Debug)]
pub(super) struct Carrying {
    means: Means,
}

/// One reload as it is carried out.
pub(super) struct Carryout<'a> {
    pub(super) carrying: &'a Carrying,
    pub(super) gateway: &'a Arc<Gateway>,
    pub(super) fleet: &'a Arc<Fleet>,
    pub(super) metrics: &'a Arc<Metrics>,
    pub(super) in_force: &'a Mutex<Settings>,
    pub(super) stop: &'a CancellationToken,
}

/// Events that wait to be taken. Whoever has one waits for its place.
const EVENTS_MAX: usize = 64;
// === impl Carrying ===

impl Carrying {
    pub(super) fn new(means: Means) -> Self {
        Self { means }
    }
}

// === impl Carryout ===

impl Carryout<'_> {
    /// Carries out a plan. `progress` is told of each step.
    pub(super) async fn run(&self, loaded: &Loaded, plan: &Plan, progress: impl Fn(&Reload)) {
        let new = &loaded.settings;
        let old = self.in_force.lock().clone();
        self.apply_settings(new, plan, &loaded.origins).await;
        let (events, mut heard) = mpsc::channel(EVENTS_MAX);
        let mut reload = Reload::new(tasks(self.fleet, &old, new, plan), &needs(new));
        let mut run = Run { of: self, old, new, beside: HashMap::new(), events };
        let mut event = ReloadEvent::Begin;
        loop {
            run.take(&mut reload, event).await;
            progress(&reload);
            if reload.is_over() {
                break;
            }
            let is_stopped = reload.is_stopped();
            event = tokio::select! {
                biased;
                () = self.stop.cancelled(), if !is_stopped => ReloadEvent::Stop,
                Some(event) = heard.recv() => event,
            };
        }
        self.settle(plan);
        tell(&reload);
    }

    /// Puts the settings of the daemon and the groups in force.
    async fn apply_settings(&self, new: &Settings, plan: &Plan, origins: &Origins) {
        let means = &self.carrying.means;
        let gateway = gateway_in_force(&self.in_force.lock().gateway, &new.gateway);
        let mut effective = gateway.clone();
        let of = origins.of("gateway.max_connections");
        let is_chosen = of.is_some_and(|from| *from != Origin::Default);
        if plan.gateway.iter().any(|it| it.key == "gateway.max_connections") {
            limits::lower_connections(&mut effective.limits, is_chosen, means.files, means.budget);
        } else {
            effective.limits.connections_max = self.gateway.settings().limits.connections_max;
        }
        // The port that a daemon listens at may be another one than is configured.
        effective.listen = self.gateway.settings().listen;
        self.gateway.set_settings(effective);
        self.fleet.set_drain(gateway.limits.drain);
        means.places.set_mcp_url(&gateway);
        let notify = {
            let mut in_force = self.in_force.lock();
            in_force.gateway = gateway;
            in_force.endpoints.clone_from(&new.endpoints);
            let is_other = in_force.notify != new.notify;
            in_force.notify.clone_from(&new.notify);
            in_force.checks.clone_from(&new.checks);
            is_other
        };
        if notify {
            means.notifier.replace(&new.notify).await;
        }
        let names = plan.gateway.iter().any(|it| it.key == "gateway.names");
        if !plan.endpoints.is_empty() || plan.order.is_some() || names {
            sort(&mut self.in_force.lock().servers, &new.servers, |spec| &spec.name);
            self.install();
        }
    }

    /// Puts the pools in force, in the order of the servers. False: the daemon is stopping.
    fn install(&self) -> bool {
        let (order, groups, names) = {
            let in_force = self.in_force.lock();
            let order: Vec<_> = in_force.servers.iter().map(|spec| spec.name.clone()).collect();
            (order, in_force.endpoints.clone(), in_force.gateway.names)
        };
        let mut pools = self.fleet.pools();
        pools.sort_by_key(|pool| order.iter().position(|name| *name == pool.name));
        self.gateway.install(Layout { pools, groups, names })
    }

    /// Brings what depends on all nodes in line with them.
    fn settle(&self, plan: &Plan) {
        let in_force = self.in_force.lock();
        let means = &self.carrying.means;
        let is_other =
            !plan.servers.is_empty() || !plan.services.is_empty() || !plan.gateway.is_empty();
        if is_other {
            let owners = passed::owners(&in_force.servers, &in_force.services);
            match PassedPages::new(owners, &in_force.gateway, self.fleet) {
                Ok(pages) => *means.pages.write() = Arc::new(pages),
                Err(error) => {
                    tracing::error!(target: "mainstay", %error, "pages stay as they were");
                }
            }
        }
        *means.declared.write() = Declared::new(&in_force, &means.pools.host);
        self.metrics.keep_servers(in_force.servers.iter().map(|spec| &spec.name));
    }
}

/// Logs how each change has ended.
fn tell(reload: &Reload) {
    for (task, outcome) in reload.outcomes() {
        let node = task.id.to_string();
        match outcome {
            Some(ReloadOutcome::Done) => {
                tracing::info!(target: "mainstay", %node, "its new settings are in force");
            }
            Some(ReloadOutcome::Held(reason)) => tracing::info!(
                target: "mainstay", %node, %reason, "its new settings are in force, and it waits"
            ),
            Some(ReloadOutcome::NotReady(reason)) => tracing::error!(
                target: "mainstay", %node, %reason, "its new settings are in force, and it is not ready"
            ),
            Some(ReloadOutcome::Kept(reason)) => tracing::error!(
                target: "mainstay", %node, %reason, "it keeps its old settings"
            ),
            Some(ReloadOutcome::Interrupted) | None => tracing::warn!(
                target: "mainstay", %node, "the daemon stopped before its settings were changed"
            ),
        }
    }
}
