//! Instances: running copies of a server, over all their runs.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};
use mainstay_model::InstanceId;
use mainstay_model::resource::LimitStatus;
use mainstay_model::status::{InstanceState, InstanceStatus};
use mainstay_protocol::Era;
use mainstay_protocol::list::ListKind;
use mainstay_protocol::subscriptions::Filter;
use mainstay_supervisor::lifecycle::Lifecycle;
use mainstay_supervisor::roster::MemberId;
use mainstay_upstream::facts::{Facts, List};
use mainstay_upstream::{Asker, Link, SessionNo};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::key::LeaseKey;
use crate::list_age::ListAges;
use crate::list_refreshes::ListRefreshes;

/// An instance of a server. It keeps its id, subscriptions and log level when its process is replaced.
#[derive(Debug)]
pub struct Instance {
    pub id: InstanceId,
    key: ArcSwap<LeaseKey>,
    /// The instance's id in the roster. `None` for a base instance, which is never lent.
    pub(crate) member: Option<MemberId>,
    subscriptions_observer: Weak<dyn SubscriptionsObserver>,
    pub(crate) ready_run: ArcSwapOption<ReadyRun>,
    pub(crate) lifecycle: Mutex<Lifecycle>,
    /// Counts state changes. Waiters check the state again after each.
    pub(crate) changed: watch::Sender<u64>,
    pub(crate) stop: CancellationToken,
    /// Notified when the server is held or released.
    pub(crate) ordered: Notify,
    /// Notified when somebody waits for an instance that rests.
    pub(crate) wanted: Notify,
    /// Notified when nobody has used the instance for its idle time.
    pub(crate) unwanted: Notify,
    /// The session that holds the instance alone, or held it last. 0: none.
    pub(crate) holder: AtomicU64,
    /// Whether the server has requested the roots of its holder outside of calls.
    pub(crate) asks_roots: AtomicBool,
    /// Notified on each such request.
    pub(crate) roots_asked: Notify,
    /// The number of permits for the instance.
    permits: AtomicUsize,
    /// Notified when the last permit is dropped.
    unused: Notify,
    /// Resident memory of the process tree in bytes, as measured last. 0: not measured.
    memory: AtomicU64,
    /// The limits of the process, as seen last.
    limits: ArcSwap<Vec<LimitStatus>>,
    pub(crate) process: Mutex<ProcessFacts>,
    /// When the instance was lost last.
    pub(crate) lost_at: Mutex<Option<Instant>>,
    pub(crate) replay_state: Mutex<ReplayState>,
    born: Instant,
    used_ms: AtomicU64,
}

/// Is notified whether sessions have subscribed to the resources of an instance.
pub(crate) trait SubscriptionsObserver: Send + Sync + Debug {
    fn note_listened(self: Arc<Self>, member: MemberId, listened: bool);
}

/// A run of an instance that is ready.
#[derive(Debug)]
pub struct ReadyRun {
    pub(crate) link: Arc<Link>,
    /// The era of the conversation.
    pub era: Era,
    pub facts: ArcSwap<Facts>,
    pub since: Instant,
    /// The filter that a modern server has acknowledged, while the subscription to its lists is open.
    pub(crate) subscribed: ArcSwapOption<Filter>,
    /// When each list was fetched last, by [`ListKind`].
    fetched: Mutex<[Instant; 4]>,
    pub(crate) ages: ListAges,
    /// When each list is fetched again.
    pub(crate) refreshes: Arc<ListRefreshes>,
    /// Held while a list is taken over, so that lists are published in order.
    pub(crate) publishing: Mutex<()>,
}

/// What is known about the process of an instance.
#[derive(Debug, Default)]
pub(crate) struct ProcessFacts {
    pub(crate) pid: Option<u32>,
    /// The first and the last lines that the previous run wrote to standard error.
    pub(crate) last_output: Vec<String>,
    /// Why the previous run ended, without anything that the server or its configuration says.
    pub(crate) brief_reason: Option<String>,
}

/// What clients have requested from the instance and what is requested again in its next run.
#[derive(Debug, Default)]
pub(crate) struct ReplayState {
    /// The subscribed sessions by the JSON text of the resource's URI.
    pub(crate) subscriptions: BTreeMap<Box<str>, HashSet<SessionNo>>,
    /// The log level that was set last, as JSON text.
    pub(crate) log_level: Option<Box<str>>,
}

// === impl Instance ===

impl Instance {
    pub(crate) fn new(
        id: InstanceId,
        key: LeaseKey,
        lifecycle: Lifecycle,
        member: Option<MemberId>,
        subscriptions_observer: Weak<dyn SubscriptionsObserver>,
    ) -> Self {
        Self {
            id,
            key: ArcSwap::from_pointee(key),
            member,
            subscriptions_observer,
            ready_run: ArcSwapOption::empty(),
            lifecycle: Mutex::new(lifecycle),
            changed: watch::Sender::new(0),
            stop: CancellationToken::new(),
            ordered: Notify::new(),
            wanted: Notify::new(),
            unwanted: Notify::new(),
            holder: AtomicU64::new(0),
            asks_roots: AtomicBool::new(false),
            roots_asked: Notify::new(),
            permits: AtomicUsize::new(0),
            unused: Notify::new(),
            memory: AtomicU64::new(0),
            limits: ArcSwap::default(),
            process: Mutex::default(),
            lost_at: Mutex::default(),
            replay_state: Mutex::default(),
            born: Instant::now(),
            used_ms: AtomicU64::new(0),
        }
    }

    /// Whether this is a base instance, which supplies the lists of its era.
    pub(crate) fn supplies_lists(&self) -> bool {
        self.member.is_none()
    }

    /// Which calls may share the instance. The key of the primary instance can change with a run, when the
    /// server turns out to be of another era than the one that was tried first.
    pub fn key(&self) -> Arc<LeaseKey> {
        self.key.load_full()
    }

    pub(crate) fn set_key(&self, key: LeaseKey) {
        self.key.store(Arc::new(key));
    }

    /// The process id, while the instance has a process.
    pub fn pid(&self) -> Option<u32> {
        self.process.lock().pid
    }

    /// Records the resident memory of the process tree, in bytes.
    pub fn note_memory(&self, bytes: u64) {
        self.memory.store(bytes, Ordering::Relaxed);
    }

    /// Resident memory of the process tree in bytes. `None` without a process or a measurement.
    pub fn memory_bytes(&self) -> Option<u64> {
        self.pid()?;
        Some(self.memory.load(Ordering::Relaxed)).filter(|bytes| *bytes > 0)
    }

    /// Records the limits of the process, and how much of them is used.
    pub fn note_limits(&self, limits: Vec<LimitStatus>) {
        self.limits.store(Arc::new(limits));
    }

    /// The limits of the process. Empty without limits, without a process, and before they were seen.
    pub fn limits(&self) -> Arc<Vec<LimitStatus>> {
        match self.pid() {
            Some(_) => self.limits.load_full(),
            None => Arc::default(),
        }
    }

    /// The handle for answering the instance's questions, while it is ready.
    pub fn asker(&self) -> Option<Asker> {
        self.ready_run.load().as_ref().map(|run| run.link.asker())
    }

    /// The current run, while it is ready.
    pub(crate) fn ready_run(&self) -> Option<Arc<ReadyRun>> {
        self.ready_run.load_full()
    }

    /// The session that holds the instance now, or held it last. 0: none.
    pub fn held_by(&self) -> SessionNo {
        SessionNo(self.holder.load(Ordering::Acquire))
    }

    /// The current run, unless its link is closed and the driver has not noticed yet.
    pub(crate) fn usable(&self) -> Option<Arc<ReadyRun>> {
        self.ready_run().filter(|run| !run.link.is_closed())
    }

    /// The time since the instance was lost. [`Duration::MAX`] if it never was ready.
    pub(crate) fn unready_for(&self, now: Instant) -> Duration {
        let lost = *self.lost_at.lock();
        lost.map_or(Duration::MAX, |lost| now.saturating_duration_since(lost))
    }

    pub fn state(&self) -> InstanceState {
        self.visible_state(self.lifecycle.lock().state())
    }

    /// The state to show. An instance counts as ready only when calls can use it, which is slightly later
    /// than the decision of the lifecycle.
    pub(crate) fn visible_state(&self, decided: InstanceState) -> InstanceState {
        match decided {
            InstanceState::Ready => match &*self.ready_run.load() {
                None => InstanceState::Handshaking,
                // It was lost, or hangs, and its processes are being ended.
                Some(run) if run.link.is_closed() => InstanceState::Draining,
                Some(_) => InstanceState::Ready,
            },
            decided => decided,
        }
    }

    pub fn status(&self, now: Instant) -> InstanceStatus {
        let lifecycle = self.lifecycle.lock();
        let ready = lifecycle.state() == InstanceState::Ready;
        let up =
            if ready { now.saturating_duration_since(lifecycle.since()) } else { Duration::ZERO };
        InstanceStatus {
            id: self.id,
            state: self.visible_state(lifecycle.state()),
            pid: self.pid(),
            calls: self.ready_run().map_or(0, |run| run.link.in_flight()),
            restarts: lifecycle.restarts(),
            uptime_ms: up.as_millis() as u64,
            memory_bytes: self.memory_bytes(),
            limits: self.limits().to_vec(),
            asks: self.key().question_kinds(),
            only_for: None,
        }
    }

    /// The sessions that have subscribed to this URI or to a URI above it. `uri` is JSON text without
    /// unnecessary escapes.
    pub(crate) fn subscribers(&self, uri: &str) -> Vec<SessionNo> {
        let replay_state = self.replay_state.lock();
        let wanted = uri.trim_matches('"');
        let mut owners = HashSet::new();
        for (subscribed, by) in &replay_state.subscriptions {
            if lies_under(wanted, subscribed.trim_matches('"')) {
                owners.extend(by.iter().copied());
            }
        }
        owners.into_iter().collect()
    }

    /// Whether a session has subscribed to a resource.
    pub(crate) fn is_subscribed_to(&self) -> bool {
        !self.replay_state.lock().subscriptions.is_empty()
    }

    /// Adds a subscription. Returns whether it is the first to this URI, so that the server must be told.
    pub fn subscribe(&self, uri: &str, owner: SessionNo) -> bool {
        let mut replay_state = self.replay_state.lock();
        let owners = replay_state.subscriptions.entry(uri.into()).or_default();
        let first = owners.is_empty();
        owners.insert(owner);
        drop(replay_state);
        self.note_listened();
        first
    }

    /// Removes a subscription. Returns whether it was the last to this URI.
    pub fn unsubscribe(&self, uri: &str, owner: SessionNo) -> bool {
        let mut replay_state = self.replay_state.lock();
        let Some(owners) = replay_state.subscriptions.get_mut(uri) else { return false };
        let was_there = owners.remove(&owner);
        let last = owners.is_empty();
        if last {
            replay_state.subscriptions.remove(uri);
        }
        drop(replay_state);
        self.note_listened();
        was_there && last
    }

    /// Tells the roster whether a session has subscribed. Such an instance is not evicted.
    fn note_listened(&self) {
        if let (Some(member), Some(observer)) = (self.member, self.subscriptions_observer.upgrade())
        {
            observer.note_listened(member, self.is_subscribed_to());
        }
    }

    /// Sets the log level of the server. Returns whether it has changed.
    pub fn set_log_level(&self, level: &str) -> bool {
        let mut replay_state = self.replay_state.lock();
        let other = replay_state.log_level.as_deref() != Some(level);
        replay_state.log_level = Some(level.into());
        other
    }

    pub fn log_level(&self) -> Option<Box<str>> {
        self.replay_state.lock().log_level.clone()
    }

    pub(crate) fn permit_begins(&self) {
        self.permits.fetch_add(1, Ordering::AcqRel);
    }

    pub(crate) fn permit_ends(&self) {
        if self.permits.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.unused.notify_waiters();
        }
    }

    /// Whether anybody uses the instance now: with a permit, a call of a client in flight or a subscription.
    pub(crate) fn is_in_use(&self) -> bool {
        self.permits.load(Ordering::Acquire) > 0
            || self.ready_run().is_some_and(|run| run.link.client_calls() > 0)
            || self.is_subscribed_to()
    }

    /// Whether anybody has a permit for the instance.
    pub(crate) fn has_permits(&self) -> bool {
        self.permits.load(Ordering::Acquire) > 0
    }

    /// Waits until all permits for the instance are dropped.
    pub(crate) async fn until_unused(&self) {
        loop {
            let unused = self.unused.notified();
            if self.permits.load(Ordering::Acquire) == 0 {
                return;
            }
            unused.await;
        }
    }

    pub(crate) fn touch(&self, now: Instant) {
        let used = now.saturating_duration_since(self.born).as_millis() as u64;
        self.used_ms.store(used, Ordering::Relaxed);
    }

    /// Whether the instance was ever used.
    pub(crate) fn was_used(&self) -> bool {
        self.used_ms.load(Ordering::Relaxed) > 0
    }

    pub(crate) fn idle_for(&self, now: Instant) -> Duration {
        let used = self.born + Duration::from_millis(self.used_ms.load(Ordering::Relaxed));
        now.saturating_duration_since(used)
    }

    /// Why the instance is not ready, with the last output of a process that died: for the operator.
    pub(crate) fn whole_reason(&self) -> Option<String> {
        let reason = self.lifecycle.lock().reason().map(str::to_owned)?;
        let output = self.last_output();
        Some(if output.is_empty() { reason } else { format!("{reason}\n{}", output.join("\n")) })
    }

    /// Why the instance is not ready, without output: for the operator.
    pub(crate) fn reason(&self) -> Option<String> {
        self.lifecycle.lock().reason().map(str::to_owned)
    }

    /// The first and the last lines of the process that died, while the instance is not ready: for the operator.
    pub(crate) fn last_output(&self) -> Vec<String> {
        self.process.lock().last_output.clone()
    }

    /// Why the instance is not ready, without paths, arguments, addresses or output: what anybody may
    /// know who reaches the daemon. The whole reason is for the operator.
    pub(crate) fn brief_reason(&self) -> Option<String> {
        self.lifecycle.lock().reason()?;
        let known = self.process.lock().brief_reason.clone();
        Some(known.unwrap_or_else(|| "it was lost".to_owned()))
    }

    pub(crate) fn note_change(&self) {
        self.changed.send_modify(|count| *count += 1);
    }
}

// === impl ReadyRun ===

impl ReadyRun {
    /// `calls`: the number of calls of the pool that had ended when the lists were fetched.
    pub(crate) fn new(
        link: Arc<Link>,
        facts: Facts,
        refreshes: Arc<ListRefreshes>,
        calls: u64,
    ) -> Self {
        let now = Instant::now();
        Self {
            link,
            era: facts.revision.era(),
            facts: ArcSwap::from_pointee(facts),
            since: now,
            subscribed: ArcSwapOption::empty(),
            fetched: Mutex::new([now; 4]),
            ages: ListAges::new(calls),
            refreshes,
            publishing: Mutex::new(()),
        }
    }

    /// Takes over a list that was just fetched, with [`publishing`](Self::publishing) held.
    pub(crate) fn set_list(&self, kind: ListKind, list: List) {
        let mut facts = (**self.facts.load()).clone();
        if list.gaps.failed.is_none() {
            self.fetched.lock()[kind as usize] = Instant::now();
            self.ages.end(kind, facts.lists.of(kind) == list.items);
        }
        facts.lists.renew(kind, list);
        self.facts.store(Arc::new(facts));
    }

    /// Whether a list is up to date: the server would have announced a change, or its TTL has not passed.
    pub(crate) fn is_fresh(&self, kind: ListKind, now: Instant) -> bool {
        let facts = self.facts.load();
        if self.era == Era::Legacy {
            return facts.capabilities.tells_of(kind);
        }
        let told = self.subscribed.load().as_ref().is_some_and(|filter| filter.wants(kind));
        let ttl = facts.lists.caching(kind).ttl_ms.map_or(Duration::ZERO, Duration::from_millis);
        let fetched = self.fetched.lock()[kind as usize];
        told || now.saturating_duration_since(fetched) < ttl
    }
}

/// The lists whose changes a filter includes.
pub(crate) fn kinds_of(filter: &Filter) -> Vec<ListKind> {
    ListKind::ALL.into_iter().filter(|kind| filter.wants(*kind)).collect()
}

/// Whether a URI equals `whole` or is below it.
fn lies_under(uri: &str, whole: &str) -> bool {
    let marks = ['/', '?', '#'];
    uri.strip_prefix(whole)
        .is_some_and(|rest| rest.is_empty() || whole.ends_with(marks) || rest.starts_with(marks))
}
