//! One running copy of a server, over all its runs.

use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};
use mainstay_model::InstanceId;
use mainstay_model::status::{InstanceState, InstanceStatus};
use mainstay_protocol::Era;
use mainstay_protocol::list::ListKind;
use mainstay_protocol::subscriptions::Filter;
use mainstay_supervisor::lifecycle::Lifecycle;
use mainstay_supervisor::roster::{MemberId, RosterEvent};
use mainstay_upstream::facts::{Facts, List};
use mainstay_upstream::{Asker, Link, SessionNo};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::key::LeaseKey;
use crate::pool::Pool;

/// An instance: it keeps its place and what clients asked of it when its process is replaced.
#[derive(Debug)]
pub struct Instance {
    pub id: InstanceId,
    key: ArcSwap<LeaseKey>,
    /// What the roster knows it by; none: it is never lent, and supplies the lists of its era.
    pub(crate) member: Option<MemberId>,
    pool: Weak<Pool>,
    pub(crate) ready_run: ArcSwapOption<ReadyRun>,
    pub(crate) lifecycle: Mutex<Lifecycle>,
    /// Counts changes of state; waiters look again at each.
    pub(crate) changed: watch::Sender<u64>,
    pub(crate) stop: CancellationToken,
    /// The session that has it to itself, or had it last; 0: none.
    pub(crate) holder: AtomicU64,
    /// The server has asked for roots outside of calls: they are the holder's.
    pub(crate) asks_roots: AtomicBool,
    /// Told each time it does.
    pub(crate) roots_asked: Notify,
    /// Permits to speak to it that are out.
    permits: AtomicUsize,
    /// Told when the last of them is back.
    unused: Notify,
    /// Resident memory of its process tree in bytes when it was looked at last; 0: not looked at.
    memory: AtomicU64,
    pub(crate) process: Mutex<ProcessFacts>,
    /// When it was last ready.
    pub(crate) lost_at: Mutex<Option<Instant>>,
    pub(crate) replay_state: Mutex<ReplayState>,
    born: Instant,
    used_ms: AtomicU64,
}

/// One run of an instance, from ready to lost.
#[derive(Debug)]
pub struct ReadyRun {
    pub(crate) link: Arc<Link>,
    /// How it is spoken to.
    pub era: Era,
    pub facts: ArcSwap<Facts>,
    pub since: Instant,
    /// What a modern server has promised to tell of, while it is listened to.
    pub(crate) subscribed: ArcSwapOption<Filter>,
    /// When each list was fetched last, by its kind.
    fetched: Mutex<[Instant; 4]>,
}

#[derive(Debug, Default)]
pub(crate) struct ProcessFacts {
    pub(crate) pid: Option<u32>,
    /// The end of what the last run wrote to standard error.
    pub(crate) last_output: Option<String>,
}

/// What clients asked for that outlives a run: it is asked for again in the next.
#[derive(Debug, Default)]
pub(crate) struct ReplayState {
    /// By the JSON text of the URI.
    pub(crate) subscriptions: BTreeMap<Box<str>, HashSet<SessionNo>>,
    /// The JSON text of the level that was set last.
    pub(crate) log_level: Option<Box<str>>,
}

// === impl Instance ===

impl Instance {
    pub(crate) fn new(
        id: InstanceId,
        key: LeaseKey,
        lifecycle: Lifecycle,
        member: Option<MemberId>,
        pool: Weak<Pool>,
    ) -> Self {
        Self {
            id,
            key: ArcSwap::from_pointee(key),
            member,
            pool,
            ready_run: ArcSwapOption::empty(),
            lifecycle: Mutex::new(lifecycle),
            changed: watch::Sender::new(0),
            stop: CancellationToken::new(),
            holder: AtomicU64::new(0),
            asks_roots: AtomicBool::new(false),
            roots_asked: Notify::new(),
            permits: AtomicUsize::new(0),
            unused: Notify::new(),
            memory: AtomicU64::new(0),
            process: Mutex::default(),
            lost_at: Mutex::default(),
            replay_state: Mutex::default(),
            born: Instant::now(),
            used_ms: AtomicU64::new(0),
        }
    }

    /// Whether the lists of its era come from it.
    pub(crate) fn supplies_lists(&self) -> bool {
        self.member.is_none()
    }

    /// Who may share it. That of the instance that a daemon starts can change with a run, when the
    /// server turns out to be of another era than was tried first.
    pub fn key(&self) -> Arc<LeaseKey> {
        self.key.load_full()
    }

    pub(crate) fn set_key(&self, key: LeaseKey) {
        self.key.store(Arc::new(key));
    }

    /// The number of its process, where it has one and that runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.lock().pid
    }

    /// Notes how much memory its process tree holds.
    pub fn note_memory(&self, bytes: u64) {
        self.memory.store(bytes, Ordering::Relaxed);
    }

    /// Resident memory of its process tree in bytes, while it has a process and that was looked at.
    pub fn memory_bytes(&self) -> Option<u64> {
        self.pid()?;
        Some(self.memory.load(Ordering::Relaxed)).filter(|bytes| *bytes > 0)
    }

    /// Who its questions are answered to, while it is ready.
    pub fn asker(&self) -> Option<Asker> {
        self.ready_run.load().as_ref().map(|run| run.link.asker())
    }

    /// The present run, while it is ready.
    pub(crate) fn ready_run(&self) -> Option<Arc<ReadyRun>> {
        self.ready_run.load_full()
    }

    /// The session that holds it now, or held it last and may find it again; 0: none.
    pub fn held_by(&self) -> SessionNo {
        SessionNo(self.holder.load(Ordering::Acquire))
    }

    /// The present run, unless its link is known to be dead and only the driver has not heard yet.
    pub(crate) fn usable(&self) -> Option<Arc<ReadyRun>> {
        self.ready_run().filter(|run| !run.link.is_closed())
    }

    /// How long it has not been ready. Very long if it never was.
    pub(crate) fn unready_for(&self, now: Instant) -> Duration {
        let lost = *self.lost_at.lock();
        lost.map_or(Duration::MAX, |lost| now.saturating_duration_since(lost))
    }

    pub fn state(&self) -> InstanceState {
        self.visible_state(self.lifecycle.lock().state())
    }

    /// Ready is what calls find ready: between the decision and the opened gate it is not yet.
    pub(crate) fn visible_state(&self, decided: InstanceState) -> InstanceState {
        match decided {
            InstanceState::Ready if self.ready_run.load().is_none() => InstanceState::Handshaking,
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
            asks: self.key().question_kinds(),
        }
    }

    /// Sessions that subscribed to this URI, or to one that it lies under. `uri` is JSON text, with
    /// no more escapes than it needs.
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

    /// Whether somebody waits for what it tells of its resources.
    pub(crate) fn is_subscribed_to(&self) -> bool {
        !self.replay_state.lock().subscriptions.is_empty()
    }

    /// Notes a subscription; whether it is the first to this URI, so that the server must be asked.
    pub fn subscribe(&self, uri: &str, owner: SessionNo) -> bool {
        let mut replay_state = self.replay_state.lock();
        let owners = replay_state.subscriptions.entry(uri.into()).or_default();
        let first = owners.is_empty();
        owners.insert(owner);
        drop(replay_state);
        self.note_listened();
        first
    }

    /// Forgets a subscription; whether it was the last to this URI.
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

    /// Tells the roster whether somebody waits for what it says of its resources: one that is waited
    /// for does not give way.
    fn note_listened(&self) {
        if let (Some(member), Some(pool)) = (self.member, self.pool.upgrade()) {
            pool.step_roster(RosterEvent::Listened { member, to: self.is_subscribed_to() });
        }
    }

    /// Notes the level a server is told to log at; whether it is another than before.
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
        self.permits.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn permit_ends(&self) {
        if self.permits.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.unused.notify_waiters();
        }
    }

    /// Waits until nobody holds a permit for it.
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

    pub(crate) fn idle_for(&self, now: Instant) -> Duration {
        let used = self.born + Duration::from_millis(self.used_ms.load(Ordering::Relaxed));
        now.saturating_duration_since(used)
    }

    pub(crate) fn note_change(&self) {
        self.changed.send_modify(|count| *count += 1);
    }
}

// === impl ReadyRun ===

impl ReadyRun {
    pub(crate) fn new(link: Arc<Link>, facts: Facts) -> Self {
        let now = Instant::now();
        Self {
            link,
            era: facts.revision.era(),
            facts: ArcSwap::from_pointee(facts),
            since: now,
            subscribed: ArcSwapOption::empty(),
            fetched: Mutex::new([now; 4]),
        }
    }

    /// A list that was just fetched.
    pub(crate) fn set_list(&self, kind: ListKind, list: List) {
        let mut facts = (**self.facts.load()).clone();
        facts.lists.set(kind, list);
        self.facts.store(Arc::new(facts));
        self.fetched.lock()[kind as usize] = Instant::now();
    }

    /// Whether a list need not be asked for again: the server would have told of a change, or said
    /// for how long there is none.
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

/// The lists whose changes a filter is for.
pub(crate) fn kinds_of(filter: &Filter) -> Vec<ListKind> {
    ListKind::ALL.into_iter().filter(|kind| filter.wants(*kind)).collect()
}

/// Whether a URI is this one or a part of it.
fn lies_under(uri: &str, whole: &str) -> bool {
    let marks = ['/', '?', '#'];
    uri.strip_prefix(whole)
        .is_some_and(|rest| rest.is_empty() || whole.ends_with(marks) || rest.starts_with(marks))
}
