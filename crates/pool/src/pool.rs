//! The pool of a server: its base instances, which supply the lists of each era, and the instances that are
//! lent.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use mainstay_model::settings::ServerSpec;
use mainstay_model::{InstanceId, Refusal};
use mainstay_protocol::Era;
use mainstay_supervisor::lifecycle::Lifecycle;
use mainstay_supervisor::roster::{MemberId, RosterEvent};
use mainstay_telemetry::{Metrics, ServerMetrics};
use mainstay_upstream::host::{self, Host};
use mainstay_upstream::process::ProcessHost;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::client_lists::{ClientLists, ListFindings};
use crate::dialect::Dialects;
use crate::driver;
use crate::instance::Instance;
use crate::key::LeaseKey;
use crate::lending::Lending;
use crate::observer::PoolObserver;

/// The parts that all pools of a daemon share.
#[derive(Debug, Clone)]
pub struct Parts {
    pub host: Arc<ProcessHost>,
    pub metrics: Arc<Metrics>,
    pub message_bytes_max: usize,
    /// Allocates instance ids for all pools.
    pub instance_ids: Arc<AtomicU64>,
    /// Limits the pools that probe client-specific lists at the same time.
    pub list_discovery: Arc<Semaphore>,
    /// Whether servers have client-specific lists, as found by this daemon and earlier ones.
    pub findings: Arc<ListFindings>,
    /// The seed of restart jitter, combined with the instance id. It differs between runs of the daemon, so
    /// that several daemons don't restart instances in step.
    pub seed: u64,
}

/// The pool of one server.
#[derive(Debug)]
pub struct Pool {
    pub spec: ServerSpec,
    pub(crate) host: Arc<dyn Host>,
    pub(crate) metrics: Arc<Metrics>,
    pub server_metrics: Arc<ServerMetrics>,
    pub(crate) message_bytes_max: usize,
    pub(crate) stray_lines: AtomicU64,
    instance_ids: Arc<AtomicU64>,
    seed: u64,
    observer: OnceLock<Weak<dyn PoolObserver>>,
    /// The base instances, including those that are stopping.
    bases: Mutex<Vec<Arc<Instance>>>,
    pub(crate) lending: Lending,
    pub(crate) client_lists: ClientLists,
    pub(crate) list_discovery: Arc<Semaphore>,
    pub(crate) findings: Arc<ListFindings>,
    /// The primary instance: the base instance that the daemon starts.
    pub(crate) primary: OnceLock<Arc<Instance>>,
    pub(crate) dialects: Dialects,
    pub(crate) tasks: TaskTracker,
    pub(crate) closing: CancellationToken,
    /// Set with `closing`. Cheaper to check on each call.
    stopping: AtomicBool,
    /// Whether the primary instance's next handshake begins with `server/discover` instead of `initialize`.
    pub(crate) modern_first: AtomicBool,
    /// The restarts of instances that no longer exist.
    pub(crate) past_restarts: AtomicU64,
}

/// The longest time between two checks for an idle base instance of the second dialect.
const IDLE_CHECK_EVERY: Duration = Duration::from_secs(5);

// === impl Pool ===

impl Pool {
    /// A pool for a configured server. [`start`](Self::start) starts it.
    pub fn new(spec: ServerSpec, parts: &Parts) -> Arc<Self> {
        let host = host::of(&spec, &parts.host);
        Self::with_host(spec, parts, host)
    }

    /// Like [`new`](Self::new), but with another host than the one of `spec`.
    pub fn with_host(spec: ServerSpec, parts: &Parts, host: Arc<dyn Host>) -> Arc<Self> {
        Arc::new(Self {
            server_metrics: parts.metrics.server(&spec.name),
            host,
            seed: parts.seed,
            metrics: parts.metrics.clone(),
            message_bytes_max: parts.message_bytes_max,
            instance_ids: parts.instance_ids.clone(),
            stray_lines: AtomicU64::new(0),
            observer: OnceLock::new(),
            bases: Mutex::default(),
            lending: Lending::new(&spec.pool),
            client_lists: ClientLists::default(),
            list_discovery: parts.list_discovery.clone(),
            findings: parts.findings.clone(),
            primary: OnceLock::new(),
            dialects: Dialects::default(),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
            stopping: AtomicBool::new(false),
            modern_first: AtomicBool::new(false),
            past_restarts: AtomicU64::new(0),
            spec,
        })
    }

    /// Starts the primary instance. From now on `observer` is notified of events.
    pub fn start(self: &Arc<Self>, observer: Weak<dyn PoolObserver>) {
        let _ = self.observer.set(observer);
        let primary = self.create_instance(LeaseKey::base(self.first_era()), None);
        let _ = self.primary.set(primary.clone());
        self.supervise(primary);
        let pool = self.clone();
        self.tasks.spawn(async move {
            loop {
                let check = Instant::now() + IDLE_CHECK_EVERY;
                let next = pool.lending.next_deadline().map_or(check, |at| at.min(check));
                tokio::select! {
                    () = pool.closing.cancelled() => return,
                    () = pool.lending.changed.notified() => {}
                    () = tokio::time::sleep_until(next.into()) => {
                        pool.step_roster(RosterEvent::Tick);
                        pool.stop_idle_bases(Instant::now());
                    }
                }
            }
        });
    }

    /// Stops all instances. Returns when no part of them is left.
    pub async fn stop(self: &Arc<Self>) {
        self.stopping.store(true, Ordering::Release);
        self.closing.cancel();
        self.step_roster(RosterEvent::Close);
        self.bases.lock().iter().for_each(|instance| instance.stop.cancel());
        self.tasks.close();
        self.tasks.wait().await;
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Whether the primary instance is ready.
    pub fn is_ready(&self) -> bool {
        self.primary.get().is_some_and(|primary| primary.ready_run.load().is_some())
    }

    /// The base instance of an era. Starts it if there is none.
    ///
    /// # Errors
    /// A refusal if the server does not support the era, or the daemon is stopping.
    pub(crate) fn base_or_start(self: &Arc<Self>, era: Era) -> Result<Arc<Instance>, Refusal> {
        if let Some(base) = self.base(era) {
            return Ok(base);
        }
        self.check_era(era)?;
        let dialect = self.dialects.of(era);
        let _starting = dialect.starting.lock();
        if let Some(base) = self.base(era) {
            return Ok(base);
        }
        if self.closing.is_cancelled() {
            return Err(self.unavailable("the daemon is stopping"));
        }
        let supplier = self.create_instance(LeaseKey::base(era), None);
        self.supervise(supplier.clone());
        Ok(supplier)
    }

    /// Creates an instance: a member of the roster, or a base instance if `member` is `None`.
    pub(crate) fn create_instance(
        self: &Arc<Self>,
        key: LeaseKey,
        member: Option<MemberId>,
    ) -> Arc<Instance> {
        let id = InstanceId(self.instance_ids.fetch_add(1, Ordering::Relaxed) + 1);
        let limits = self
            .host
            .abilities()
            .restart_policy(self.spec.start_deadline, self.seed.wrapping_add(id.0));
        let lifecycle = Lifecycle::new(limits, Instant::now());
        let era = key.era;
        let roster = Arc::downgrade(self);
        let instance = Arc::new(Instance::new(id, key, lifecycle, member, roster));
        if instance.supplies_lists() {
            self.bases.lock().push(instance.clone());
            self.dialects.of(era).base.store(Some(instance.clone()));
        }
        instance
    }

    /// Drives an instance in a task of its own until its end.
    pub(crate) fn supervise(self: &Arc<Self>, instance: Arc<Instance>) {
        let pool = self.clone();
        self.tasks.spawn(async move {
            driver::supervise(pool.clone(), instance.clone()).await;
            pool.bases.lock().retain(|other| other.id != instance.id);
            pool.note_end(&instance);
        });
    }

    /// The host that starts the instances.
    pub fn host(&self) -> &dyn Host {
        &*self.host
    }

    /// Stops a base instance.
    pub(crate) fn stop_base(&self, instance: &Instance) {
        self.dialects.of(instance.key().era).leave(instance);
        instance.stop.cancel();
    }

    /// Stops a base instance of the second dialect that has been idle for the idle timeout. The primary
    /// instance stays.
    fn stop_idle_bases(&self, now: Instant) {
        for supplier in self.bases() {
            let in_use = supplier.ready_run().is_some_and(|run| run.link.in_flight() > 0)
                || supplier.is_subscribed_to();
            if !self.is_primary(&supplier)
                && !in_use
                && supplier.idle_for(now) > self.spec.pool.idle_timeout
            {
                self.stop_base(&supplier);
            }
        }
    }

    pub(crate) fn bases(&self) -> Vec<Arc<Instance>> {
        self.bases.lock().clone()
    }

    pub(crate) fn observer(&self) -> Option<Arc<dyn PoolObserver>> {
        self.observer.get()?.upgrade()
    }

    /// Handles a state change of an instance.
    pub(crate) fn note_change(self: &Arc<Self>, instance: &Arc<Instance>) {
        self.note_state(instance);
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
