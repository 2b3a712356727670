//! The nodes of the graph as they run.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_model::settings::ProbeSpec;
use mainstay_model::status::InstanceState;
use mainstay_pool::{Breaker, ChangeHook, Pool};
use mainstay_supervisor::graph::{Hold, Why};
use mainstay_upstream::probing::{Newest, Probe};

use crate::external::External;
use crate::service::Service;

/// A node of the graph.
#[derive(Debug, Clone)]
pub(crate) enum Member {
    Server(Arc<Pool>),
    Service(Arc<Service>),
    External(Arc<External>),
    /// Nobody watches it, and it holds nobody up.
    Volume,
}

/// What a node shows of itself.
#[derive(Debug, Clone)]
pub(crate) struct Sight {
    pub(crate) state: InstanceState,
    pub(crate) since: Instant,
    /// Why it is not ready, for the operator.
    pub(crate) reason: Option<String>,
    /// The same without what only the operator may know.
    pub(crate) brief: Option<String>,
    pub(crate) retry_at: Option<Instant>,
    pub(crate) pid: Option<u32>,
}

/// A probe as it is shown.
#[derive(Debug, Clone)]
pub struct ProbeView {
    /// The key of the configuration that says what is checked, such as `http`.
    pub kind: &'static str,
    pub newest: Newest,
}

// === impl Member ===

impl Member {
    pub(crate) fn on_change(&self, hook: ChangeHook) {
        match self {
            Self::Server(pool) => pool.holding().on_change(hook),
            Self::Service(service) => service.holding().on_change(hook),
            Self::External(external) => external.on_change(hook),
            Self::Volume => {}
        }
    }

    /// The state of the node by itself, without what the graph makes of it.
    pub(crate) fn own_state(&self) -> InstanceState {
        match self {
            Self::Server(pool) => pool.own_state(),
            Self::Service(service) => service.own_state(),
            Self::External(external) => external.state(),
            Self::Volume => InstanceState::Ready,
        }
    }

    /// The circuit breaker of the node. `None` for a volume.
    pub(crate) fn breaker(&self) -> Option<&Arc<Breaker>> {
        match self {
            Self::Server(pool) => Some(&pool.breaker),
            Self::Service(service) => Some(&service.breaker),
            Self::External(external) => Some(&external.breaker),
            Self::Volume => None,
        }
    }

    /// How often its present instance was started again.
    pub(crate) fn restarts(&self) -> u64 {
        match self {
            Self::Server(pool) => pool.own_restarts(),
            Self::Service(service) => service.lifecycle.lock().restarts(),
            Self::External(_) => 1,
            Self::Volume => 0,
        }
    }

    /// Makes its changes known from now on, or no longer.
    pub(crate) fn set_quiet(&self, is_quiet: bool) {
        match self {
            Self::Server(pool) => pool.set_quiet(is_quiet),
            Self::External(external) => external.set_quiet(is_quiet),
            Self::Service(_) | Self::Volume => {}
        }
    }

    /// The number of the node's run, or of the last one.
    pub(crate) fn run(&self) -> u64 {
        match self {
            Self::Server(pool) => pool.own_run(),
            Self::Service(service) => service.lifecycle.lock().run_no().get(),
            Self::External(_) | Self::Volume => 0,
        }
    }

    pub(crate) fn hold(&self, hold: Hold, drain: Duration) {
        match self {
            Self::Server(pool) => pool.hold(hold, drain),
            Self::Service(service) => service.hold(hold),
            Self::External(_) | Self::Volume => {}
        }
    }

    /// Dates a hold back: it was in force before this daemon started.
    pub(crate) fn backdate(&self, since: Instant) {
        match self {
            Self::Server(pool) => pool.holding().backdate(since),
            Self::Service(service) => service.holding().backdate(since),
            Self::External(_) | Self::Volume => {}
        }
    }

    pub(crate) fn release(&self, afresh: bool) {
        match self {
            Self::Server(pool) => pool.release(afresh),
            Self::Service(service) => service.release(afresh),
            Self::External(_) | Self::Volume => {}
        }
    }

    pub(crate) fn set_shortage(&self, shortage: Option<Arc<dyn Why>>) {
        match self {
            Self::Server(pool) => pool.set_shortage(shortage),
            Self::Service(service) => service.set_shortage(shortage),
            Self::External(_) | Self::Volume => {}
        }
    }

    /// Waits until nothing of a node that is held runs any more.
    pub(crate) async fn until_ended(&self) {
        match self {
            Self::Server(pool) => pool.until_ended().await,
            Self::Service(service) => service.until_ended().await,
            Self::External(_) | Self::Volume => {}
        }
    }

    /// Calls in flight.
    pub(crate) fn calls(&self) -> usize {
        match self {
            Self::Server(pool) => pool.in_flight(),
            Self::Service(_) | Self::External(_) | Self::Volume => 0,
        }
    }

    /// Counts the calls that are in flight now as long as they are, also while it is stopped.
    pub(crate) fn calls_counter(&self) -> Box<dyn Fn() -> usize + Send + Sync> {
        match self {
            Self::Server(pool) => Box::new(pool.in_flight_counter()),
            Self::Service(_) | Self::External(_) | Self::Volume => Box::new(|| 0),
        }
    }

    /// Checks the node at once, because something that needs it was lost.
    pub(crate) fn hasten(&self) {
        match self {
            Self::Server(pool) => pool.hasten_probe(),
            Self::Service(service) => service.hasten_probe(),
            Self::External(external) => external.hasten(),
            Self::Volume => {}
        }
    }

    /// Has the breaker of a node tried at once that is ready again, or runs anew.
    pub(crate) fn try_breaker(&self) {
        if self.breaker().is_some_and(|breaker| breaker.ready_again()) {
            self.hasten();
        }
    }

    /// The time until the node is tried again, if it is down: until its next start, or until its next check at the
    /// latest.
    pub(crate) fn retry_in(&self) -> Option<Duration> {
        let until = |at: Instant| at.saturating_duration_since(Instant::now());
        let next = self.sight().and_then(|sight| sight.retry_at).map(until);
        let check = match self {
            Self::Server(pool) => pool.spec().probe.as_ref().map(|probe| probe.waiting_period),
            Self::Service(service) => service.spec().probe.as_ref().map(|it| it.waiting_period),
            Self::External(external) => Some(external.spec.probe.waiting_period),
            Self::Volume => None,
        };
        next.or(check)
    }

    /// How long starts of the node usually take, if one was seen, and how long the present one has lasted.
    pub(crate) fn start(&self) -> (Option<Duration>, Duration) {
        match self {
            Self::Server(pool) => (pool.usual_start(), pool.start_lasts()),
            Self::Service(service) => service.start(),
            Self::External(external) => (None, external.sight().since.elapsed()),
            Self::Volume => (None, Duration::ZERO),
        }
    }

    /// Whether a long start of the node was lost, and the next one comes soon.
    pub(crate) fn was_interrupted(&self) -> bool {
        match self {
            Self::Server(pool) => pool.was_interrupted(),
            Self::Service(service) => service.lifecycle.lock().was_interrupted(),
            Self::External(_) | Self::Volume => false,
        }
    }

    /// What its probe checks, and the newest result.
    pub(crate) fn probe(&self) -> Option<ProbeView> {
        let of = |spec: &ProbeSpec, probe: &Probe| ProbeView {
            kind: spec.check.word(),
            newest: probe.newest(),
        };
        match self {
            Self::Server(pool) => Some(of(pool.spec().probe.as_ref()?, pool.probe()?)),
            Self::Service(service) => {
                Some(of(service.spec().probe.as_ref()?, service.probe.as_ref()?))
            }
            Self::External(external) => Some(of(&external.spec.probe, external.probe())),
            Self::Volume => None,
        }
    }

    pub(crate) fn is_required(&self) -> bool {
        match self {
            Self::Server(pool) => pool.spec().required,
            Self::Service(service) => service.spec().required,
            Self::External(_) | Self::Volume => false,
        }
    }

    /// The last lines that a process wrote which ended, while the node is not ready.
    pub(crate) fn last_output(&self) -> Vec<String> {
        match self {
            Self::Server(pool) => pool.last_output(),
            Self::Service(service) => service.status().last_output,
            Self::External(_) | Self::Volume => Vec::new(),
        }
    }

    /// What the node shows of itself now. `None` for a volume.
    pub(crate) fn sight(&self) -> Option<Sight> {
        match self {
            Self::Server(pool) => {
                let glance = pool.glance();
                Some(Sight {
                    state: glance.state,
                    since: glance.since,
                    reason: glance.reason,
                    brief: glance.brief_reason,
                    retry_at: glance.retry_at,
                    pid: pool.primary_base().and_then(|base| base.pid()),
                })
            }
            Self::Service(service) => Some(service.sight()),
            Self::External(external) => Some(external.sight()),
            Self::Volume => None,
        }
    }
}
