//! Changes the settings of a pool while it runs, and lets another pool take its place.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use mainstay_model::Refusal;
use mainstay_model::settings::{Idle, ServerSpec};

use crate::lending::limits;
use crate::pool::Pool;

impl Pool {
    /// Puts settings in force that change nothing about how instances are started: those of `config::diff` that
    /// change in place. All others stay as they are in the pool.
    pub fn update(self: &Arc<Self>, spec: ServerSpec) {
        let (limits, stop) = (limits(&spec.pool), spec.stop);
        let keeps_running = spec.idle == Idle::Keep;
        self.breaker.set_spec(spec.breaker);
        self.use_spec(spec);
        self.host.set_stop(stop);
        self.change_roster(|roster, out| roster.set_limits(Instant::now(), limits, out));
        for instance in self.instances() {
            let policy = self.restart_policy(instance.id, self.is_primary(&instance));
            instance.lifecycle.lock().set_policy(policy);
            instance.ordered.notify_one();
        }
        if let Some(primary) = self.primary.get().filter(|_| keeps_running) {
            // One that rests does so no longer.
            primary.wanted.notify_one();
        }
        self.lending.changed.notify_one();
    }

    /// Makes its changes known from now on, or no longer: it is not in force yet, or no longer.
    pub fn set_quiet(&self, is_quiet: bool) {
        self.is_quiet.store(is_quiet, Ordering::Release);
    }

    pub(crate) fn is_quiet(&self) -> bool {
        self.is_quiet.load(Ordering::Acquire)
    }

    /// Leaves the place of this pool to another one: calls that find this one stopping are led there, and what
    /// people were told about the server goes on with it.
    pub fn hand_over(&self, successor: &Arc<Self>) {
        self.successor.store(Some(successor.clone()));
        self.set_quiet(true);
        successor.watch.lock().take_over(&self.watch.lock());
        successor.set_quiet(false);
        if let Some(primary) = successor.primary.get() {
            successor.watch_condition(primary, false);
        }
    }

    /// Has calls that wait here go on at the pool that takes the place of this one, once that is started.
    pub fn lead_on(&self) {
        if let Some(primary) = self.primary.get() {
            primary.note_change();
        }
    }

    /// Whether the pool was ended so that another one can take its place.
    pub(crate) fn is_handed_over(&self) -> bool {
        self.holding.held().is_some_and(|hold| hold.why.is_handed_over())
    }

    /// The refusal of a pool whose place another one has taken. Whoever is refused by it turns to that one.
    pub(crate) fn replaced(&self) -> Option<Refusal> {
        let is_left = self.is_handed_over() && self.successor().is_some();
        is_left.then(|| self.unavailable("it was replaced"))
    }

    /// The pool to use in place of this one, once it is stopping or ended for that.
    pub fn successor(&self) -> Option<Arc<Self>> {
        let mut last: Option<Arc<Self>> = None;
        loop {
            let at = last.as_deref().unwrap_or(self);
            if !at.is_stopping() && !at.is_handed_over() {
                return last;
            }
            // Before it is started, it has nothing to wait for.
            let next = at.successor.load_full().filter(|next| next.primary.get().is_some());
            match next {
                Some(next) => last = Some(next),
                None => return last,
            }
        }
    }
}
