//! What keeps a server from running, although nothing is wrong with the server itself: it was stopped by hand, or
//! something that it needs is not ready. `supervisor::graph` decides that; here it is carried out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_model::status::InstanceState;
use mainstay_model::{Refusal, RefusalCode};
use mainstay_supervisor::graph::{Hold, HoldKind, Shortage};

use crate::pool::Pool;

/// A hold on a server, and since when.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) hold: Hold,
    pub(crate) since: Instant,
    /// The longest wait for calls in flight before instances are ended.
    pub(crate) drain: Duration,
}

/// Why a server is degraded, and since when.
#[derive(Debug)]
pub(crate) struct Short {
    pub(crate) shortage: Shortage,
    pub(crate) since: Instant,
}

/// Is called after each change of a server's state.
pub(crate) struct ChangeHook(Box<dyn Fn() + Send + Sync>);

/// How often it is checked whether the last call of a server that is held has ended.
const DRAIN_CHECK_EVERY: Duration = Duration::from_millis(20);

// === impl ChangeHook ===

impl ChangeHook {
    fn call(&self) {
        (self.0)();
    }
}

impl From<Box<dyn Fn() + Send + Sync>> for ChangeHook {
    fn from(hook: Box<dyn Fn() + Send + Sync>) -> Self {
        Self(hook)
    }
}

impl std::fmt::Debug for ChangeHook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ChangeHook")
    }
}

// === impl Pool ===

impl Pool {
    /// Calls `hook` after each change of the server's state. Only the first hook is used. It must not block.
    pub fn on_change(&self, hook: Box<dyn Fn() + Send + Sync>) {
        let _ = self.change_hook.set(hook.into());
    }

    /// Lets no new calls in and ends all instances once calls in flight have finished, or after `drain`. A pool
    /// that was not started yet starts no instance. A second hold replaces the first, and its words.
    pub fn hold(self: &Arc<Self>, hold: Hold, drain: Duration) {
        let before = self.held.load_full();
        let same = before.as_ref().filter(|before| before.hold.kind == hold.kind);
        let since = same.map_or_else(Instant::now, |before| before.since);
        self.held.store(Some(Arc::new(Held { hold, since, drain })));
        self.note_order();
        if before.is_none() {
            self.end_others(drain);
        }
    }

    /// Starts the server again after [`hold`](Self::hold). `afresh` forgets earlier losses, as for a start by hand.
    pub fn release(self: &Arc<Self>, afresh: bool) {
        if self.held.swap(None).is_some() {
            self.starts_afresh.store(afresh, std::sync::atomic::Ordering::Release);
            self.note_order();
        }
    }

    /// Notes that something the server needs is lost, or with `None` that nothing is.
    pub fn set_shortage(self: &Arc<Self>, shortage: Option<Shortage>) {
        let before = self.short.load_full();
        let since = before.as_ref().map_or_else(Instant::now, |before| before.since);
        self.short.store(shortage.map(|shortage| Arc::new(Short { shortage, since })));
        self.note_order();
    }

    /// Waits until no part of an instance is left of a pool that is held.
    pub async fn until_ended(&self) {
        while self.held.load().is_some()
            && (self.own_state() != InstanceState::Stopped || self.instances().len() > 1)
        {
            tokio::time::sleep(DRAIN_CHECK_EVERY).await;
        }
    }

    /// The state of the server by itself: that of its primary instance.
    pub fn own_state(&self) -> InstanceState {
        self.primary.get().map_or(InstanceState::Stopped, |primary| primary.state())
    }

    /// The state of the server, with what keeps it from running.
    pub fn state(&self) -> InstanceState {
        self.shown_state(self.own_state())
    }

    /// The state to show for a server whose own state is `own`.
    pub(crate) fn shown_state(&self, own: InstanceState) -> InstanceState {
        match own {
            InstanceState::Stopped => {
                self.held.load().as_ref().map_or(own, |held| held.hold.kind.state())
            }
            InstanceState::Ready if self.short.load().is_some() => InstanceState::Degraded,
            own => own,
        }
    }

    /// Since when the server is in the state `shown`, if a hold or a shortage made it so.
    pub(crate) fn shown_since(&self, shown: InstanceState) -> Option<Instant> {
        match shown {
            InstanceState::Degraded => self.short.load().as_ref().map(|short| short.since),
            InstanceState::Waiting | InstanceState::Held | InstanceState::Stopped => {
                self.held.load().as_ref().map(|held| held.since)
            }
            _ => None,
        }
    }

    /// Why the server is held or degraded, for the operator and in brief, if it is.
    pub(crate) fn outer_reason(&self) -> Option<(String, String)> {
        if let Some(held) = &*self.held.load() {
            return Some((held.hold.reason.clone(), held.hold.brief.clone()));
        }
        let short = self.short.load();
        let shortage = &short.as_ref()?.shortage;
        Some((shortage.reason.clone(), shortage.brief.clone()))
    }

    /// Whether the server does not run because of something else than itself.
    pub fn is_held(&self) -> bool {
        self.held.load().is_some()
    }

    /// Whether the server is held, and what holds it is not about to be ready.
    pub(crate) fn is_held_for_long(&self) -> bool {
        self.held.load().as_ref().is_some_and(|held| !held.hold.is_loading)
    }

    /// Waits until the server is not held any more, as long as a call waits for a server that starts.
    ///
    /// # Errors
    /// A refusal that says what holds the server.
    pub(crate) async fn until_released(&self, deadline: Instant) -> Result<(), Refusal> {
        let Some(primary) = self.primary.get() else { return Ok(()) };
        let mut changed = primary.changed.subscribe();
        let until = deadline.min(Instant::now() + self.loading_wait(Instant::now()));
        loop {
            changed.borrow_and_update();
            if self.held.load().is_none() {
                return Ok(());
            }
            let waited = tokio::time::timeout_at(until.into(), changed.changed());
            if self.is_held_for_long() || waited.await.is_err() {
                return self.held_refusal().map_or(Ok(()), Err);
            }
        }
    }

    /// The refusal of a call to a server that is held.
    pub(crate) fn held_refusal(&self) -> Option<Refusal> {
        let held = self.held.load_full()?;
        let (name, brief) = (&self.spec.name, &held.hold.brief);
        let refusal = match held.hold.kind {
            HoldKind::Stopped => Refusal::new(
                RefusalCode::ServerUnavailable,
                format!("server {name} can't be used: {brief}"),
            )
            .hint(format!("`mainstay start {name}` starts it again")),
            HoldKind::Waiting if held.hold.is_loading => Refusal::new(
                RefusalCode::ServerLoading,
                format!("server {name} is not ready yet: {brief}"),
            )
            .retry_after(Duration::from_secs(1))
            .hint("`mainstay graph` shows what is in the way".to_owned()),
            HoldKind::Waiting | HoldKind::Held => {
                Refusal::new(RefusalCode::Degraded, format!("server {name} can't be used: {brief}"))
                    .hint(
                        "other servers go on working; `mainstay graph` shows what is in the way"
                            .to_owned(),
                    )
            }
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
        self.tell_change();
    }

    /// Calls the hook for changes.
    pub(crate) fn tell_change(&self) {
        if let Some(hook) = self.change_hook.get() {
            hook.call();
        }
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
