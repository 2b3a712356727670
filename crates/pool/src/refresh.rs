//! Lists that are fetched outside of the schedule of a run, and what becomes of every list that was
//! fetched.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use mainstay_model::status::InstanceState;
use mainstay_protocol::Era;
use mainstay_protocol::list::ListKind;
use mainstay_supervisor::list_refresh::RefreshOutcome;
use mainstay_upstream::facts::{List, ListFailure};
use mainstay_upstream::handshake::{self, Patience};

use crate::instance::{Instance, ReadyRun};
use crate::list_age::ListAge;
use crate::pool::Pool;

/// A fetch ends this long before its caller gives up, so that its failure is recorded.
const MARGIN: Duration = Duration::from_millis(50);
/// The time limit of a fetch that nobody waits for.
const BACKGROUND_DEADLINE: Duration = Duration::from_secs(30);

impl Pool {
    /// The number of calls that have ended. Each may have changed a list.
    pub(crate) fn calls_ended(&self) -> u64 {
        self.calls_ended.load(Ordering::Acquire)
    }

    /// Whether a list has to be fetched before it is used. If it is only due to be fetched again, that
    /// begins in the background.
    pub fn must_refresh_list(self: &Arc<Self>, era: Era, kind: ListKind) -> bool {
        if self.facts(era).is_none_or(|facts| !facts.capabilities.has_list(kind)) {
            return false;
        }
        let Some((_, run)) = self.unused_base(era) else { return false };
        // A server that fails its calls would only hold up who asks for the list.
        if !self.breaker.is_closed() {
            return false;
        }
        let now = Instant::now();
        if run.is_fresh(kind, now) {
            return false;
        }
        let age = run.ages.age(kind, self.calls_ended(), now);
        if age == ListAge::Aged && !run.ages.is_under_way(kind) {
            let pool = self.clone();
            self.tasks.spawn(async move {
                tokio::select! {
                    () = pool.refresh_list(era, kind, now + BACKGROUND_DEADLINE) => {}
                    () = pool.closing.cancelled() => {}
                }
            });
        }
        age == ListAge::Outdated
    }

    /// Fetches a list again, unless the server announces changes or the TTL of the list has not passed. The
    /// old list stays if this fails or takes until `deadline`. Those who ask at the same time share a fetch.
    ///
    /// Nobody waits for a list that fails: it is fetched in the background. Fetching a list does not count as
    /// use of the instance, so an idle instance is stopped anyway.
    pub async fn refresh_list(self: &Arc<Self>, era: Era, kind: ListKind, deadline: Instant) {
        if self.facts(era).is_none_or(|facts| !facts.capabilities.has_list(kind)) {
            return;
        }
        // An instance that was stopped because it was idle is not started for a list.
        let Some((base, run)) = self.unused_base(era) else { return };
        if run.is_fresh(kind, Instant::now()) || run.refreshes.is_pending(kind) {
            return;
        }
        let asked = Instant::now();
        let turn = tokio::time::timeout_at(deadline.into(), run.ages.turn(kind)).await;
        if turn.is_ok()
            && !run.ages.has_begun_since(kind, asked)
            && !run.refreshes.is_pending(kind)
            && let Err(failure) = self.fetch(&base, &run, kind, deadline).await
        {
            tracing::debug!(server = %self.name, %failure, "list is not refreshed");
        }
    }

    /// Fetches a list again, because an answer has shown that it is outdated, or the operator wants it.
    ///
    /// # Errors
    /// [`ListFailure`] if the server does not list anything usable by `deadline`.
    pub async fn refetch_list(
        self: &Arc<Self>,
        era: Era,
        kind: ListKind,
        deadline: Instant,
    ) -> Result<(), ListFailure> {
        match self.ready_base_or_start(era, deadline).await {
            Some((base, run)) => self.fetch(&base, &run, kind, deadline).await,
            None => Ok(()),
        }
    }

    async fn fetch(
        &self,
        base: &Arc<Instance>,
        run: &ReadyRun,
        kind: ListKind,
        deadline: Instant,
    ) -> Result<(), ListFailure> {
        let left = deadline.saturating_duration_since(Instant::now()).saturating_sub(MARGIN);
        let patience = Patience { page: left, whole: left };
        run.ages.begin(kind, self.calls_ended());
        // If the link is lost, the run ends.
        let Ok(list) = handshake::list(&run.link, kind, patience).await else { return Ok(()) };
        match list.gaps.failed.clone() {
            // The caller's deadline is shorter than that of background fetches.
            Some(slow @ (ListFailure::Silent { .. } | ListFailure::Slow { .. })) => {
                run.refreshes.mark(&[kind]);
                Err(slow)
            }
            failed => {
                let outcome = self.take_list(base, run, kind, list);
                run.refreshes.note(kind, outcome);
                failed.map_or(Ok(()), Err)
            }
        }
    }

    /// Takes over a list that was just fetched, and publishes it if it differs. Clients are notified only
    /// of a real change, because they fetch the list again.
    pub(crate) fn take_list(
        &self,
        instance: &Arc<Instance>,
        run: &ReadyRun,
        kind: ListKind,
        list: List,
    ) -> RefreshOutcome {
        let _in_turn = run.publishing.lock();
        let before = run.facts.load_full();
        run.set_list(kind, list);
        let now = run.facts.load_full();
        if before.lists.get(kind) != now.lists.get(kind) {
            self.publish_facts(instance, &now, &[kind]);
        }
        match (now.lists.failure(kind), before.lists.of(kind) == now.lists.of(kind)) {
            (Some(_), _) => RefreshOutcome::Failed,
            (None, true) => RefreshOutcome::Same,
            (None, false) => RefreshOutcome::Changed,
        }
    }

    /// Publishes the facts of a run that is ready.
    pub(crate) fn publish_run(&self, instance: &Arc<Instance>, run: &ReadyRun) {
        let _in_turn = run.publishing.lock();
        self.publish_facts(instance, &run.facts.load_full(), &[]);
    }

    /// The base instance with its run, if it is ready. Starts a base instance that was stopped or rests
    /// because it was idle, and waits for it.
    async fn ready_base_or_start(
        self: &Arc<Self>,
        era: Era,
        deadline: Instant,
    ) -> Option<(Arc<Instance>, Arc<ReadyRun>)> {
        if self.base(era).is_some_and(|base| base.state() != InstanceState::Idle) {
            return self.unused_base(era);
        }
        let second = self.base_or_start(era).ok()?;
        let run = self.wait_ready(&second, deadline).await.ok()?;
        Some((second, run))
    }
}
