//! What a service shows of itself, and what people are told of it.

use std::time::Instant;

use mainstay_model::Condition;
use mainstay_model::settings::ServiceKind;
use mainstay_model::status::InstanceState;
use mainstay_supervisor::condition::{Shift, Sight as ConditionSight};
use mainstay_telemetry::events::NodeChanged;

use super::Service;

/// The status of a service.
#[derive(Debug, Clone)]
pub struct ServiceStatus {
    pub kind: ServiceKind,
    pub state: InstanceState,
    pub since: Instant,
    /// Why it is not ready, for the operator.
    pub reason: Option<String>,
    /// The same without what only the operator may know.
    pub brief_reason: Option<String>,
    /// The first and the last lines of the run before, oldest first.
    pub last_output: Vec<String>,
    pub retry_at: Option<Instant>,
    pub restarts: u64,
    pub pid: Option<u32>,
    /// Whether it was ready since the daemon started.
    pub been_ready: bool,
}

impl Service {
    /// The status of the service, read now.
    pub fn status(&self) -> ServiceStatus {
        let sight = self.sight();
        let restarts = self.lifecycle.lock().restarts();
        let facts = self.facts.lock();
        ServiceStatus {
            kind: self.spec().kind,
            state: sight.state,
            since: sight.since,
            reason: sight.reason,
            brief_reason: sight.brief,
            last_output: facts.last_output.clone(),
            retry_at: sight.retry_at,
            restarts,
            pid: facts.pid,
            been_ready: facts.been_ready,
        }
    }

    /// Makes known what changed for those who use the service.
    pub(super) fn watch_condition(&self) {
        let mut watch = self.watch.lock();
        let sight = ConditionSight::of(&self.lifecycle.lock(), false);
        let sight = ConditionSight { state: self.holding.shown_state(sight.state), ..sight };
        // Under the lock, so that changes are made known in their order.
        if let Some(Shift { from, to, lasted, .. }) = watch.see_primary(Instant::now(), sight) {
            let (mut reason, mut brief_reason) = self.reasons();
            let last_output = self.facts.lock().last_output.join("\n");
            if to.is_trouble() && to != Condition::Degraded && !last_output.is_empty() {
                reason = reason.map(|reason| format!("{reason}\n{last_output}"));
            }
            if self.stop.is_cancelled() {
                (reason, brief_reason) = (None, None);
            } else if from.is_trouble() && matches!(to, Condition::Ready | Condition::Idle) {
                reason = Some(format!("after {}", mainstay_telemetry::events::rounded(lasted)));
                brief_reason.clone_from(&reason);
            }
            let (name, instance) = (&self.name, Some(self.id));
            NodeChanged { name, instance, from, to, reason, brief_reason }.emit(&self.metrics);
        }
    }
}
