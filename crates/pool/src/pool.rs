//! The instances of one server and the rules that size them.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use mainstay_model::settings::{Runtime, ServerSpec};
use mainstay_model::status::{InstanceState, PoolStatus, ServerStatus};
use mainstay_model::{InstanceId, Refusal, RefusalCode};
use mainstay_protocol::list::ListKind;
use mainstay_supervisor::backoff::{Backoff, Jitter};
use mainstay_supervisor::lifecycle::{Lifecycle, Limits};
use mainstay_telemetry::{Metrics, ServerMetrics};
use mainstay_upstream::facts::Facts;
use mainstay_upstream::process::ProcessHost;
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::driver::{Driver, announce_roots};
use crate::hub::Hub;
use crate::instance::{Instance, Live};
use crate::key::LeaseKey;
use crate::lease::{Hold, Lease, Want};

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
    instances: Mutex<Instances>,
    base: OnceLock<Arc<Instance>>,
    /// What the server last said about itself; kept while it is away.
    facts: ArcSwapOption<Facts>,
    /// An exclusive instance was given back, or some instance changed its state.
    released: Notify,
    tasks: TaskTracker,
    closing: CancellationToken,
    /// Restarts of instances that no longer exist.
    past_restarts: AtomicU64,
}

#[derive(Debug, Default)]
struct Instances {
    by_key: HashMap<LeaseKey, Vec<Arc<Instance>>>,
    count: usize,
    closed: bool,
}

/// How long a call waits for a server that has never been ready: loading can take minutes, and a
/// quick no with a time to come back is worth more than a call that hangs until its deadline.
const LOADING_WAIT_MAX: Duration = Duration::from_secs(10);
/// A server that will be tried again this soon is waited for.
const BACKOFF_WAIT_MAX: Duration = Duration::from_secs(3);
/// A server that has been away for longer is not waited for: the call fails at once.
const ABSENCE_WAIT_MAX: Duration = Duration::from_secs(10);
/// How often surplus instances are looked for.
const TIDY_EVERY: Duration = Duration::from_secs(5);
/// A server that asked for roots before gets this long to ask for those of its next client.
const ROOTS_WAIT: Duration = Duration::from_secs(2);

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
            base: OnceLock::new(),
            facts: ArcSwapOption::empty(),
            released: Notify::new(),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
            past_restarts: AtomicU64::new(0),
            spec,
        })
    }

    /// Starts the instance that supplies the lists. `hub` hears what instances say from now on.
    pub fn start(self: &Arc<Self>, hub: Weak<dyn Hub>) {
        let _ = self.hub.set(hub);
        let base = {
            let mut instances = self.instances.lock();
            self.create(&mut instances, LeaseKey::base())
        };
        let _ = self.base.set(base);
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

    /// What the server last said about itself, also while it is away.
    pub fn facts(&self) -> Option<Arc<Facts>> {
        self.facts.load_full()
    }

    /// The instance that supplies the lists.
    pub fn base(&self) -> Option<&Arc<Instance>> {
        self.base.get()
    }

    pub fn is_ready(&self) -> bool {
        self.base.get().is_some_and(|base| base.live.load().is_some())
    }

    /// Lends an instance, as soon as one is ready.
    ///
    /// # Errors
    /// When none is ready by `deadline`, or it is known that none will be.
    pub async fn lease(self: &Arc<Self>, want: &Want, deadline: Instant) -> Result<Lease, Refusal> {
        if want.exclusive || want.single_use {
            return self.lease_exclusively(want, deadline).await;
        }
        let instance = self.shared(&want.key)?;
        let live = self.wait_ready(&instance, deadline).await?;
        Ok(Lease::new(instance, live, None))
    }

    /// The instance that all calls with this key share; made if there is none.
    pub fn shared(self: &Arc<Self>, key: &LeaseKey) -> Result<Arc<Instance>, Refusal> {
        let mut instances = self.instances.lock();
        if let Some(instance) = instances.by_key.get(key).and_then(|all| all.first()) {
            return Ok(instance.clone());
        }
        self.check_room(&instances)?;
        Ok(self.create(&mut instances, key.clone()))
    }

    async fn lease_exclusively(
        self: &Arc<Self>,
        want: &Want,
        deadline: Instant,
    ) -> Result<Lease, Refusal> {
        let instance = loop {
            let released = self.released.notified();
            if let Some(instance) = self.hold_one(want)? {
                break instance;
            }
            if tokio::time::timeout_at(deadline.into(), released).await.is_err() {
                let max = self.spec.pool.instances_max;
                return Err(Refusal::new(
                    RefusalCode::QueueTimeout,
                    format!(
                        "all {max} instances of {} were busy until the deadline",
                        self.spec.name
                    ),
                )
                .server(&self.spec.name)
                .limit(format!("pool.max: {max}"))
                .hint("raise pool.max of this server, or call less at once"));
            }
        };
        let hold =
            Hold { pool: self.clone(), instance: instance.clone(), single_use: want.single_use };
        let before = instance.holder.swap(want.owner.0, Ordering::AcqRel);
        let live = self.wait_ready(&instance, deadline).await?;
        if before != want.owner.0 && before != 0 && instance.asks_roots.load(Ordering::Acquire) {
            hand_over_roots(&instance, &live).await;
        }
        Ok(Lease::new(instance, live, Some(hold)))
    }

    /// Takes a free instance, the one this owner had before if possible; makes one where there is
    /// room. None: all are busy.
    fn hold_one(self: &Arc<Self>, want: &Want) -> Result<Option<Arc<Instance>>, Refusal> {
        let mut instances = self.instances.lock();
        if instances.closed {
            return Err(self.unavailable("the daemon is stopping"));
        }
        let take = |instance: &&Arc<Instance>| {
            instance.held.compare_exchange(false, true, Ordering::AcqRel, Ordering::Acquire).is_ok()
        };
        if !want.single_use
            && let Some(all) = instances.by_key.get(&want.key)
        {
            let had =
                |instance: &&Arc<Instance>| instance.holder.load(Ordering::Acquire) == want.owner.0;
            let free = all.iter().filter(had).find(take).or_else(|| all.iter().find(take));
            if let Some(instance) = free {
                return Ok(Some(instance.clone()));
            }
        }
        if self.check_room(&instances).is_err() {
            return Ok(None);
        }
        let instance = self.create(&mut instances, want.key.clone());
        instance.held.store(true, Ordering::Release);
        // So that what it asks while it starts goes to whom it is started for.
        instance.holder.store(want.owner.0, Ordering::Release);
        Ok(Some(instance))
    }

    pub(crate) fn give_back(&self, instance: &Arc<Instance>, single_use: bool) {
        if single_use || instance.live().is_none() && instance.state() == InstanceState::Failed {
            self.remove(instance);
        } else {
            instance.held.store(false, Ordering::Release);
        }
        self.released.notify_waiters();
    }

    async fn wait_ready(
        &self,
        instance: &Instance,
        deadline: Instant,
    ) -> Result<Arc<Live>, Refusal> {
        if let Some(live) = instance.usable() {
            return Ok(live);
        }
        let mut changed = instance.changed.subscribe();
        let loading_until = Instant::now() + LOADING_WAIT_MAX;
        loop {
            changed.borrow_and_update();
            if let Some(live) = instance.usable() {
                return Ok(live);
            }
            let until = self.patience(instance, deadline, loading_until)?;
            if tokio::time::timeout_at(until.into(), changed.changed()).await.is_err()
                && until >= deadline.min(loading_until)
            {
                return Err(self.not_ready(instance));
            }
        }
    }

    /// Until when it makes sense to wait for this instance.
    fn patience(
        &self,
        instance: &Instance,
        deadline: Instant,
        loading_until: Instant,
    ) -> Result<Instant, Refusal> {
        let lifecycle = instance.lifecycle.lock();
        let state = lifecycle.state();
        let retry_at = lifecycle.retry_at();
        drop(lifecycle);
        match state {
            InstanceState::Ready
            | InstanceState::Starting
            | InstanceState::Handshaking
            | InstanceState::Stopped => Ok(deadline.min(loading_until)),
            // It was there a moment ago and may be back in the next.
            InstanceState::BackingOff
                if retry_at.is_some_and(|at| {
                    at.saturating_duration_since(Instant::now()) < BACKOFF_WAIT_MAX && at < deadline
                }) && instance.lost_for(Instant::now()) < ABSENCE_WAIT_MAX =>
            {
                Ok(deadline.min(loading_until))
            }
            InstanceState::BackingOff
            | InstanceState::CrashLooping
            | InstanceState::Failed
            | InstanceState::Draining => Err(self.not_ready(instance)),
        }
    }

    /// Why an instance can't be used now.
    fn not_ready(&self, instance: &Instance) -> Refusal {
        let lifecycle = instance.lifecycle.lock();
        let (state, retry_at) = (lifecycle.state(), lifecycle.retry_at());
        let reason = lifecycle.reason().map(ToOwned::to_owned);
        drop(lifecycle);
        let name = &self.spec.name;
        let because = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        let loading = matches!(
            state,
            InstanceState::Starting | InstanceState::Handshaking | InstanceState::Stopped
        );
        if loading && self.facts.load().is_none() {
            let most = self.spec.start_deadline;
            return Refusal::new(
                RefusalCode::ServerLoading,
                format!("server {name} is still starting{because}"),
            )
            .server(name)
            .retry_after(Duration::from_secs(5))
            .hint(format!(
                "a start may take up to {most:?}; `mainstay status` shows how far it is"
            ));
        }
        let refusal = self.unavailable(&format!("it is {}{because}", state.as_str()));
        match retry_at {
            Some(at) => refusal.retry_after(at.saturating_duration_since(Instant::now())),
            None => refusal,
        }
    }

    fn unavailable(&self, why: &str) -> Refusal {
        let name = &self.spec.name;
        Refusal::new(RefusalCode::ServerUnavailable, format!("server {name} can't be used: {why}"))
            .server(name)
            .hint("`mainstay status` shows its state and last output")
    }

    fn check_room(&self, instances: &Instances) -> Result<(), Refusal> {
        let max = self.spec.pool.instances_max;
        if instances.closed {
            return Err(self.unavailable("the daemon is stopping"));
        }
        // The instance that supplies the lists is not counted: it must never be crowded out.
        if instances.count > max {
            return Err(self
                .unavailable(&format!("all {max} instances it may have are in use"))
                .limit(format!("pool.max: {max}"))
                .retry_after(Duration::from_secs(1)));
        }
        Ok(())
    }

    fn create(self: &Arc<Self>, instances: &mut Instances, key: LeaseKey) -> Arc<Instance> {
        let id = InstanceId(self.instance_ids.fetch_add(1, Ordering::Relaxed) + 1);
        let lifecycle = Lifecycle::new(self.limits(id), Instant::now());
        let instance = Arc::new(Instance::new(id, key.clone(), lifecycle));
        instance.touch(Instant::now());
        instances.by_key.entry(key).or_default().push(instance.clone());
        instances.count += 1;
        self.tasks.spawn(Driver::new(self.clone(), instance.clone()).run());
        instance
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
                restarts_max: usize::MAX,
                ..limits
            },
        }
    }

    fn remove(&self, instance: &Arc<Instance>) {
        let mut instances = self.instances.lock();
        if let Some(all) = instances.by_key.get_mut(&instance.key) {
            let before = all.len();
            all.retain(|other| other.id != instance.id);
            let removed = before - all.len();
            if all.is_empty() {
                instances.by_key.remove(&instance.key);
            }
            instances.count -= removed;
        }
        self.past_restarts.fetch_add(instance.lifecycle.lock().restarts(), Ordering::Relaxed);
        instance.stop.cancel();
    }

    /// Ends instances that nobody has used for the idle time; the one with the lists stays.
    fn tidy(&self, now: Instant) {
        let surplus: Vec<_> = {
            let instances = self.instances.lock();
            let base = self.base.get().map(|base| base.id);
            instances
                .by_key
                .values()
                .flat_map(|all| all.iter().skip(self.spec.pool.instances_min))
                .filter(|instance| {
                    Some(instance.id) != base
                        && !instance.held.load(Ordering::Acquire)
                        && instance.live().is_none_or(|live| live.link.in_flight() == 0)
                        && instance.idle_for(now) > self.spec.pool.idle_timeout
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

    /// Keeps what the instance that supplies the lists says. `kinds`: what has changed in a life;
    /// empty at its beginning.
    pub(crate) fn remember(&self, instance: &Instance, facts: &Arc<Facts>, kinds: &[ListKind]) {
        if instance.key != LeaseKey::base() {
            return;
        }
        let before = self.facts.swap(Some(facts.clone()));
        let all = ListKind::ALL;
        let candidates = if kinds.is_empty() { &all[..] } else { kinds };
        let changed: Vec<_> = candidates
            .iter()
            .copied()
            .filter(|kind| {
                before.as_ref().is_none_or(|before| before.lists.of(*kind) != facts.lists.of(*kind))
            })
            .collect();
        self.server_metrics
            .know_tools(facts.lists.of(ListKind::Tools).iter().map(|tool| &*tool.key));
        if let (Some(hub), false) = (self.hub(), changed.is_empty()) {
            hub.lists_changed(&self.spec.name, &changed);
        }
    }

    /// Fetches a list anew from a server that does not tell when it changes. What can't be fetched
    /// stays as it was.
    pub async fn freshen(&self, kind: ListKind) {
        let Some((base, live)) = self.base.get().and_then(|base| Some((base, base.usable()?)))
        else {
            return;
        };
        let facts = live.facts.load_full();
        if facts.capabilities.tells_of(kind) {
            return;
        }
        if let Ok(items) = mainstay_upstream::handshake::list(&live.link, kind).await
            && facts.lists.of(kind) != items
        {
            let mut facts = (*facts).clone();
            facts.lists.set(kind, items);
            live.facts.store(Arc::new(facts));
            self.remember(base, &live.facts.load_full(), &[kind]);
        }
    }

    pub(crate) fn hub(&self) -> Option<Arc<dyn Hub>> {
        self.hub.get()?.upgrade()
    }

    pub(crate) fn note_change(&self) {
        self.released.notify_waiters();
    }

    /// Waits until the instance with the lists is in another state than now.
    pub async fn changed(&self) {
        if let Some(base) = self.base.get() {
            let mut changed = base.changed.subscribe();
            let _ = changed.changed().await;
        }
    }

    pub fn instances(&self) -> Vec<Arc<Instance>> {
        self.instances.lock().by_key.values().flatten().cloned().collect()
    }

    /// Calls in flight over all instances.
    pub fn in_flight(&self) -> usize {
        self.instances()
            .iter()
            .filter_map(|instance| instance.live())
            .map(|live| live.link.in_flight())
            .sum()
    }

    pub fn pool_status(&self) -> PoolStatus {
        let instances = self.instances();
        let busy = |instance: &&Arc<Instance>| {
            instance.held.load(Ordering::Relaxed)
                || instance.live().is_some_and(|live| live.link.in_flight() > 0)
        };
        let active = instances.iter().filter(busy).count();
        PoolStatus {
            active,
            idle: instances.len() - active,
            total: instances.len(),
            max_pool_size: self.spec.pool.instances_max,
            min_pool_size: self.spec.pool.instances_min,
        }
    }

    /// The truth about the server, read from its parts. `clock` turns a time into RFC 3339.
    pub fn status(&self, now: Instant, clock: &dyn Fn(Instant) -> String) -> ServerStatus {
        let facts = self.facts();
        let count = |kind| facts.as_ref().map_or(0, |facts| facts.lists.of(kind).len());
        let instances: Vec<_> =
            self.instances().iter().map(|instance| instance.status(now)).collect();
        let restarts = instances.iter().map(|instance| instance.restarts).sum::<u64>()
            + self.past_restarts.load(Ordering::Relaxed);
        let (kind, target) = match &self.spec.runtime {
            Runtime::Process(spec) => ("process", spec.command.join(" ")),
            Runtime::Remote(spec) => ("remote", spec.url.clone()),
        };
        let mut status = ServerStatus {
            name: self.spec.name.clone(),
            kind: kind.to_owned(),
            target,
            required: self.spec.required,
            state: InstanceState::Stopped,
            reason: None,
            since: clock(now),
            retry_in_ms: None,
            revision: facts.as_ref().map(|facts| facts.revision.to_string()),
            tools: count(ListKind::Tools),
            resources: count(ListKind::Resources),
            prompts: count(ListKind::Prompts),
            restarts,
            calls: instances.iter().map(|instance| instance.calls).sum(),
            stray_lines: self.stray_lines.load(Ordering::Relaxed),
            instances,
        };
        if let Some(base) = self.base.get() {
            let lifecycle = base.lifecycle.lock();
            status.state = lifecycle.state();
            status.since = clock(lifecycle.since());
            status.retry_in_ms =
                lifecycle.retry_at().map(|at| at.saturating_duration_since(now).as_millis() as u64);
            status.reason =
                lifecycle.reason().map(|reason| match &base.process.lock().last_output {
                    Some(output) => format!("{reason}\n{output}"),
                    None => reason.to_owned(),
                });
        }
        status
    }
}

/// Lets a server that keeps its client's roots learn those of the next one before its call.
async fn hand_over_roots(instance: &Instance, live: &Live) {
    instance.asks_roots.store(false, Ordering::Release);
    announce_roots(live);
    let asked = async {
        while !instance.asks_roots.load(Ordering::Acquire) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let _ = tokio::time::timeout(ROOTS_WAIT, asked).await;
}
