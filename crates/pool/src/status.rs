//! The status of a pool, read from its instances.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use mainstay_model::settings::Sharing;
use mainstay_model::status::{InstanceState, InstanceStatus, PoolStatus, ServerStatus};
use mainstay_protocol::list::ListKind;

use crate::eras::other;
use crate::instance::Instance;
use crate::pool::Pool;

/// The state of a server and its reasons, without its numbers.
#[derive(Debug, Clone)]
pub struct Glance {
    pub state: InstanceState,
    pub since: Instant,
    /// Why the server is not ready, with the last output of a process that died.
    pub reason: Option<String>,
    /// The same without paths, arguments, addresses and output.
    pub brief_reason: Option<String>,
    pub retry_at: Option<Instant>,
}

impl Pool {
    /// Whether the numbers of the server count in the sum over all pools: it has a pool by its
    /// configuration, or lends each instance to one session or call.
    pub fn has_pool(&self) -> bool {
        self.spec().pool.is_configured
            || matches!(self.spec().sharing, Sharing::Session | Sharing::Call)
    }

    /// All instances, oldest first.
    pub fn instances(&self) -> Vec<Arc<Instance>> {
        let mut all = self.bases();
        all.extend(self.lending.members());
        all.sort_by_key(|instance| instance.id.0);
        all
    }

    /// The number of calls in flight on all instances.
    pub fn in_flight(&self) -> usize {
        self.instances()
            .iter()
            .filter_map(|instance| instance.ready_run())
            .map(|run| run.link.in_flight())
            .sum()
    }

    /// Counts the calls that are in flight now as long as they are, also while their runs admit no new ones.
    pub fn in_flight_counter(&self) -> impl Fn() -> usize + Send + Sync + use<> {
        let runs: Vec<_> = self.instances().iter().filter_map(|it| it.ready_run()).collect();
        move || runs.iter().map(|run| run.link.in_flight()).sum()
    }

    /// The number of calls that wait: for their turn, for an instance, or for its start.
    pub fn calls_waiting(&self) -> usize {
        self.calls_waiting.load(Ordering::Acquire)
    }

    /// The numbers of the roster, whose total `pool.max` bounds. Base instances are not included.
    ///
    /// An instance that a session keeps for itself is active: no other call can get it.
    pub fn pool_status(&self) -> PoolStatus {
        let counts = self.lending.counts();
        let active = counts.active + counts.kept + counts.starting + counts.leaving;
        PoolStatus {
            active,
            idle: counts.idle,
            total: active + counts.idle,
            max_pool_size: self.spec().pool.instances_max,
            min_pool_size: self.spec().pool.instances_min,
        }
    }

    /// Which calls an instance is for, as in [`InstanceStatus::only_for`].
    fn only_for(&self, instance: &Instance) -> Option<&'static str> {
        match self.spec().sharing {
            Sharing::User | Sharing::Shared => None,
            Sharing::Session | Sharing::Call if instance.supplies_lists() => Some("lists"),
            Sharing::Session => Some("session"),
            Sharing::Call => Some("call"),
        }
    }

    /// The state of the server and its reasons.
    pub fn glance(&self) -> Glance {
        let Some(primary) = self.primary.get() else {
            let (reason, brief_reason) = self.holding.reason().unzip();
            let state = self.state();
            let since = self.holding.shown_since(state).unwrap_or_else(Instant::now);
            return Glance { state, since, reason, brief_reason, retry_at: None };
        };
        let lifecycle = primary.lifecycle.lock();
        let state = self.holding.shown_state(primary.visible_state(lifecycle.state()));
        let since = self.holding.shown_since(state).unwrap_or(lifecycle.since());
        let retry_at = lifecycle.retry_at().filter(|_| !self.needs_restart());
        let begun = lifecycle.begun();
        let pending = lifecycle.pending().map(str::to_owned);
        drop(lifecycle);
        let (reason, brief_reason) = match (self.holding.reason(), pending) {
            (Some((reason, brief)), _) => (Some(reason), Some(brief)),
            (None, Some(missing)) => {
                let brief = "its probe has not passed yet".to_owned();
                let before = primary.lifecycle.lock().reason().map(str::to_owned);
                let before = before.map(|before| format!("{before}; ")).unwrap_or_default();
                (Some(format!("{before}{brief}: {missing}")), Some(brief))
            }
            (None, None) => match primary.reason() {
                Some(reason) => (Some(reason), primary.brief_reason()),
                None => {
                    let slow = self.slow_start(state, begun);
                    (slow.clone(), slow)
                }
            },
        };
        Glance { state, since, reason, brief_reason, retry_at }
    }

    /// The first and the last lines that the last run of the primary instance wrote to standard error.
    pub fn last_output(&self) -> Vec<String> {
        self.primary.get().map(|primary| primary.last_output()).unwrap_or_default()
    }

    /// The status of the server. `clock` formats a time as RFC 3339.
    pub fn status(&self, now: Instant, clock: &dyn Fn(Instant) -> String) -> ServerStatus {
        let facts = self.primary_facts();
        let second = self.facts(other(self.era()));
        let count = |kind| facts.as_ref().map_or(0, |facts| facts.lists.of(kind).len());
        let instances = self.instances();
        let instances = instances.iter().map(|instance| InstanceStatus {
            only_for: self.only_for(instance),
            ..instance.status(now)
        });
        let instances: Vec<_> = instances.collect();
        let restarts = instances.iter().map(|instance| instance.restarts).sum::<u64>()
            + self.past_restarts.load(Ordering::Relaxed);
        let mut status = ServerStatus {
            name: self.name.clone(),
            kind: self.host.abilities().kind.to_owned(),
            target: self.host.target(),
            required: self.spec().required,
            state: InstanceState::Stopped,
            reason: None,
            last_output: Vec::new(),
            brief_reason: None,
            note: self.note(),
            brief_note: self.brief_note(),
            missing: self.all_missing_items(),
            since: clock(now),
            retry_in_ms: None,
            transport: self.host.transport().map(|transport| transport.name.to_owned()),
            revision: facts.as_ref().map(|facts| facts.revision.to_string()),
            second_revision: second.map(|facts| facts.revision.to_string()),
            tools: count(ListKind::Tools),
            resources: count(ListKind::Resources),
            prompts: count(ListKind::Prompts),
            restarts,
            calls: instances.iter().map(|instance| instance.calls).sum(),
            waiting: self.calls_waiting(),
            memory_bytes: instances.iter().filter_map(|instance| instance.memory_bytes).sum(),
            stray_lines: self.stray_lines.load(Ordering::Relaxed),
            instances,
        };
        if self.primary.get().is_some() {
            let glance = self.glance();
            status.state = glance.state;
            status.since = clock(glance.since);
            status.retry_in_ms =
                glance.retry_at.map(|at| at.saturating_duration_since(now).as_millis() as u64);
            (status.reason, status.brief_reason) = (glance.reason, glance.brief_reason);
            if status.reason.is_some() {
                status.last_output = self.last_output();
            }
            show_work(&mut status, now, clock);
        }
        status
    }
}

/// Shows a server as ready whose primary instance rests while others are in use.
fn show_work(status: &mut ServerStatus, now: Instant, clock: &dyn Fn(Instant) -> String) {
    let ready = status.instances.iter().filter(|instance| instance.state == InstanceState::Ready);
    let up = ready.map(|instance| Duration::from_millis(instance.uptime_ms)).max();
    if let (InstanceState::Idle, Some(up)) = (status.state, up) {
        status.state = InstanceState::Ready;
        status.since = clock(now.checked_sub(up).unwrap_or(now));
        (status.reason, status.brief_reason) = (None, None);
        status.last_output.clear();
    }
}
