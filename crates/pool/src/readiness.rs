//! How long a request waits for an instance that is not ready, and the refusal when it stops waiting.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use mainstay_model::settings::Lack;
use mainstay_model::status::InstanceState;
use mainstay_model::{Refusal, RefusalCode};
use mainstay_protocol::Era;

use crate::instance::{Instance, ReadyRun};
use crate::pool::Pool;

/// Whether a request waits for what an earlier one has waited for in vain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    Always,
    /// Only the first requests wait.
    Once,
}

/// The longest wait of a call for a server that is starting. Loading can take minutes, and a quick refusal
/// with a retry time is better than a call that hangs until its deadline.
pub const LOADING_WAIT_MAX: Duration = Duration::from_secs(5);
/// The longest wait of a call for a server whose start usually ends within this time.
const NEARLY_DONE_WAIT_MAX: Duration = Duration::from_secs(10);
/// A call waits for a server whose next restart is due within this time.
const BACKOFF_WAIT_MAX: Duration = Duration::from_secs(3);
/// A call does not wait for a server that was lost longer ago than this.
const ABSENCE_WAIT_MAX: Duration = Duration::from_secs(10);
/// A wait of at least this length that fails counts as in vain: later requests don't wait for the same.
pub(crate) const WAITED_MIN: Duration = Duration::from_millis(500);
/// The status explains a start that lasts longer than this.
const SLOW_START: Duration = Duration::from_secs(3);

impl Pool {
    /// Waits until an instance is ready. Starts an instance that rests.
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
        let begun = match instance.state() {
            InstanceState::Starting | InstanceState::Handshaking => {
                instance.lifecycle.lock().begun()
            }
            _ => Instant::now(),
        };
        let wait = match self.holding.is_held() {
            true => self.hold_wait(),
            false => self.loading_wait(begun),
        };
        let loading_until = Instant::now() + wait;
        loop {
            changed.borrow_and_update();
            if let Some(run) = instance.usable() {
                return Ok(run);
            }
            if let Some(refusal) = self.replaced() {
                return Err(refusal);
            }
            if instance.state() == InstanceState::Idle {
                instance.wanted.notify_one();
            }
            let until = self.wait_deadline(instance, deadline, loading_until)?;
            if tokio::time::timeout_at(until.into(), changed.changed()).await.is_err()
                && until >= deadline.min(loading_until)
            {
                return Err(self.not_ready(instance));
            }
        }
    }

    /// How long a call waits for an instance whose start began at `begun`: longer if experience tells that
    /// the start is nearly done, and not at all if it tells that the start takes long, or the start has lasted
    /// longer than that.
    pub(crate) fn loading_wait(&self, begun: Instant) -> Duration {
        wait_for_start(self.start_times.usual(), begun.elapsed())
    }

    /// How long starts of the server usually take, if one was seen.
    pub fn usual_start(&self) -> Option<Duration> {
        self.start_times.usual()
    }

    /// Whether a long start of the primary instance was lost, and the next one comes soon.
    pub fn was_interrupted(&self) -> bool {
        self.primary.get().is_some_and(|primary| primary.lifecycle.lock().was_interrupted())
    }

    /// How long the present start has lasted. Zero if there is none.
    pub fn start_lasts(&self) -> Duration {
        let Some(primary) = self.primary.get() else { return Duration::ZERO };
        let lifecycle = primary.lifecycle.lock();
        match lifecycle.state() {
            InstanceState::Starting | InstanceState::Handshaking => lifecycle.begun().elapsed(),
            _ => Duration::ZERO,
        }
    }

    /// The time until a start that began at `begun` should be over, with a reserve of half its usual time.
    /// `None` if no start was seen yet.
    fn expected_in(&self, begun: Instant) -> Option<Duration> {
        let usual = self.start_times.usual()?;
        Some(with_reserve(usual).saturating_sub(begun.elapsed()))
    }

    /// Until when a call should wait for the instance.
    fn wait_deadline(
        &self,
        instance: &Instance,
        deadline: Instant,
        loading_until: Instant,
    ) -> Result<Instant, Refusal> {
        if self.holding.is_held_for_long() {
            return Err(self.not_ready(instance));
        }
        if self.is_handed_over() {
            return Ok(deadline.min(loading_until));
        }
        let lifecycle = instance.lifecycle.lock();
        let state = lifecycle.state();
        let retry_at = lifecycle.retry_at();
        drop(lifecycle);
        match state {
            _ if instance.stop.is_cancelled() => Err(self.not_ready(instance)),
            InstanceState::Ready
            | InstanceState::Degraded
            | InstanceState::Done
            | InstanceState::Idle
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
            InstanceState::Waiting
            | InstanceState::Held
            | InstanceState::Unhealthy
            | InstanceState::BackingOff
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

    /// Whether the server is starting, or about to, and has not listed anything yet.
    pub fn is_loading(&self) -> bool {
        use InstanceState::{Handshaking, Starting, Stopped};
        let state = self.primary.get().map_or(Stopped, |primary| primary.state());
        // A pool is stopped before its first start.
        self.primary_facts().is_none()
            && matches!(state, Stopped | Starting | Handshaking)
            && !self.holding.is_held_for_long()
    }

    /// Whether the lists for clients of an era are not known yet, and may be known soon.
    pub fn may_list_soon(&self, era: Era) -> bool {
        if self.facts(era).is_some() {
            return false;
        }
        if self.primary_facts().is_some() {
            // Detection has no result yet.
            return self.check_era(era).is_ok();
        }
        let state = self.primary.get().map(|primary| primary.state());
        let may_support = self.configured().is_none_or(|configured| configured == era);
        may_support && (self.is_loading() || state == Some(InstanceState::BackingOff))
    }

    /// Waits until the first lists of the server are known, or known not to come, or until `deadline`.
    pub async fn wait_until_listed(&self, wait: Wait, deadline: Instant) {
        let Some(primary) = self.primary.get() else { return };
        let mut changed = primary.changed.subscribe();
        let begun = Instant::now();
        loop {
            changed.borrow_and_update();
            let in_vain = wait == Wait::Once && self.is_late.load(Ordering::Acquire);
            // The need of a server that is held may load for minutes. Its lists are announced when they are there.
            if in_vain || !self.is_loading() || self.holding.is_held() {
                return;
            }
            if tokio::time::timeout_at(deadline.into(), changed.changed()).await.is_err() {
                if begun.elapsed() >= WAITED_MIN && !self.is_late.swap(true, Ordering::AcqRel) {
                    primary.note_change();
                }
                return;
            }
        }
    }

    /// The refusal of a call to an instance that is not ready.
    pub(crate) fn not_ready(&self, instance: &Instance) -> Refusal {
        if let Some(refusal) = self.held_refusal() {
            return refusal;
        }
        let lifecycle = instance.lifecycle.lock();
        let (state, retry_at) = (lifecycle.state(), lifecycle.retry_at());
        let begun = match state {
            InstanceState::Idle => Instant::now(),
            _ => lifecycle.begun(),
        };
        drop(lifecycle);
        // Anybody may be the client, so it gets no path and no output.
        let reason = instance.brief_reason();
        if let Some(why) = self.dialects.get(instance.key().era).refusal() {
            return self.unavailable(&why);
        }
        let because = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
        let loading = matches!(
            state,
            InstanceState::Starting
                | InstanceState::Handshaking
                | InstanceState::Stopped
                | InstanceState::Idle
        );
        let was_never_ready = instance.unready_for(Instant::now()) == Duration::MAX;
        if loading && was_never_ready {
            return self.loading(begun, &because);
        }
        let is = match state {
            // Its driver has not noticed yet, or ends its processes.
            InstanceState::Ready => "being replaced, because it was lost or no longer answers",
            state => state.as_str(),
        };
        let refusal = self.unavailable(&format!("it is {is}{because}"));
        if self.needs_restart() {
            return refusal.hint(self.remedy());
        }
        match retry_at {
            Some(at) => refusal.retry_after(at.saturating_duration_since(Instant::now())),
            None => refusal,
        }
    }

    /// The refusal of a request for a server whose start began at `begun`.
    fn loading(&self, begun: Instant, because: &str) -> Refusal {
        let name = &self.name;
        let (took, most) = (begun.elapsed(), self.spec().start_deadline);
        let (wait, usually) = match (self.expected_in(begun), self.start_times.usual()) {
            (Some(left), Some(usual)) => (left, format!("a start usually takes {usual:.1?}")),
            _ => (
                LOADING_WAIT_MAX,
                format!("no start was seen yet; one may take up to {}", seconds(most)),
            ),
        };
        let say = format!("server {name} has been starting for {took:.1?}{because}");
        Refusal::new(RefusalCode::ServerLoading, say)
            .server(name)
            .retry_after(wait.clamp(Duration::from_secs(1), LOADING_WAIT_MAX))
            .hint(format!("{usually}; `mainstay status` shows the progress"))
    }

    /// What a start that takes long is waiting for, as a reason for the status.
    pub(crate) fn slow_start(&self, state: InstanceState, begun: Instant) -> Option<String> {
        let took = Duration::from_secs(begun.elapsed().as_secs());
        let most = self.spec().start_deadline;
        let what = match state {
            InstanceState::Starting => "it has not started",
            InstanceState::Handshaking => "it has not finished the handshake",
            _ => return None,
        };
        let usual = self.start_times.usual();
        let usual = usual.map(|usual| format!(", usually {usual:.1?}")).unwrap_or_default();
        (took >= SLOW_START).then(|| {
            format!("{what} for {}{usual}; it may take up to {}", seconds(took), seconds(most))
        })
    }

    /// Whether the server can't start before its variables and secrets are there, and the configuration is
    /// reloaded or the daemon restarted.
    pub(crate) fn needs_restart(&self) -> bool {
        !self.spec().lacks.is_empty()
    }

    /// What to do about a server that lacks variables or secrets. Names variables, and no path.
    fn remedy(&self) -> String {
        let mut variables: Vec<&str> = Vec::new();
        let spec = self.spec();
        for lack in &spec.lacks {
            match lack {
                Lack::Variable(name) if !variables.contains(&&**name) => variables.push(name),
                Lack::Variable(_) | Lack::Secret { .. } | Lack::Value { .. } => {}
            }
        }
        let restart = "`mainstay stop && mainstay up`";
        match variables.as_slice() {
            [] => format!(
                "`mainstay status {}` names the secret; when it can be read: `mainstay reload`",
                self.name
            ),
            names => format!(
                "set {} in the daemon's environment, and restart it: {restart}",
                names.join(" and ")
            ),
        }
    }

    pub(crate) fn unavailable(&self, why: &str) -> Refusal {
        let name = &self.name;
        Refusal::new(RefusalCode::ServerUnavailable, format!("server {name} can't be used: {why}"))
            .server(name)
            .hint(format!("`mainstay status {name}` shows why, with its last output"))
    }
}

/// How long a call waits for a start that has lasted `so_far` and usually takes `usual`.
pub(crate) fn wait_for_start(usual: Option<Duration>, so_far: Duration) -> Duration {
    match usual.map(|usual| with_reserve(usual).saturating_sub(so_far)) {
        Some(left) if left > NEARLY_DONE_WAIT_MAX => Duration::ZERO,
        Some(left) if left > Duration::ZERO => left.max(LOADING_WAIT_MAX),
        Some(_) | None => LOADING_WAIT_MAX.saturating_sub(so_far),
    }
}

/// The time within which a start should be over: half its usual time is a reserve.
fn with_reserve(usual: Duration) -> Duration {
    usual * 3 / 2
}

/// A duration in seconds, if it is a whole number of them.
fn seconds(duration: Duration) -> String {
    if duration.subsec_nanos() == 0 {
        format!("{} s", duration.as_secs())
    } else {
        format!("{duration:?}")
    }
}
