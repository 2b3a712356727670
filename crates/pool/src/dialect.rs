//! What a server is to clients of one era: a server that knows both ways of speaking has two
//! dialects, each on instances of its own, since many a process is pinned by the first words it hears.
//!
//! The instance that the daemon starts is the first dialect. Whether there is a second is found out when
//! the first client wants it: an instance is made for it, and kept if it answers. One that does not is
//! not asked again before the next run of the first.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use mainstay_model::Refusal;
use mainstay_model::settings::RevisionChoice;
use mainstay_protocol::list::ListKind;
use mainstay_protocol::{Era, Revision};
use mainstay_telemetry::events::{NotSpoken, ToolLeftOut};
use mainstay_upstream::facts::Facts;
use parking_lot::Mutex;

use crate::instance::{Instance, ReadyRun};
use crate::key::LeaseKey;
use crate::pool::Pool;

/// Whether a server can be offered to clients of an era.
#[derive(Debug)]
pub enum EraSupport {
    Yes,
    /// It does not speak to them, and the configuration or the server said so.
    No,
    /// Not known by the deadline: why.
    NotYet(Refusal),
}

#[derive(Debug, Default)]
pub(crate) struct Dialects {
    legacy: Dialect,
    modern: Dialect,
}

#[derive(Debug, Default)]
pub(crate) struct Dialect {
    /// The instance that supplies the lists, while there is one.
    pub(crate) base: ArcSwapOption<Instance>,
    /// What the server last said about itself; kept while it is away.
    pub(crate) facts: ArcSwapOption<Facts>,
    /// Held while the instance that supplies the lists is made.
    pub(crate) starting: Mutex<()>,
    /// It is known not to have this dialect.
    refused: ArcSwapOption<RefusedDialect>,
}

#[derive(Debug)]
struct RefusedDialect {
    why: String,
    /// Until it is asked again; none: not in this run of the first dialect.
    until: Option<Instant>,
}

// === impl Dialects ===

impl Dialects {
    pub(crate) fn of(&self, era: Era) -> &Dialect {
        match era {
            Era::Legacy => &self.legacy,
            Era::Modern => &self.modern,
        }
    }
}

// === impl Dialect ===

impl Dialect {
    /// Why the server does not have it, if that is known.
    pub(crate) fn refusal(&self) -> Option<String> {
        let refused = self.refused.load();
        let refused = refused.as_ref()?;
        refused.until.is_none_or(|until| Instant::now() < until).then(|| refused.why.clone())
    }

    /// The instance is no longer the one that supplies the lists.
    pub(crate) fn leave(&self, instance: &Instance) {
        if self.base.load().as_ref().is_some_and(|base| base.id == instance.id) {
            self.base.store(None);
        }
    }
}

// === impl Pool ===

impl Pool {
    /// What the server last said about itself to clients of this era, also while it is away.
    pub fn facts(&self, era: Era) -> Option<Arc<Facts>> {
        self.dialects.of(era).facts.load_full()
    }

    /// The instance that supplies the lists for clients of this era, while there is one.
    pub fn base(&self, era: Era) -> Option<Arc<Instance>> {
        self.dialects.of(era).base.load_full()
    }

    /// That instance with its present run, if it can take a call now; it counts as used.
    pub fn ready_base(&self, era: Era) -> Option<(Arc<Instance>, Arc<ReadyRun>)> {
        let base = self.base(era)?;
        let run = base.usable().filter(|run| run.era == era)?;
        // The first dialect is never ended for want of use.
        if !self.is_primary(&base) {
            base.touch(Instant::now());
        }
        Some((base, run))
    }

    /// The era of the dialect that the daemon starts; before its first run, the one that is
    /// tried first.
    pub fn era(&self) -> Era {
        match self.primary.get() {
            Some(primary) => primary.key().era,
            None => self.first_era(),
        }
    }

    /// [`Self::facts`] of the dialect that the daemon starts.
    pub fn primary_facts(&self) -> Option<Arc<Facts>> {
        self.facts(self.era())
    }

    /// The instance that the daemon starts.
    pub fn primary_base(&self) -> Option<&Arc<Instance>> {
        self.primary.get()
    }

    /// Whether clients of this era can be served. What the configuration leaves open is found
    /// out, which may take a start of the server; many may ask at once.
    pub async fn detect(self: &Arc<Self>, era: Era, deadline: Instant) -> EraSupport {
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
            Ok(second) => self.await_detection(era, &second, deadline).await,
            Err(refusal) => EraSupport::NotYet(refusal),
        }
    }

    /// Waits until the instance for a second dialect has answered, or is known not to.
    async fn await_detection(&self, era: Era, second: &Instance, deadline: Instant) -> EraSupport {
        let dialect = self.dialects.of(era);
        let mut changed = second.changed.subscribe();
        loop {
            changed.borrow_and_update();
            if dialect.facts.load().is_some() {
                return EraSupport::Yes;
            }
            if dialect.refusal().is_some() {
                return EraSupport::No;
            }
            if tokio::time::timeout_at(deadline.into(), changed.changed()).await.is_err() {
                return EraSupport::NotYet(self.not_ready(second));
            }
        }
    }

    /// Refuses what is known not to be spoken.
    pub(crate) fn check_era(&self, era: Era) -> Result<(), Refusal> {
        let only = |spoken: Era| self.unavailable(&only_speaks(spoken));
        match self.configured() {
            Some(configured) if configured != era => return Err(only(configured)),
            Some(_) => return Ok(()),
            None => {}
        }
        if let Some(why) = self.dialects.of(era).refusal() {
            return Err(self.unavailable(&why));
        }
        // What refused `initialize` has no second dialect: it was asked for the first one first.
        let modern_only =
            era == Era::Legacy && self.era() == Era::Modern && self.facts(Era::Modern).is_some();
        // Those are older than the question.
        let transport = self.host.transport();
        let over_sse =
            era == Era::Modern && transport.is_some_and(|transport| !transport.speaks_modern);
        match (modern_only, over_sse) {
            (true, _) => Err(only(Era::Modern)),
            (_, true) => Err(only(Era::Legacy)),
            (false, false) => Ok(()),
        }
    }

    /// Why clients of this era can't use a server that others can use. None: they can, or that
    /// is not known.
    pub fn unsupported_reason(&self, era: Era) -> Option<String> {
        let spoken = other(era);
        let only_others = self.facts(spoken).is_some() && self.facts(era).is_none();
        if !only_others || self.check_era(era).is_ok() {
            return None;
        }
        let speaks = match self.configured() {
            Some(_) => "is configured to speak",
            None => "speaks",
        };
        Some(match spoken {
            Era::Modern => format!(
                "{speaks} {} only: clients of older revisions can't use it yet",
                Revision::LATEST
            ),
            Era::Legacy => format!(
                "{speaks} revisions up to {} only: clients of {} can't use it yet",
                Revision::LATEST_LEGACY,
                Revision::LATEST
            ),
        })
    }

    /// Refuses a run that turned out to speak otherwise than its caller.
    pub(crate) fn check_run_era(&self, run: &ReadyRun, era: Era) -> Result<(), Refusal> {
        if run.era == era { Ok(()) } else { Err(self.unavailable(&only_speaks(run.era))) }
    }

    /// Whether it is still to be found out if the server has the dialect this instance was made for.
    pub(crate) fn is_undetected(&self, instance: &Instance) -> bool {
        self.is_second(instance) && self.facts(instance.key().era).is_none()
    }

    /// Whether this instance is for another dialect than the first, which the configuration leaves open.
    pub(crate) fn is_second(&self, instance: &Instance) -> bool {
        self.configured().is_none() && instance.key().era != self.era()
    }

    /// Whether this instance is the one that the daemon starts.
    pub(crate) fn is_primary(&self, instance: &Instance) -> bool {
        self.primary.get().is_some_and(|primary| primary.id == instance.id)
    }

    /// The server does not have the dialect that this instance was made for. It is asked again after
    /// `for_now`, or in the next run of the first dialect.
    pub(crate) fn mark_unsupported(
        &self,
        instance: &Arc<Instance>,
        reason: &str,
        for_now: Option<Duration>,
    ) {
        let era = instance.key().era;
        let dialect = self.dialects.of(era);
        let why = format!("{}: {reason}", only_speaks(other(era)));
        let until = for_now.map(|wait| Instant::now() + wait);
        dialect.refused.store(Some(Arc::new(RefusedDialect { why, until })));
        let had = dialect.facts.swap(None).is_some();
        let server = &self.spec.name;
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

    /// Keeps what an instance that supplies lists says. `kinds`: what has changed in a run; empty at
    /// its beginning.
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
        let dialect = self.dialects.of(era);
        if dialect.base.load().as_ref().is_none_or(|base| base.id != instance.id) {
            return;
        }
        if self.is_primary(instance) && kinds.is_empty() {
            // It may be another program by now.
            dialect.refused.store(None);
            self.dialects.of(other(era)).refused.store(None);
        }
        let before = dialect.facts.swap(Some(facts.clone()));
        self.log_unusable_tools(before.as_deref(), facts);
        self.log_gaps(before.as_deref(), facts, kinds.is_empty());
        let differs = |kind: &ListKind| {
            before.as_ref().is_none_or(|before| before.lists.of(*kind) != facts.lists.of(*kind))
        };
        // What a server says has changed is passed on, even where we can't see in what.
        let changed: Vec<_> = match kinds {
            [] => ListKind::ALL.into_iter().filter(differs).collect(),
            said => said.to_vec(),
        };
        if era == Era::Legacy {
            let changed = ListKind::ALL.iter().any(differs);
            self.record_base_lists(facts, changed);
        }
        self.server_metrics
            .know_tools(facts.lists.of(ListKind::Tools).iter().map(|tool| &*tool.key));
        if let (Some(observer), false) = (self.observer(), changed.is_empty()) {
            observer.lists_changed(&self.spec.name, era, &changed);
        }
    }

    /// Says once which tools are left out.
    fn log_unusable_tools(&self, before: Option<&Facts>, now: &Facts) {
        let unusable = now.lists.unusable(ListKind::Tools);
        if before.is_none_or(|before| before.lists.unusable(ListKind::Tools) != unusable) {
            let server = &self.spec.name;
            for (tool, reason) in unusable {
                ToolLeftOut { server, tool, reason }.emit(&self.metrics);
            }
        }
    }

    /// The first dialect turned out to be of the other era, or has changed to it.
    fn switch_era(&self, instance: &Arc<Instance>, era: Era) {
        let before = instance.key();
        let after = LeaseKey { era, ..(*before).clone() };
        instance.set_key(after);
        self.dialects.of(era).base.store(Some(instance.clone()));
        let left = self.dialects.of(before.era);
        left.leave(instance);
        let had = left.facts.swap(None).is_some();
        if let (Some(observer), true) = (self.observer(), had) {
            observer.lists_changed(&self.spec.name, before.era, &ListKind::ALL);
        }
    }

    /// The era that the server is configured to speak, if it is.
    fn configured(&self) -> Option<Era> {
        match self.spec.revision {
            RevisionChoice::Auto => None,
            RevisionChoice::Legacy => Some(Era::Legacy),
            RevisionChoice::Modern => Some(Era::Modern),
        }
    }

    pub(crate) fn first_era(&self) -> Era {
        self.configured().unwrap_or(Era::Legacy)
    }
}

fn only_speaks(era: Era) -> String {
    match era {
        Era::Legacy => {
            format!("it speaks only revisions up to {}", Revision::LATEST_LEGACY)
        }
        Era::Modern => format!(
            "it speaks only {}, and clients of revisions up to {} are not served from it",
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
