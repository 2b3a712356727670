//! The instances of one server and the rules that size them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use mainstay_model::InstanceId;
use mainstay_model::settings::{RemoteSpec, Runtime, ServerSpec};
use mainstay_supervisor::backoff::{Backoff, Jitter};
use mainstay_supervisor::lifecycle::{Lifecycle, Limits};
use mainstay_telemetry::{Metrics, ServerMetrics};
use mainstay_upstream::process::ProcessHost;
use mainstay_upstream::remote::{InvalidTarget, Target};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::driver::Driver;
use crate::face::Faces;
use crate::hub::Hub;
use crate::instance::Instance;
use crate::key::LeaseKey;

/// What every pool is made of.
#[derive(Debug, Clone)]
pub struct Parts {
    pub host: Arc<ProcessHost>,
    pub metrics: Arc<Metrics>,
    pub message_bytes_max: usize,
    /// Counts instances over all pools.
    pub instance_ids: Arc<AtomicU64>,
}

/// The instances of one server.
#[derive(Debug)]
pub struct Pool {
    pub spec: ServerSpec,
    pub(crate) host: Arc<ProcessHost>,
    pub(crate) metrics: Arc<Metrics>,
    pub server_metrics: Arc<ServerMetrics>,
    pub(crate) message_bytes_max: usize,
    pub(crate) stray_lines: AtomicU64,
    instance_ids: Arc<AtomicU64>,
    hub: OnceLock<Weak<dyn Hub>>,
    pub(crate) instances: Mutex<Instances>,
    /// The instance that the daemon starts.
    pub(crate) primary: OnceLock<Arc<Instance>>,
    pub(crate) faces: Faces,
    /// An exclusive instance was given back, or some instance changed its state.
    pub(crate) released: Notify,
    tasks: TaskTracker,
    closing: CancellationToken,
    /// The first face is asked what it is before it is asked to initialize.
    pub(crate) modern_first: AtomicBool,
    /// Restarts of instances that no longer exist.
    pub(crate) past_restarts: AtomicU64,
    /// Where a remote server is, with what was found out about it; over all lives and instances.
    target: OnceLock<Arc<Target>>,
}

#[derive(Debug, Default)]
pub(crate) struct Instances {
    pub(crate) by_key: HashMap<LeaseKey, Vec<Arc<Instance>>>,
    /// Without those that supply the lists: these must never be crowded out.
    pub(crate) count: usize,
    pub(crate) closed: bool,
}

/// How often surplus instances are looked for.
const TIDY_EVERY: Duration = Duration::from_secs(5);

// === impl Pool ===

impl Pool {
    pub fn new(spec: ServerSpec, parts: &Parts) -> Arc<Self> {
        Arc::new(Self {
            server_metrics: parts.metrics.server(&spec.name),
            host: parts.host.clone(),
            metrics: parts.metrics.clone(),
            message_bytes_max: parts.message_bytes_max,
            instance_ids: parts.instance_ids.clone(),
            stray_lines: AtomicU64::new(0),
            hub: OnceLock::new(),
            instances: Mutex::default(),
            primary: OnceLock::new(),
            faces: Faces::default(),
            released: Notify::new(),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
            modern_first: AtomicBool::new(false),
            past_restarts: AtomicU64::new(0),
            target: OnceLock::new(),
            spec,
        })
    }

    /// Starts the instance that supplies the lists. `hub` hears what instances say from now on.
    pub fn start(self: &Arc<Self>, hub: Weak<dyn Hub>) {
        let _ = self.hub.set(hub);
        {
            let mut instances = self.instances.lock();
            let key = LeaseKey::base(self.first_generation());
            let primary = self.prepare(&mut instances, key, true);
            let _ = self.primary.set(primary.clone());
            self.launch(primary);
        }
        let pool = self.clone();
        self.tasks.spawn(async move {
            let mut tick = tokio::time::interval(TIDY_EVERY);
            loop {
                tokio::select! {
                    () = pool.closing.cancelled() => return,
                    _ = tick.tick() => pool.tidy(Instant::now()),
                }
            }
        });
    }

    /// Stops every instance; returns when nothing of them is left.
    pub async fn stop(&self) {
        {
            let mut instances = self.instances.lock();
            instances.closed = true;
            instances.by_key.values().flatten().for_each(|instance| instance.stop.cancel());
        }
        self.closing.cancel();
        self.released.notify_waiters();
        self.tasks.close();
        self.tasks.wait().await;
    }

    pub fn is_ready(&self) -> bool {
        self.primary.get().is_some_and(|primary| primary.live.load().is_some())
    }

    pub(crate) fn create(
        self: &Arc<Self>,
        instances: &mut Instances,
        key: LeaseKey,
        supplies_lists: bool,
    ) -> Arc<Instance> {
        let instance = self.prepare(instances, key, supplies_lists);
        self.launch(instance.clone());
        instance
    }

    /// Makes an instance and gives it its place.
    fn prepare(
        &self,
        instances: &mut Instances,
        key: LeaseKey,
        supplies_lists: bool,
    ) -> Arc<Instance> {
        let id = InstanceId(self.instance_ids.fetch_add(1, Ordering::Relaxed) + 1);
        let lifecycle = Lifecycle::new(self.limits(id), Instant::now());
        let instance = Arc::new(Instance::new(id, key.clone(), lifecycle, supplies_lists));
        instance.touch(Instant::now());
        if supplies_lists {
            self.faces.of(key.generation).base.store(Some(instance.clone()));
        } else {
            instances.count += 1;
        }
        instances.by_key.entry(key).or_default().push(instance.clone());
        instance
    }

    /// Sets it going.
    fn launch(self: &Arc<Self>, instance: Arc<Instance>) {
        self.tasks.spawn(Driver::new(self.clone(), instance).run());
    }

    /// Where a remote server is.
    pub(crate) fn target(&self, spec: &RemoteSpec) -> Result<Arc<Target>, InvalidTarget> {
        match self.target.get() {
            Some(target) => Ok(target.clone()),
            None => {
                let target = Arc::new(Target::new(spec)?);
                Ok(self.target.get_or_init(|| target).clone())
            }
        }
    }

    /// The transport it is spoken to in, once that is known.
    pub(crate) fn transport(&self) -> Option<&'static str> {
        match &self.spec.runtime {
            Runtime::Process(_) => Some("stdio"),
            Runtime::Remote(_) => {
                self.primary_facts()?;
                Some(if self.speaks_sse() { "HTTP+SSE" } else { "streamable HTTP" })
            }
        }
    }

    pub(crate) fn speaks_sse(&self) -> bool {
        self.target.get().is_some_and(|target| target.speaks_sse())
    }

    /// A remote server that is away is cheap to ask again, and nothing crashes by it.
    fn limits(&self, id: InstanceId) -> Limits {
        let limits = Limits::new(self.spec.start_deadline, id.0);
        match &self.spec.runtime {
            Runtime::Process(_) => limits,
            Runtime::Remote(_) => Limits {
                backoff: Backoff::try_new(Duration::from_millis(250), Duration::from_secs(2))
                    .unwrap_or(limits.backoff),
                jitter: Jitter::seeded(id.0),
                crash_loop: None,
                ..limits
            },
        }
    }

    pub(crate) fn remove(&self, instance: &Arc<Instance>) {
        let mut instances = self.instances.lock();
        let key = instance.key();
        if let Some(all) = instances.by_key.get_mut(&*key) {
            let before = all.len();
            all.retain(|other| other.id != instance.id);
            let removed = before - all.len();
            if all.is_empty() {
                instances.by_key.remove(&*key);
            }
            if instance.supplies_lists {
                self.faces.of(key.generation).leave(instance);
            } else {
                instances.count -= removed;
            }
        }
        self.past_restarts.fetch_add(instance.lifecycle.lock().restarts(), Ordering::Relaxed);
        instance.stop.cancel();
    }

    /// Ends instances that nobody has used for the idle time; the one that the daemon started stays.
    fn tidy(&self, now: Instant) {
        let surplus: Vec<_> = {
            let instances = self.instances.lock();
            let primary = self.primary.get().map(|primary| primary.id);
            instances
                .by_key
                .values()
                .flat_map(|all| all.iter().skip(self.spec.pool.instances_min))
                .filter(|instance| {
                    Some(instance.id) != primary
                        && !instance.held.load(Ordering::Acquire)
                        && instance.live().is_none_or(|live| live.link.in_flight() == 0)
                        && instance.idle_for(now) > self.spec.pool.idle_timeout
                        && !instance.is_subscribed_to()
                })
                .cloned()
                .collect()
        };
        for instance in surplus {
            self.remove(&instance);
        }
    }

    /// Ends the instances that only one session could use, now that it has ended.
    pub fn release(&self, sharing: &str) {
        let own: Vec<_> = {
            let instances = self.instances.lock();
            instances
                .by_key
                .iter()
                .filter(|(key, _)| !sharing.is_empty() && &*key.sharing == sharing)
                .flat_map(|(_, all)| all.iter().cloned())
                .collect()
        };
        for instance in own {
            self.remove(&instance);
        }
    }

    pub(crate) fn hub(&self) -> Option<Arc<dyn Hub>> {
        self.hub.get()?.upgrade()
    }

    pub(crate) fn note_change(&self) {
        self.released.notify_waiters();
    }

    /// Waits for changes of the instance that the daemon started until there is `enough`.
    pub async fn reaches(&self, enough: impl Fn(&Self) -> bool) {
        let Some(primary) = self.primary.get() else { return };
        let mut changed = primary.changed.subscribe();
        while !enough(self) {
            if changed.changed().await.is_err() {
                return;
            }
        }
    }
}
