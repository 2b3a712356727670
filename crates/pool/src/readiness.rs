//! How long a call waits for an instance that is not ready, and the refusal when it stops waiting.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_model::status::InstanceState;
use mainstay_model::{Refusal, RefusalCode};

use crate::instance::{Instance, ReadyRun};
use crate::pool::Pool;

/// The longest wait of a call for a server that has never been ready. Loading can take minutes, and a quick
/// refusal with a retry time is better than a call that hangs until its deadline.
pub(crate) const LOADING_WAIT_MAX: Duration = Duration::from_secs(10);
/// A call waits for a server whose next restart is due within this time.
const BACKOFF_WAIT_MAX: Duration = Duration::from_secs(3);
/// A call does not wait for a server that was lost longer ago than this.
const ABSENCE_WAIT_MAX: Duration = Duration::from_secs(10);

impl Pool {
    /// Waits until an instance is ready.
    ///
    /// # Errors
    /// A refusal if the instance is not ready by `deadline`, or waiting makes no sense.
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

    /// Until when a call should wait for the instance.
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
            // The instance was ready a moment ago and may be ready again soon.
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

    /// Whether calls should wait for an instance that is not ready now.
    pub(crate) fn is_worth_waiting_for(&self, instance: &Instance) -> bool {
        let later = Instant::now() + LOADING_WAIT_MAX;
        self.wait_deadline(instance, later, later).is_ok()
    }

    /// The refusal of a call to an instance that is not ready.
    pub(crate) fn not_ready(&self, instance: &Instance) -> Refusal {
        let lifecycle = instance.lifecycle.lock();
        let (state, retry_at) = (lifecycle.state(), lifecycle.retry_at());
        drop(lifecycle);
        // Anybody may be the client, so it gets no path and no output.
        let reason = instance.brief_reason();
        if let Some(why) = self.dialects.get(instance.key().era).refusal() {
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
                "a start may take up to {most:?}; `mainstay status` shows the progress"
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
            .hint(format!("`mainstay status {name}` shows why, with its last output"))
    }
}
