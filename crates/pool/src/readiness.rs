//! How long it makes sense to wait for an instance, and what to say when it does not.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_model::status::InstanceState;
use mainstay_model::{Refusal, RefusalCode};

use crate::instance::{Instance, ReadyRun};
use crate::pool::Pool;

/// How long a call waits for a server that has never been ready: loading can take minutes, and a
/// quick no with a time to come back is worth more than a call that hangs until its deadline.
pub(crate) const LOADING_WAIT_MAX: Duration = Duration::from_secs(10);
/// A server that will be tried again this soon is waited for.
const BACKOFF_WAIT_MAX: Duration = Duration::from_secs(3);
/// A server that has been away for longer is not waited for: the call fails at once.
const ABSENCE_WAIT_MAX: Duration = Duration::from_secs(10);

impl Pool {
    pub(crate) async fn wait_ready(
        &self,
        instance: &Instance,
        deadline: Instant,
    ) -> Result<Arc<ReadyRun>, Refusal> {
        if let Some(run) = instance.usable() {
            return Ok(run);
        }
        let mut changed = instance.changed.subscribe();
        let loading_until = Instant::now() + LOADING_WAIT_MAX;
        loop {
            changed.borrow_and_update();
            if let Some(run) = instance.usable() {
                return Ok(run);
            }
            let until = self.wait_deadline(instance, deadline, loading_until)?;
            if tokio::time::timeout_at(until.into(), changed.changed()).await.is_err()
                && until >= deadline.min(loading_until)
            {
                return Err(self.not_ready(instance));
            }
        }
    }

    /// Until when it makes sense to wait for this instance.
    fn wait_deadline(
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
            _ if instance.stop.is_cancelled() => Err(self.not_ready(instance)),
            InstanceState::Ready
            | InstanceState::Starting
            | InstanceState::Handshaking
            | InstanceState::Stopped => Ok(deadline.min(loading_until)),
            // It was there a moment ago and may be back in the next.
            InstanceState::BackingOff
                if retry_at.is_some_and(|at| {
                    at.saturating_duration_since(Instant::now()) < BACKOFF_WAIT_MAX && at < deadline
                }) && instance.unready_for(Instant::now()) < ABSENCE_WAIT_MAX =>
            {
                Ok(deadline.min(loading_until))
            }
            InstanceState::BackingOff
            | InstanceState::CrashLooping
            | InstanceState::Failed
            | InstanceState::Draining => Err(self.not_ready(instance)),
        }
    }

    /// Whether calls may wait for an instance that is not ready now.
    pub(crate) fn is_worth_waiting_for(&self, instance: &Instance) -> bool {
        let later = Instant::now() + LOADING_WAIT_MAX;
        self.wait_deadline(instance, later, later).is_ok()
    }

    /// Why an instance can't be used now.
    pub(crate) fn not_ready(&self, instance: &Instance) -> Refusal {
        let lifecycle = instance.lifecycle.lock();
        let (state, retry_at) = (lifecycle.state(), lifecycle.retry_at());
        let reason = lifecycle.reason().map(ToOwned::to_owned);
        drop(lifecycle);
        if let Some(why) = self.dialects.of(instance.key().era).refusal() {
            return self.unavailable(&why);
        }
        let name = &self.spec.name;
        let because = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        let loading = matches!(
            state,
            InstanceState::Starting | InstanceState::Handshaking | InstanceState::Stopped
        );
        let was_never_ready = instance.unready_for(Instant::now()) == Duration::MAX;
        if loading && was_never_ready {
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

    pub(crate) fn unavailable(&self, why: &str) -> Refusal {
        let name = &self.spec.name;
        Refusal::new(RefusalCode::ServerUnavailable, format!("server {name} can't be used: {why}"))
            .server(name)
            .hint("`mainstay status` shows its state and last output")
    }
}
