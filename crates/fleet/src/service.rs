//! A service: a program that Mainstay runs for a stack, with the same lifecycle as an instance of a server.

mod driver;
mod run;
pub(crate) mod status;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use mainstay_model::resource::LimitStatus;
use mainstay_model::settings::{ServiceKind, ServiceSpec};
use mainstay_model::status::InstanceState;
use mainstay_model::{InstanceId, Name, Need, NodeKind};
use mainstay_pool::{Breaker, Holding, ListFindings, StartTimes};
use mainstay_supervisor::backoff::Jitter;
use mainstay_supervisor::condition::ServerWatch;
use mainstay_supervisor::graph::{Hold, Why};
use mainstay_supervisor::lifecycle::{Lifecycle, RestartPolicy};
use mainstay_telemetry::Metrics;
use mainstay_upstream::probing::Probe;
use mainstay_upstream::process::ProcessHost;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::member::Sight;

/// A service over all its runs.
#[derive(Debug)]
pub struct Service {
    pub name: Name,
    /// The settings in force. What it is started from never changes in it.
    spec: ArcSwap<ServiceSpec>,
    pub breaker: Arc<Breaker>,
    pub(crate) id: InstanceId,
    pub(crate) host: Arc<ProcessHost>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) probe: Option<Probe>,
    start_times: StartTimes,
    findings: Arc<ListFindings>,
    pub(crate) lifecycle: Mutex<Lifecycle>,
    pub(crate) facts: Mutex<Facts>,
    pub(crate) holding: Holding,
    /// Notified when the service is held or released.
    pub(crate) ordered: Notify,
    /// Counts state changes. Waiters check the state again after each.
    pub(crate) changed: watch::Sender<u64>,
    /// What people are told about it.
    pub(crate) watch: Mutex<ServerWatch>,
    pub(crate) stop: CancellationToken,
    /// Cancelled when nothing of it is left after [`stop`](Self::stop).
    over: CancellationToken,
    /// Resident memory in bytes, as measured last. 0: not measured.
    memory: AtomicU64,
    /// Its limits, as seen last.
    limits: Mutex<Vec<LimitStatus>>,
    /// The seed of jitter.
    seed: u64,
}

/// The parts that all services of a daemon share.
pub(crate) struct Shared<'a> {
    pub(crate) host: &'a Arc<ProcessHost>,
    pub(crate) metrics: &'a Arc<Metrics>,
    /// How long starts have taken in earlier daemons.
    pub(crate) findings: &'a Arc<ListFindings>,
    pub(crate) seed: u64,
}

/// What is known about the process of a service.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) pid: Option<u32>,
    /// The first and the last lines of the run before.
    pub(crate) last_output: Vec<String>,
    /// Why the run before ended, without anything that the service or its configuration says.
    pub(crate) brief_reason: Option<String>,
    pub(crate) been_ready: bool,
}

// === impl Service ===

impl Service {
    /// A service that does not run yet.
    pub(crate) fn new(spec: ServiceSpec, id: InstanceId, shared: &Shared<'_>) -> Self {
        let Shared { host, metrics, findings, seed } = shared;
        let seed = seed.wrapping_add(id.0);
        let program = spec.process.command.first().map_or("", String::as_str);
        let policy = policy(&spec, seed);
        let now = Instant::now();
        let node = Need { kind: NodeKind::Service, name: spec.name.clone() };
        let breaker = Breaker::new(node, spec.breaker, metrics);
        let probe = spec.probe.as_ref().map(|probe| Probe::new(probe, &spec.name, host, seed));
        if let Some(probe) = &probe {
            let told = breaker.clone();
            probe.on_check(Box::new(move |outcome| told.checked(outcome)));
        }
        Self {
            breaker,
            probe,
            start_times: StartTimes::known(findings.slow_start(&spec.name, program)),
            findings: (*findings).clone(),
            id,
            host: (*host).clone(),
            metrics: (*metrics).clone(),
            lifecycle: Mutex::new(Lifecycle::new(policy, now)),
            facts: Mutex::default(),
            holding: Holding::default(),
            ordered: Notify::new(),
            changed: watch::Sender::new(0),
            watch: Mutex::new(ServerWatch::new(now)),
            stop: CancellationToken::new(),
            over: CancellationToken::new(),
            memory: AtomicU64::new(0),
            limits: Mutex::default(),
            name: spec.name.clone(),
            seed,
            spec: ArcSwap::from_pointee(spec),
        }
    }

    /// The settings in force. A reload may replace them at any time.
    pub fn spec(&self) -> Arc<ServiceSpec> {
        self.spec.load_full()
    }

    /// Puts settings in force that change nothing about how it is started.
    pub(crate) fn update(&self, spec: ServiceSpec) {
        self.lifecycle.lock().set_policy(policy(&spec, self.seed));
        self.breaker.set_spec(spec.breaker);
        self.spec.store(Arc::new(spec));
        self.ordered.notify_one();
    }

    /// What keeps the service from running.
    pub fn holding(&self) -> &Holding {
        &self.holding
    }

    /// The state of the service by itself. A service that runs and whose probe has not passed yet is starting.
    pub fn own_state(&self) -> InstanceState {
        match self.lifecycle.lock().state() {
            InstanceState::Handshaking => InstanceState::Starting,
            state => state,
        }
    }

    /// The state of the service, with what keeps it from running.
    pub fn state(&self) -> InstanceState {
        self.holding.shown_state(self.own_state())
    }

    /// The process id, while it has a process.
    pub fn pid(&self) -> Option<u32> {
        self.facts.lock().pid
    }

    /// Records the resident memory of its processes, in bytes.
    pub fn note_memory(&self, bytes: u64) {
        self.memory.store(bytes, Ordering::Relaxed);
    }

    /// Resident memory of its processes in bytes. `None` without a process or a measurement.
    pub fn memory_bytes(&self) -> Option<u64> {
        self.pid()?;
        Some(self.memory.load(Ordering::Relaxed)).filter(|bytes| *bytes > 0)
    }

    /// Records its limits, and how much of them is used.
    pub fn note_limits(&self, limits: Vec<LimitStatus>) {
        *self.limits.lock() = limits;
    }

    /// Its limits. Empty without limits, without a process, and before they were seen.
    pub fn limits(&self) -> Vec<LimitStatus> {
        match self.pid() {
            Some(_) => self.limits.lock().clone(),
            None => Vec::new(),
        }
    }

    pub(crate) fn hold(self: &Arc<Self>, hold: Hold) {
        self.holding.hold(hold, Duration::ZERO);
        self.note_order();
    }

    pub(crate) fn release(self: &Arc<Self>, afresh: bool) {
        // What is told follows when it starts.
        if self.holding.release(afresh) {
            self.ordered.notify_one();
        }
    }

    pub(crate) fn set_shortage(self: &Arc<Self>, shortage: Option<Arc<dyn Why>>) {
        if self.holding.set_shortage(shortage) {
            self.note_order();
        }
    }

    /// How long its starts usually take, if one was seen, and how long the present one has lasted.
    pub(crate) fn start(&self) -> (Option<Duration>, Duration) {
        let lifecycle = self.lifecycle.lock();
        let so_far = match lifecycle.state() {
            InstanceState::Starting | InstanceState::Handshaking => lifecycle.begun().elapsed(),
            _ => Duration::ZERO,
        };
        (self.start_times.usual(), so_far)
    }

    /// Learns how long a start took.
    pub(crate) fn note_start(&self, took: Duration) {
        self.start_times.note(took);
        if let Some(usual) = self.start_times.usual() {
            // Other arguments, such as a port, rarely make a start longer.
            let spec = self.spec();
            let program = spec.process.command.first().map_or("", String::as_str);
            self.findings.keep_start(&self.name, program, usual);
        }
    }

    /// Makes its probe check it at once.
    pub(crate) fn hasten_probe(&self) {
        if let Some(probe) = &self.probe {
            probe.hasten();
        }
    }

    /// Waits until nothing of a service that is held runs any more.
    pub(crate) async fn until_ended(&self) {
        let mut changed = self.changed.subscribe();
        loop {
            changed.borrow_and_update();
            let is_over = matches!(self.own_state(), InstanceState::Stopped);
            if is_over || !self.holding.is_held() || changed.changed().await.is_err() {
                return;
            }
        }
    }

    fn note_order(self: &Arc<Self>) {
        self.ordered.notify_one();
        self.note_change();
    }

    /// Makes a change of the state known.
    pub(crate) fn note_change(&self) {
        self.watch_condition();
        self.changed.send_modify(|count| *count += 1);
        self.holding.tell_change();
    }

    /// Why it is not ready, for the operator and in brief.
    fn reasons(&self) -> (Option<String>, Option<String>) {
        if let Some((whole, brief)) = self.holding.reason() {
            return (Some(whole), Some(brief));
        }
        let lifecycle = self.lifecycle.lock();
        if let Some(missing) = lifecycle.pending() {
            let brief = "its probe has not passed yet".to_owned();
            let before = lifecycle.reason().map(|before| format!("{before}; ")).unwrap_or_default();
            return (Some(format!("{before}{brief}: {missing}")), Some(brief));
        }
        let Some(reason) = lifecycle.reason().map(str::to_owned) else { return (None, None) };
        drop(lifecycle);
        let brief = self.facts.lock().brief_reason.clone();
        (Some(reason), Some(brief.unwrap_or_else(|| "it was lost".to_owned())))
    }

    pub(crate) fn sight(&self) -> Sight {
        let (reason, brief) = self.reasons();
        let state = self.state();
        let lifecycle = self.lifecycle.lock();
        let since = self.holding.shown_since(state).unwrap_or(lifecycle.since());
        let retry_at = lifecycle.retry_at();
        drop(lifecycle);
        Sight { state, since, reason, brief, retry_at, pid: self.pid() }
    }
}

/// The rules for its starts.
fn policy(spec: &ServiceSpec, seed: u64) -> RestartPolicy {
    RestartPolicy {
        start: spec.start_deadline,
        jitter: Jitter::seeded(seed),
        rule: spec.restart,
        is_job: spec.kind == ServiceKind::Once,
        ..RestartPolicy::default()
    }
}
