//! The eras of a server. A server that supports both eras has two dialects, each on instances of its own,
//! because the first request fixes the era of many processes.
//!
//! The primary instance, which the daemon starts, speaks the primary dialect. The second dialect is
//! detected when the first client of that era arrives, or before, if the server is slow (`second_era`): an
//! instance is started for it and kept if its handshake succeeds. If it fails, detection is not repeated before the next run of the primary instance.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use mainstay_model::Refusal;
use mainstay_protocol::list::ListKind;
use mainstay_protocol::{Era, Revision};
use mainstay_telemetry::events::{NotSpoken, ToolLeftOut};
use mainstay_upstream::facts::Facts;
use mainstay_upstream::handshake;

use crate::dialect::RefusedDialect;
use crate::instance::{Instance, ReadyRun};
use crate::key::LeaseKey;
use crate::pool::Pool;
use crate::readiness::{WAITED_MIN, Wait};

/// Whether a server supports an era.
#[derive(Debug)]
pub enum EraSupport {
    Yes,
    /// Not supported, according to the configuration or the server.
    No,
    /// Not detected by the deadline, with the reason.
    NotYet(Refusal),
}

// === impl Pool ===

impl Pool {
    /// The latest facts about the server in this era, even while it is unavailable.
    pub fn facts(&self, era: Era) -> Option<Arc<Facts>> {
        self.dialects.get(era).facts.load_full()
    }

    /// The base instance of this era, while there is one.
    pub fn base(&self, era: Era) -> Option<Arc<Instance>> {
        self.dialects.get(era).base.load_full()
    }

    /// The base instance with its current run, if it can take a call now. Marks it as used.
    pub fn ready_base(&self, era: Era) -> Option<(Arc<Instance>, Arc<ReadyRun>)> {
        let (base, run) = self.unused_base(era)?;
        // The primary instance has no idle timeout, unless the configuration says so.
        if self.rests_when_unused() || !self.is_primary(&base) {
            base.touch(Instant::now());
        }
        Some((base, run))
    }

    /// Like [`ready_base`](Self::ready_base), for requests of Mainstay's own, which don't count as use.
    pub(crate) fn unused_base(&self, era: Era) -> Option<(Arc<Instance>, Arc<ReadyRun>)> {
        let base = self.base(era)?;
        let run = base.usable().filter(|run| run.era == era)?;
        Some((base, run))
    }

    /// The era of the primary instance. Before its first run, the era that is tried first.
    pub fn era(&self) -> Era {
        match self.primary.get() {
            Some(primary) => primary.key().era,
            None => self.first_era(),
        }
    }

    /// The latest facts about the server in the primary era.
    pub fn primary_facts(&self) -> Option<Arc<Facts>> {
        self.facts(self.era())
    }

    /// The instance that the daemon starts.
    pub fn primary_base(&self) -> Option<&Arc<Instance>> {
        self.primary.get()
    }

    /// Whether the server supports this era. Detects it if necessary, which may start an instance.
    /// Concurrent calls share one detection.
    pub async fn detect(self: &Arc<Self>, era: Era, wait: Wait, deadline: Instant) -> EraSupport {
        if let Some(configured) = self.configured() {
            return if configured == era { EraSupport::Yes } else { EraSupport::No };
        }
        if self.facts(era).is_some() {
            return EraSupport::Yes;
        }
        let Some(primary) = self.primary.get() else {
            return EraSupport::NotYet(self.unavailable("it has not been started"));
        };
        if self.primary_facts().is_none()
            && let Err(refusal) = self.wait_ready(primary, deadline).await
        {
            return EraSupport::NotYet(refusal);
        }
        if self.era() == era {
            return EraSupport::Yes;
        }
        if self.check_era(era).is_err() {
            return EraSupport::No;
        }
        match self.base_or_start(era) {
            Ok(second) => self.await_detection(era, &second, wait, deadline).await,
            Err(refusal) => EraSupport::NotYet(refusal),
        }
    }

    /// Waits until detection with the instance `second` has a result.
    async fn await_detection(
        &self,
        era: Era,
        second: &Instance,
        wait: Wait,
        deadline: Instant,
    ) -> EraSupport {
        let dialect = self.dialects.get(era);
        let mut changed = second.changed.subscribe();
        let begun = Instant::now();
        loop {
            changed.borrow_and_update();
            if dialect.facts.load().is_some() {
                return EraSupport::Yes;
            }
            if dialect.refusal().is_some() {
                return EraSupport::No;
            }
            let in_vain = wait == Wait::Once && dialect.is_late.load(Ordering::Acquire);
            if in_vain || tokio::time::timeout_at(deadline.into(), changed.changed()).await.is_err()
            {
                if begun.elapsed() >= WAITED_MIN {
                    dialect.is_late.store(true, Ordering::Release);
                }
                return EraSupport::NotYet(self.not_ready(second));
            }
        }
    }

    /// Refuses an era that the server is known not to support.
    pub(crate) fn check_era(&self, era: Era) -> Result<(), Refusal> {
        let only = |spoken: Era| self.unavailable(&only_speaks(spoken));
        match self.configured() {
            Some(configured) if configured != era => return Err(only(configured)),
            Some(_) => return Ok(()),
            None => {}
        }
        if let Some(why) = self.dialects.get(era).refusal() {
            return Err(self.unavailable(&why));
        }
        // `initialize` was tried first, so a server that is modern has refused it.
        let modern_only =
            era == Era::Legacy && self.era() == Era::Modern && self.facts(Era::Modern).is_some();
        // HTTP+SSE is older than the modern era.
        let transport = self.host.transport();
        let over_sse =
            era == Era::Modern && transport.is_some_and(|transport| !transport.speaks_modern);
        match (modern_only, over_sse) {
            (true, _) => Err(only(Era::Modern)),
            (_, true) => Err(only(Era::Legacy)),
            (false, false) => Ok(()),
        }
    }

    /// Why clients of this era can't use a server that clients of the other era can use. `None` if they
    /// can, or if that is not known.
    pub fn unsupported_reason(&self, era: Era) -> Option<String> {
        let spoken = other(era);
        let only_others = self.facts(spoken).is_some() && self.facts(era).is_none();
        if !only_others || self.check_era(era).is_ok() {
            return None;
        }
        let speaks = match self.configured() {
            Some(_) => "is configured to support",
            None => "supports",
        };
        Some(match spoken {
            Era::Modern => format!(
                "{speaks} only {}: clients of older revisions can't use it yet",
                Revision::LATEST
            ),
            Era::Legacy => format!(
                "{speaks} only revisions up to {}: clients of {} can't use it yet",
                Revision::LATEST_LEGACY,
                Revision::LATEST
            ),
        })
    }

    /// Refuses a run of another era than the caller's.
    pub(crate) fn check_run_era(&self, run: &ReadyRun, era: Era) -> Result<(), Refusal> {
        if run.era == era { Ok(()) } else { Err(self.unavailable(&only_speaks(run.era))) }
    }

    /// Whether the instance was started to detect a dialect, and the result is still open.
    pub(crate) fn is_undetected(&self, instance: &Instance) -> bool {
        self.is_second(instance) && self.facts(instance.key().era).is_none()
    }

    /// Whether the instance belongs to the second dialect of a server whose configuration leaves the era
    /// open.
    pub(crate) fn is_second(&self, instance: &Instance) -> bool {
        self.configured().is_none() && instance.key().era != self.era()
    }

    /// Whether the instance is the one that the daemon starts.
    pub(crate) fn is_primary(&self, instance: &Instance) -> bool {
        self.primary.get().is_some_and(|primary| primary.id == instance.id)
    }

    /// Records that the server does not support the era of this instance. Detection may be repeated after
    /// `for_now`, or in the next run of the primary instance. `for_good` tells whether the server itself has
    /// answered so.
    pub(crate) fn mark_unsupported(
        &self,
        instance: &Arc<Instance>,
        reason: &str,
        for_now: Option<Duration>,
        for_good: bool,
    ) {
        let era = instance.key().era;
        let dialect = self.dialects.get(era);
        // `reason` may quote the server, so it is only logged.
        let why = only_speaks(other(era));
        let until = for_now.map(|wait| Instant::now() + wait);
        dialect.refused.store(Some(Arc::new(RefusedDialect { why, until, for_good })));
        dialect.is_late.store(false, Ordering::Release);
        let had = dialect.facts.swap(None).is_some();
        let server = &self.name;
        let revision = match era {
            Era::Legacy => Revision::LATEST_LEGACY,
            Era::Modern => Revision::LATEST,
        };
        NotSpoken { server, instance: instance.id, revision: revision.as_str(), reason }
            .emit(&self.metrics);
        self.stop_base(instance);
        if let (Some(observer), true) = (self.observer(), had) {
            observer.lists_changed(server, era, &ListKind::ALL);
        }
    }

    /// Publishes the facts of a base instance. `kinds` names the lists that were fetched again in a run;
    /// it is empty at the start of a run.
    pub(crate) fn publish_facts(
        &self,
        instance: &Arc<Instance>,
        facts: &Arc<Facts>,
        kinds: &[ListKind],
    ) {
        if !instance.supplies_lists() {
            return self.record_client_lists(instance, facts);
        }
        let era = facts.revision.era();
        if instance.key().era != era {
            self.switch_era(instance, era);
        }
        let dialect = self.dialects.get(era);
        if dialect.base.load().as_ref().is_none_or(|base| base.id != instance.id) {
            return;
        }
        if self.is_primary(instance) && kinds.is_empty() {
            // The program may have been replaced.
            dialect.refused.store(None);
            self.dialects.get(other(era)).refused.store(None);
        }
        self.is_late.store(false, Ordering::Release);
        dialect.is_late.store(false, Ordering::Release);
        let before = dialect.facts.swap(Some(facts.clone()));
        self.log_unusable_tools(before.as_deref(), facts);
        self.log_gaps(before.as_deref(), facts, kinds.is_empty());
        let differs = |kind: &ListKind| {
            before.as_ref().is_none_or(|before| before.lists.of(*kind) != facts.lists.of(*kind))
        };
        // Some servers announce a change whenever they are asked, so only a real one is passed on.
        let changed: Vec<_> = match kinds {
            [] if self.is_primary(instance) && self.holding.is_listed_again() => {
                ListKind::ALL.to_vec()
            }
            [] => ListKind::ALL.into_iter().filter(differs).collect(),
            fetched => fetched.iter().copied().filter(differs).collect(),
        };
        if era == Era::Legacy {
            let changed = ListKind::ALL.iter().any(differs);
            self.record_base_lists(facts, changed);
        }
        self.server_metrics
            .know_tools(facts.lists.of(ListKind::Tools).iter().map(|tool| &*tool.key));
        if let (Some(observer), false) = (self.observer(), changed.is_empty()) {
            observer.lists_changed(&self.name, era, &changed);
        }
    }

    /// Logs which tools can't be offered, once per change.
    fn log_unusable_tools(&self, before: Option<&Facts>, now: &Facts) {
        let unusable = now.lists.unusable(ListKind::Tools);
        if before.is_none_or(|before| before.lists.unusable(ListKind::Tools) != unusable) {
            let server = &self.name;
            for (tool, reason) in unusable {
                ToolLeftOut { server, tool, reason }.emit(&self.metrics);
            }
        }
    }

    /// Moves the primary instance to another era, because its handshake ended in that era.
    fn switch_era(&self, instance: &Arc<Instance>, era: Era) {
        let before = instance.key();
        let after = LeaseKey { era, ..(*before).clone() };
        instance.set_key(after);
        self.dialects.get(era).base.store(Some(instance.clone()));
        let left = self.dialects.get(before.era);
        left.leave(instance);
        let had = left.facts.swap(None).is_some();
        if let (Some(observer), true) = (self.observer(), had) {
            observer.lists_changed(&self.name, before.era, &ListKind::ALL);
        }
    }

    /// The configured era, if the configuration fixes it.
    pub(crate) fn configured(&self) -> Option<Era> {
        handshake::era_of(self.spec().revision)
    }

    pub(crate) fn first_era(&self) -> Era {
        self.configured().unwrap_or(Era::Legacy)
    }
}

fn only_speaks(era: Era) -> String {
    match era {
        Era::Legacy => {
            format!("it supports only revisions up to {}", Revision::LATEST_LEGACY)
        }
        Era::Modern => format!(
            "it supports only {}, and clients of revisions up to {} can't use it yet",
            Revision::LATEST,
            Revision::LATEST_LEGACY
        ),
    }
}

pub(crate) fn other(era: Era) -> Era {
    match era {
        Era::Legacy => Era::Modern,
        Era::Modern => Era::Legacy,
    }
}
