//! What keeps a server or service from running, although nothing is wrong with it itself: it was stopped by hand,
//! or something that it needs is not ready. `supervisor::graph` decides that; here it is carried out.

use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use mainstay_model::status::InstanceState;
use mainstay_model::{Refusal, RefusalCode};
use mainstay_supervisor::graph::{Hold, HoldKind, Why};

use mainstay_upstream::probing::Probe;

use crate::breaker::date_of;
use crate::pool::Pool;
use crate::readiness::{LOADING_WAIT_MAX, wait_for_start};

/// What keeps a server or service from running, or from running well.
#[derive(Default)]
pub struct Holding {
    held: ArcSwapOption<Held>,
    short: ArcSwapOption<Short>,
    /// Whether the next start forgets earlier losses.
    is_afresh: AtomicBool,
    /// Whether lists may leave the server out since a hold: they are told of its next run.
    is_unlisted: AtomicBool,
    hook: OnceLock<ChangeHook>,
}

/// A hold, and since when.
#[derive(Debug)]
struct Held {
    hold: Hold,
    since: Instant,
    drain: Duration,
}

/// A shortage, and since when.
#[derive(Debug)]
struct Short {
    why: Arc<dyn Why>,
    since: Instant,
}

/// Is called after each change of the state of a server or service. It must not block.
pub type ChangeHook = Box<dyn Fn() + Send + Sync>;

/// The longest wait for a need of a server, whose own start would follow. One request may wait several times.
const HOLD_WAIT_MAX: Duration = Duration::from_millis(250);

/// The longest wait for the pool that takes the place of this one. Calls have deadlines of their own.
const HANDED_OVER_WAIT_MAX: Duration = Duration::from_secs(3600);

/// How often it is checked whether the last instance of a server that is held has ended.
const END_CHECK_EVERY: Duration = Duration::from_millis(20);

// === impl Holding ===

impl Holding {
    /// Calls `hook` after each change. Only the first hook is used.
    pub fn on_change(&self, hook: ChangeHook) {
        let _ = self.hook.set(hook);
    }

    /// Calls the hook.
    pub fn tell_change(&self) {
        if let Some(hook) = self.hook.get() {
            hook();
        }
    }

    /// Holds from now on. `drain` is the longest wait for calls in flight. Returns whether nothing held before.
    pub fn hold(&self, hold: Hold, drain: Duration) -> bool {
        let before = self.held.load_full();
        let same = before.as_ref().filter(|before| before.hold.kind == hold.kind);
        let since = same.map_or_else(Instant::now, |before| before.since);
        self.held.store(Some(Arc::new(Held { hold, since, drain })));
        self.is_unlisted.store(true, Ordering::Release);
        before.is_none()
    }

    /// Dates a hold back: it was in force before this daemon started.
    pub fn backdate(&self, since: Instant) {
        if let Some(held) = self.held.load_full() {
            let (hold, drain) = (held.hold.clone(), held.drain);
            self.held.store(Some(Arc::new(Held { hold, since, drain })));
        }
    }

    /// Ends a hold. Returns whether there was one.
    pub fn release(&self, afresh: bool) -> bool {
        let was_held = self.held.load().is_some();
        if was_held {
            self.is_afresh.store(afresh, Ordering::Release);
            self.held.store(None);
        }
        was_held
    }

    /// Notes that a need is lost, or with `None` that none is. Returns whether that is new.
    pub fn set_shortage(&self, shortage: Option<Arc<dyn Why>>) -> bool {
        if shortage.is_some() == self.short.load().is_some() {
            return false;
        }
        let since = Instant::now();
        self.short.store(shortage.map(|why| Arc::new(Short { why, since })));
        true
    }

    pub fn is_held(&self) -> bool {
        self.held.load().is_some()
    }

    /// Whether something is held, and what holds it is not about to be ready.
    pub fn is_held_for_long(&self) -> bool {
        self.held.load().as_ref().is_some_and(|held| held.hold.why.loading().is_none())
    }

    /// The longest wait for calls in flight.
    pub fn drain(&self) -> Duration {
        self.held.load().as_ref().map_or(Duration::ZERO, |held| held.drain)
    }

    /// Whether the start after a hold forgets earlier losses. The next one does not.
    pub fn starts_afresh(&self) -> bool {
        self.is_afresh.swap(false, Ordering::AcqRel)
    }

    /// Whether lists may have left the server out since the last run that was told of.
    pub(crate) fn is_listed_again(&self) -> bool {
        self.is_unlisted.swap(false, Ordering::AcqRel)
    }

    /// What holds, if anything does.
    pub fn held(&self) -> Option<Hold> {
        self.held.load().as_ref().map(|held| held.hold.clone())
    }

    /// The state to show for something whose own state is `own`.
    pub fn shown_state(&self, own: InstanceState) -> InstanceState {
        match own {
            InstanceState::Stopped => {
                self.held.load().as_ref().map_or(own, |held| held.hold.kind.state())
            }
            // It ends now, or once its calls have finished.
            InstanceState::Starting
            | InstanceState::Handshaking
            | InstanceState::Ready
            | InstanceState::Unhealthy
            | InstanceState::Idle
            | InstanceState::Done
                if self.is_held() =>
            {
                InstanceState::Draining
            }
            InstanceState::Ready if self.short.load().is_some() => InstanceState::Degraded,
            own => own,
        }
    }

    /// Since when the state `shown` is shown, if a hold or a shortage is the cause.
    pub fn shown_since(&self, shown: InstanceState) -> Option<Instant> {
        match shown {
            InstanceState::Degraded => self.short.load().as_ref().map(|short| short.since),
            InstanceState::Waiting | InstanceState::Held | InstanceState::Stopped => {
                self.held.load().as_ref().map(|held| held.since)
            }
            _ => None,
        }
    }

    /// Why something is held or short, for the operator and in brief, if it is.
    pub fn reason(&self) -> Option<(String, String)> {
        let why = match (self.held.load_full(), self.short.load_full()) {
            (Some(held), _) => held.hold.why.clone(),
            (None, Some(short)) => short.why.clone(),
            (None, None) => return None,
        };
        Some((why.reason(), why.brief()))
    }
}

impl Debug for Holding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Holding").field("held", &self.held).finish_non_exhaustive()
    }
}

// === impl Pool ===

impl Pool {
    /// Lets no new calls in and ends all instances once calls in flight have finished, or after `drain`. A pool
    /// that was not started yet starts no instance. A second hold replaces the first, and its words.
    pub fn hold(self: &Arc<Self>, hold: Hold, drain: Duration) {
        let is_first = self.holding.hold(hold, drain);
        self.note_order();
        if is_first {
            self.end_others(drain);
        }
    }

    /// Starts the server again after [`hold`](Self::hold). `afresh` forgets earlier losses, as for a start by hand.
    pub fn release(self: &Arc<Self>, afresh: bool) {
        // What is told follows when it starts.
        if self.holding.release(afresh)
            && let Some(primary) = self.primary.get()
        {
            primary.ordered.notify_one();
            primary.note_change();
        }
    }

    /// Notes that something the server needs is lost, or with `None` that nothing is.
    pub fn set_shortage(self: &Arc<Self>, shortage: Option<Arc<dyn Why>>) {
        if self.holding.set_shortage(shortage) {
            self.note_order();
        }
    }

    /// Waits until no part of an instance is left of a pool that is held.
    pub async fn until_ended(&self) {
        while self.holding.is_held()
            && (self.own_state() != InstanceState::Stopped || self.instances().len() > 1)
        {
            tokio::time::sleep(END_CHECK_EVERY).await;
        }
    }

    /// What keeps the server from running.
    pub fn holding(&self) -> &Holding {
        &self.holding
    }

    /// The probe of the server, if one is configured.
    pub fn probe(&self) -> Option<&Probe> {
        self.probe.as_ref()
    }

    /// Makes the server's probe check it at once.
    pub fn hasten_probe(&self) {
        if let Some(probe) = &self.probe {
            probe.hasten();
        }
    }

    /// The state of the server by itself: that of its primary instance.
    pub fn own_state(&self) -> InstanceState {
        self.primary.get().map_or(InstanceState::Stopped, |primary| primary.state())
    }

    /// The number of the run of the primary instance, or of the last one.
    pub fn own_run(&self) -> u64 {
        self.primary.get().map_or(0, |primary| primary.lifecycle.lock().run_no().get())
    }

    /// How often the primary instance was started again.
    pub fn own_restarts(&self) -> u64 {
        self.primary.get().map_or(0, |primary| primary.lifecycle.lock().restarts())
    }

    /// The state of the server, with what keeps it from running.
    pub fn state(&self) -> InstanceState {
        self.holding.shown_state(self.own_state())
    }

    /// Waits until the server is not held any more, as long as a call waits for a server that starts.
    ///
    /// # Errors
    /// A refusal that says what holds the server.
    pub(crate) async fn until_released(&self, deadline: Instant) -> Result<(), Refusal> {
        let Some(primary) = self.primary.get() else { return Ok(()) };
        let mut changed = primary.changed.subscribe();
        let until = deadline.min(Instant::now() + self.hold_wait());
        loop {
            changed.borrow_and_update();
            if !self.holding.is_held() {
                return Ok(());
            }
            if let Some(refusal) = self.replaced() {
                return Err(refusal);
            }
            let waited = tokio::time::timeout_at(until.into(), changed.changed());
            if self.holding.is_held_for_long() || waited.await.is_err() {
                return self.held_refusal().map_or(Ok(()), Err);
            }
        }
    }

    /// How long a call waits for what holds the server.
    pub(crate) fn hold_wait(&self) -> Duration {
        if self.is_handed_over() {
            // A call waits within its own deadline.
            return HANDED_OVER_WAIT_MAX;
        }
        let loading = self.holding.held().and_then(|hold| hold.why.loading());
        let wait = loading.map_or(Duration::ZERO, |it| wait_for_start(it.usual, it.so_far));
        wait.min(HOLD_WAIT_MAX)
    }

    /// The refusal of a call to a server that is held.
    pub(crate) fn held_refusal(&self) -> Option<Refusal> {
        let hold = self.holding.held()?;
        let (name, brief) = (&self.name, hold.why.brief());
        let refusal = match hold.kind {
            kind if kind != HoldKind::Held
                && let Some(loading) = hold.why.loading() =>
            {
                let usually = match loading.usual {
                    Some(usual) => format!("{} usually takes {usual:.1?} to start; ", loading.what),
                    None => format!("no start of {} was seen yet; ", loading.what),
                };
                let left = loading.usual.unwrap_or_default().saturating_sub(loading.so_far);
                let say = format!("server {name} is not ready yet: {brief}");
                Refusal::new(RefusalCode::ServerLoading, say)
                    .retry_after(left.clamp(Duration::from_secs(1), LOADING_WAIT_MAX))
                    .hint(format!("{usually}`mainstay graph` shows what is in the way"))
            }
            HoldKind::Stopped => Refusal::new(
                RefusalCode::ServerUnavailable,
                format!("server {name} can't be used: {brief}"),
            )
            .hint(format!("`mainstay start {name}` starts it again")),
            HoldKind::Waiting | HoldKind::Held => {
                Refusal::new(RefusalCode::Degraded, format!("server {name} can't be used: {brief}"))
                    .hint(
                        "other servers go on working; `mainstay graph` shows what is in the way"
                            .to_owned(),
                    )
            }
        };
        let refusal = match self.holding.shown_since(hold.kind.state()) {
            Some(since) => refusal.since(date_of(since)),
            None => refusal,
        };
        Some(refusal.server(name))
    }

    /// Wakes everybody who looks at the state of the server.
    fn note_order(self: &Arc<Self>) {
        if let Some(primary) = self.primary.get() {
            primary.ordered.notify_one();
            self.watch_condition(primary, false);
            primary.note_change();
        }
        self.holding.tell_change();
    }

    /// Ends the instances beside the primary one, once their calls have finished or after `drain`.
    fn end_others(self: &Arc<Self>, drain: Duration) {
        let pool = self.clone();
        let others = self.instances().into_iter().filter(|other| !self.is_primary(other));
        let others: Vec<_> = others.collect();
        self.tasks.spawn(async move {
            let unused = async {
                for other in &others {
                    other.until_unused().await;
                }
            };
            tokio::select! {
                _ = tokio::time::timeout(drain, unused) => {}
                () = pool.closing.cancelled() => {}
            }
            for other in &others {
                if other.supplies_lists() {
                    pool.stop_base(other);
                }
            }
            pool.end_members();
        });
    }
}
