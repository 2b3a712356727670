//! Makes known what changes for those who use the server. `supervisor::condition` decides what that is.

use std::sync::Arc;
use std::time::Instant;

use mainstay_model::Condition;
use mainstay_supervisor::condition::{Shift, Sight};
use mainstay_telemetry::events::{ServerChanged, rounded};

use crate::instance::Instance;
use crate::pool::Pool;

impl Pool {
    /// Looks at an instance after a step of its lifecycle. `finished`: it ended itself without an error.
    pub(crate) fn watch_condition(&self, instance: &Arc<Instance>, finished: bool) {
        let now = Instant::now();
        let is_primary = self.is_primary(instance);
        if !is_primary && instance.stop.is_cancelled() {
            return;
        }
        let mut watch = self.watch.lock();
        let shift = match is_primary {
            true => {
                let sight = Sight::of(&instance.lifecycle.lock(), finished);
                watch.see_primary(
                    now,
                    Sight { state: self.holding.shown_state(sight.state), ..sight },
                )
            }
            false => watch.see_other(now, instance.id, instance.lifecycle.lock().state()),
        };
        // Under the lock, so that changes are made known in their order.
        if let Some(shift) = shift.filter(|_| !self.is_quiet()) {
            self.make_known(instance, shift);
        }
    }

    /// Forgets an instance of which no part is left.
    pub(crate) fn forget_condition(&self, instance: &Arc<Instance>) {
        let mut watch = self.watch.lock();
        let shift = watch.forget(Instant::now(), instance.id);
        if let Some(shift) = shift.filter(|_| !self.is_quiet()) {
            self.make_known(instance, shift);
        }
    }

    fn make_known(&self, instance: &Arc<Instance>, shift: Shift) {
        let Shift { from, to, lasted, because_of } = shift;
        let own = || (instance.whole_reason(), instance.brief_reason());
        let outer = || self.holding.reason().map(|(whole, brief)| (Some(whole), Some(brief)));
        let (reason, brief_reason) = match (to.is_trouble(), from.is_trouble()) {
            (true, _) if because_of.is_some() => own(),
            (true, _) => outer().unwrap_or_else(own),
            (false, _) if to == Condition::Waiting => outer().unwrap_or_else(own),
            (false, true) if to != Condition::Stopped => {
                let after = Some(format!("after {}", rounded(lasted)));
                (after.clone(), after)
            }
            (false, _) if to == Condition::Stopped => outer().unwrap_or((None, None)),
            (false, _) => own(),
        };
        let of = |reason: Option<String>| match because_of {
            Some(other) => {
                let id = other.0;
                Some(reason.map_or(format!("instance {id}"), |why| format!("instance {id}: {why}")))
            }
            None => reason,
        };
        let (server, instance) = (&self.name, because_of.unwrap_or(instance.id));
        let (reason, brief_reason) = (of(reason), of(brief_reason));
        ServerChanged { server, instance, from, to, reason, brief_reason }.emit(&self.metrics);
    }
}
