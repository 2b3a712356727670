//! The state of a server's pool: its base instances, which supply the lists of each era, and the instances
//! that are lent. What a pool does is in the modules that use this one, such as `instances` and `lease`.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Instant;

use arc_swap::{ArcSwap, ArcSwapOption, Guard};
use mainstay_model::settings::{Idle, ServerSpec, ToolTerms};
use mainstay_model::{Budget, Name, Need, NodeKind};
use mainstay_supervisor::condition::ServerWatch;
use mainstay_supervisor::hang::Habit;
use mainstay_supervisor::retry_budget::RetryBudget;
use mainstay_telemetry::{Metrics, ServerMetrics, ServerOutput};
use mainstay_upstream::handshake::RevisionMemory;
use mainstay_upstream::host::{self, Host};
use mainstay_upstream::probing::Probe;
use mainstay_upstream::process::ProcessHost;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::breaker::Breaker;
use crate::client_lists::{ClientLists, ListFindings};
use crate::dialect::Dialects;
use crate::hold::Holding;
use crate::instance::Instance;
use crate::lending::Lending;
use crate::needs::NeedBoard;
use crate::observer::PoolObserver;
use crate::start_times::StartTimes;
use crate::terms::TermsInForce;
use crate::turns::Turns;

/// The parts that all pools of a daemon share.
#[derive(Debug, Clone)]
pub struct Parts {
    pub host: Arc<ProcessHost>,
    pub metrics: Arc<Metrics>,
    pub message_bytes_max: usize,
    /// How deep a message of a server may nest.
    pub depth_max: usize,
    /// What the messages and lists of servers are charged to.
    pub budget: Budget,
    /// Allocates instance ids for all pools.
    pub instance_ids: Arc<AtomicU64>,
    /// Limits the pools that probe client-specific lists at the same time.
    pub list_discovery: Arc<Semaphore>,
    /// Whether servers have client-specific lists, as found by this daemon and earlier ones.
    pub findings: Arc<ListFindings>,
    /// What tools may need.
    pub needs: Arc<NeedBoard>,
    /// The seed of restart jitter, combined with the instance id. It differs between runs of the daemon, so
    /// that several daemons don't restart instances in step.
    pub seed: u64,
}

/// The pool of one server.
#[derive(Debug)]
pub struct Pool {
    pub name: Name,
    /// The settings in force. What an instance is started from never changes in it.
    spec: ArcSwap<ServerSpec>,
    /// What they come to for each tool.
    terms: TermsInForce,
    /// The pool that has taken the place of this one.
    pub(crate) successor: ArcSwapOption<Pool>,
    /// Whether its changes are not made known, because it is not in force yet, or no longer.
    pub(crate) is_quiet: AtomicBool,
    pub(crate) host: Arc<dyn Host>,
    pub(crate) metrics: Arc<Metrics>,
    pub server_metrics: Arc<ServerMetrics>,
    pub(crate) message_bytes_max: usize,
    pub(crate) depth_max: usize,
    pub(crate) budget: Budget,
    pub(crate) stray_lines: AtomicU64,
    /// Where such lines are kept, beside those of standard error.
    pub(crate) output: ServerOutput,
    pub(crate) instance_ids: Arc<AtomicU64>,
    pub(crate) seed: u64,
    pub(crate) observer: OnceLock<Weak<dyn PoolObserver>>,
    /// The base instances, including those that are stopping.
    pub(crate) bases: Mutex<Vec<Arc<Instance>>>,
    pub(crate) lending: Lending,
    pub(crate) client_lists: ClientLists,
    pub(crate) list_discovery: Arc<Semaphore>,
    pub(crate) findings: Arc<ListFindings>,
    /// The primary instance: the base instance that the daemon starts.
    pub(crate) primary: OnceLock<Arc<Instance>>,
    /// What people are told about the server.
    pub(crate) watch: Mutex<ServerWatch>,
    pub(crate) dialects: Dialects,
    pub(crate) tasks: TaskTracker,
    /// The probe that must pass beside the handshake and the lists, if one is configured.
    pub(crate) probe: Option<Probe>,
    /// Whether calls pass.
    pub breaker: Arc<Breaker>,
    /// What its tools may need.
    pub(crate) needs: Arc<NeedBoard>,
    /// What keeps the server from running, or from running well.
    pub(crate) holding: Holding,
    pub(crate) closing: CancellationToken,
    /// Set with `closing`. Cheaper to check on each call.
    pub(crate) stopping: AtomicBool,
    /// Whether the primary instance's next handshake begins with `server/discover` instead of `initialize`.
    pub(crate) modern_first: AtomicBool,
    /// Whether a server that declares no tools is asked for them. Set to false when the server was lost over the
    /// question.
    pub(crate) asks_undeclared: AtomicBool,
    /// Whether the server answers pings, as its runs have shown.
    pub(crate) pings: Mutex<Habit>,
    /// Which legacy revisions the server takes.
    pub(crate) revisions: RevisionMemory,
    /// The restarts of instances that no longer exist.
    pub(crate) past_restarts: AtomicU64,
    pub(crate) start_times: StartTimes,
    /// The limit on calls at the same time. `None`: there is none.
    pub(crate) turns: Option<Turns>,
    /// The calls that wait: for their turn, for an instance, or for its start.
    pub(crate) calls_waiting: AtomicUsize,
    /// Whether a request has waited in vain for the first lists. Nobody waits for them any more.
    pub(crate) is_late: AtomicBool,
    /// The number of calls that have ended. Each may have changed a list.
    pub(crate) calls_ended: AtomicU64,
    /// How many calls may be sent again after their answer was lost.
    pub(crate) retries: Mutex<RetryBudget>,
}

// === impl Pool ===

impl Pool {
    /// A pool for a configured server. [`start`](Self::start) starts it.
    pub fn new(spec: ServerSpec, parts: &Parts) -> Arc<Self> {
        let host = host::of(&spec, &parts.host);
        Self::with_host(spec, parts, host)
    }

    /// Like [`new`](Self::new), but with another host than the one of `spec`.
    pub fn with_host(spec: ServerSpec, parts: &Parts, host: Arc<dyn Host>) -> Arc<Self> {
        let revisions = RevisionMemory::new(host.abilities().end_is_answer);
        if let Some(older) = parts.findings.older_revision(&spec.name, &host.target()) {
            revisions.begin_with(older);
        }
        let start_times = StartTimes::known(parts.findings.slow_start(&spec.name, &host.target()));
        let spec = Arc::new(spec);
        Arc::new(Self {
            successor: ArcSwapOption::empty(),
            is_quiet: AtomicBool::new(false),
            server_metrics: parts.metrics.server(&spec.name),
            host,
            seed: parts.seed,
            metrics: parts.metrics.clone(),
            message_bytes_max: parts.message_bytes_max,
            depth_max: parts.depth_max,
            budget: parts.budget,
            instance_ids: parts.instance_ids.clone(),
            stray_lines: AtomicU64::new(0),
            output: parts.host.output().clone(),
            observer: OnceLock::new(),
            bases: Mutex::default(),
            lending: Lending::new(&spec.pool),
            client_lists: ClientLists::default(),
            list_discovery: parts.list_discovery.clone(),
            findings: parts.findings.clone(),
            primary: OnceLock::new(),
            watch: Mutex::new(ServerWatch::new(Instant::now())),
            dialects: Dialects::default(),
            tasks: TaskTracker::new(),
            probe: spec
                .probe
                .as_ref()
                .map(|probe| Probe::new(probe, &spec.name, &parts.host, parts.seed)),
            breaker: {
                let id = Need { kind: NodeKind::Server, name: spec.name.clone() };
                Breaker::new(id, spec.breaker, &parts.metrics)
            },
            needs: parts.needs.clone(),
            holding: Holding::default(),
            closing: CancellationToken::new(),
            stopping: AtomicBool::new(false),
            modern_first: AtomicBool::new(false),
            asks_undeclared: AtomicBool::new(true),
            pings: Mutex::default(),
            revisions,
            past_restarts: AtomicU64::new(0),
            start_times,
            turns: Turns::new(&spec.name, spec.concurrency),
            calls_waiting: AtomicUsize::new(0),
            is_late: AtomicBool::new(false),
            calls_ended: AtomicU64::new(0),
            retries: Mutex::new(RetryBudget::new(Instant::now(), 0, parts.seed)),
            name: spec.name.clone(),
            terms: TermsInForce::new(&spec),
            spec: ArcSwap::new(spec),
        })
    }

    /// The settings in force. A reload may replace them at any time.
    pub fn spec(&self) -> Guard<Arc<ServerSpec>> {
        self.spec.load()
    }

    /// Puts other settings in force, which differ only in what may change while instances run.
    pub fn use_spec(&self, spec: ServerSpec) {
        let spec = Arc::new(spec);
        self.terms.replace(&spec);
        self.breaker.set_spec(spec.breaker);
        self.spec.store(spec);
    }

    /// The terms for a tool, by the server's own name, or for a request that calls none. `None` if nothing is
    /// set for calls of this server, and the gateway's settings hold.
    pub fn tool_terms(&self, tool: Option<&str>) -> Option<Arc<ToolTerms>> {
        self.terms.get(tool)
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Whether the primary instance is ready.
    pub fn is_ready(&self) -> bool {
        self.primary.get().is_some_and(|primary| primary.ready_run.load().is_some())
    }

    /// Whether the primary instance is stopped when nobody uses it.
    pub(crate) fn rests_when_unused(&self) -> bool {
        self.spec().idle == Idle::Stop
    }

    /// The host that starts the instances.
    pub fn host(&self) -> &dyn Host {
        &*self.host
    }

    pub(crate) fn bases(&self) -> Vec<Arc<Instance>> {
        self.bases.lock().clone()
    }

    pub(crate) fn observer(&self) -> Option<Arc<dyn PoolObserver>> {
        self.observer.get()?.upgrade()
    }

    /// Waits until `enough` returns true. Checks it after each state change of the primary instance.
    pub async fn wait_until(&self, enough: impl Fn(&Self) -> bool) {
        let Some(primary) = self.primary.get() else { return };
        let mut changed = primary.changed.subscribe();
        while !enough(self) {
            if changed.changed().await.is_err() {
                return;
            }
        }
    }
}
