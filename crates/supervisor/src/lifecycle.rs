//! The lifecycle of an instance: when it is started, restarted, declared failed and stopped.
//!
//! ```text
//!             Start            Spawned               Ready
//!   Stopped ────────▶ Starting ───────▶ Handshaking ───────▶ Ready
//!      ▲                 ▲ │ Lost, late      │ Lost, late      │ Lost
//!      │ Stopped         │ ▼                 ▼                 ▼
//!   Draining       Tick  └─ BackingOff, or CrashLooping after too many restarts
//!      ▲
//!      └── Stop, from anywhere          Unserveable, from anything alive ──▶ Failed
//! ```
//!
//! Not in the picture: an instance that was healthy and is lost goes from `Ready` to `Starting` in one
//! step, because its first restart has no wait. An instance that ends itself without an error while nobody
//! uses it has not failed: it is restarted once, and after that it rests as `Idle`. An instance that nobody
//! has used for its idle time can be told to rest, too. A resting instance starts when it is wanted. A ready
//! instance whose probe fails is `Unhealthy`, and ready again once the probe passes. A job that ended with
//! code 0 is `Done`.

mod event;
mod history;
mod policy;
#[cfg(test)]
mod schedules;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use mainstay_model::settings::RestartRule;
use mainstay_model::status::InstanceState;

pub use self::event::{Effect, LifecycleEvent, RunEvent};
use self::history::{History, RestartDecision};
pub use self::policy::{CrashLoop, RestartPolicy};

/// The number of a run of an instance, counted from 1. A run lasts from a start to the loss or stop that
/// ends it. Run events carry the number, so that late events of an earlier run are ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunNo(u64);

/// The error for an event that the current state does not allow: a fault of the driver. The state has
/// not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("an instance that is {} can't take the event {event:?}", state.as_str())]
pub struct IllegalTransition {
    pub state: InstanceState,
    pub event: LifecycleEvent,
}

/// The state machine of one instance. See the picture in the module's documentation.
#[derive(Debug, Clone)]
pub struct Lifecycle {
    policy: RestartPolicy,
    phase: Phase,
    since: Instant,
    run_no: RunNo,
    /// When the current run, or the last one, was started.
    begun: Instant,
    history: History,
    reason: Option<String>,
    /// What the present start still lacks, as its probe says.
    pending: Option<String>,
}

/// [`InstanceState`] with the deadlines that this module needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Stopped,
    Starting {
        deadline: Instant,
    },
    Handshaking {
        deadline: Instant,
    },
    Ready,
    Unhealthy,
    Done,
    Idle,
    BackingOff {
        retry_at: Instant,
    },
    CrashLooping {
        retry_at: Instant,
    },
    Draining,
    /// `retry_at` is `None` if it is not tried again by itself.
    Failed {
        retry_at: Option<Instant>,
    },
}

/// An instance that ended sooner than this after it became ready, and without having served a call, did
/// not end because nobody used it.
const READY_MIN: Duration = Duration::from_secs(1);

/// A start that lasted for this long before it was lost was loading.
const LOADS_MIN: Duration = Duration::from_secs(1);

use LifecycleEvent::{Heard, Resume, Start, Stop, Stopped, Tick, Unused, Wanted};
use RunEvent::{Exited, Finished, Fit, Lost, NotYet, Ready, Spawned, Unfit, Unserveable};

// === impl RunNo ===

impl RunNo {
    pub fn get(self) -> u64 {
        self.0
    }
}

// === impl Lifecycle ===

impl Lifecycle {
    /// A stopped instance without runs. [`since`](Self::since) returns `now` until the first event.
    pub fn new(policy: RestartPolicy, now: Instant) -> Self {
        Self {
            policy,
            phase: Phase::Stopped,
            since: now,
            run_no: RunNo(0),
            begun: now,
            history: History::default(),
            reason: None,
            pending: None,
        }
    }

    /// Changes the rules for the next starts. A start that is under way keeps its deadline.
    pub fn set_policy(&mut self, policy: RestartPolicy) {
        self.policy = policy;
    }

    /// Takes one step and appends to `effects` what the driver must do. The driver carries the effects out
    /// in order and reports the results as further events.
    ///
    /// # Errors
    /// [`IllegalTransition`] if the current state does not allow the event. The state has not changed then.
    pub fn step(
        &mut self,
        now: Instant,
        event: LifecycleEvent,
        effects: &mut Vec<Effect>,
    ) -> Result<(), IllegalTransition> {
        // Ignore events of earlier runs, and of a run that was already ended.
        if let Heard(run_no, _) = event
            && (run_no != self.run_no || !self.phase.is_alive())
        {
            return Ok(());
        }
        let before = self.phase;
        self.phase = self.next_phase(now, event, effects)?;
        if self.phase != before {
            self.since = now;
        }
        self.check_invariants();
        Ok(())
    }

    /// The transition table, to be read from top to bottom.
    fn next_phase(
        &mut self,
        now: Instant,
        event: LifecycleEvent,
        effects: &mut Vec<Effect>,
    ) -> Result<Phase, IllegalTransition> {
        let next = match (self.phase, event) {
            // ## Stopped | Failed => Starting
            (Phase::Stopped | Phase::Done | Phase::Idle | Phase::Failed { .. }, Start) => {
                self.history.clear();
                self.reason = None;
                self.spawn(now, effects)
            }
            (Phase::Stopped, Resume) => {
                self.reason = None;
                self.spawn(now, effects)
            }

            // ## Starting => Handshaking => Ready
            //
            // Both phases share one deadline: a server that starts slowly has less time for the handshake.
            (Phase::Starting { deadline }, Heard(_, Spawned)) => {
                effects.push(Effect::Handshake);
                Phase::Handshaking { deadline }
            }
            (Phase::Handshaking { .. }, Heard(_, Ready)) => {
                self.reason = None;
                self.history.note_ready();
                effects.push(Effect::OpenGate);
                Phase::Ready
            }

            // ## Ready <=> Unhealthy
            (Phase::Ready, Heard(_, Unfit { reason })) => {
                self.note_health(now);
                self.reason = Some(reason);
                effects.push(Effect::ShutGate);
                Phase::Unhealthy
            }
            (Phase::Unhealthy, Heard(_, Unfit { reason })) => {
                self.reason = Some(reason);
                Phase::Unhealthy
            }
            (Phase::Unhealthy, Heard(_, Fit)) => {
                self.reason = None;
                effects.push(Effect::OpenGate);
                Phase::Ready
            }
            (phase, Heard(_, NotYet { reason })) => {
                self.pending = Some(reason);
                phase
            }
            (phase, Heard(_, Unfit { .. } | Fit)) => phase,

            // ## Starting | Handshaking | Ready | Unhealthy => Done | Stopped
            (_, Heard(_, Exited { reason })) if self.policy.is_job => {
                self.end(effects);
                self.reason = Some(reason);
                self.history.forgive();
                Phase::Done
            }
            (_, Heard(_, Exited { reason })) if self.policy.rule != RestartRule::Always => {
                self.end(effects);
                self.reason = Some(reason);
                Phase::Stopped
            }

            // ## Ready => Idle | Starting
            //
            // The end is no failure, so it counts towards no crash loop.
            (Phase::Ready, Unused { reason }) => self.rest(reason, effects),
            (Phase::Ready, Heard(_, Finished { reason, served }))
                if served || self.since + READY_MIN <= now =>
            {
                if self.history.may_revive(&self.policy) {
                    self.end(effects);
                    self.reason = Some(reason);
                    self.spawn(now, effects)
                } else {
                    self.rest(reason, effects)
                }
            }

            // ## Idle => Starting
            (Phase::Idle, Wanted) => {
                self.reason = None;
                self.spawn(now, effects)
            }
            (phase, Wanted | Unused { .. }) => phase,

            // ## Ready for long enough: earlier losses are forgotten
            (Phase::Ready, Tick) => {
                self.note_health(now);
                Phase::Ready
            }

            // ## Starting | Handshaking | Ready | Unhealthy => BackingOff | CrashLooping | Starting
            //
            // A missed deadline counts as a loss: the instance does not serve, and the restart policy
            // applies.
            (Phase::Starting { deadline }, Tick) if deadline <= now => {
                self.retreat_late(now, "start", effects)
            }
            (Phase::Handshaking { deadline }, Tick) if deadline <= now => {
                self.retreat_late(now, "finish the handshake", effects)
            }
            (_, Heard(_, Lost { reason } | Finished { reason, .. } | Exited { reason })) => {
                self.retreat(now, reason, effects)
            }

            // ## Starting | Handshaking | Ready => Failed
            (_, Heard(_, Unserveable { reason })) => {
                self.end(effects);
                self.reason = Some(reason);
                Phase::Failed {
                    retry_at: self.tries_again().then(|| now + self.policy.failed_pause),
                }
            }

            // ## BackingOff | CrashLooping | Failed => Starting
            //
            // A missing program may have been installed, which nothing reports.
            (
                Phase::BackingOff { retry_at }
                | Phase::CrashLooping { retry_at }
                | Phase::Failed { retry_at: Some(retry_at) },
                Tick,
            ) if retry_at <= now => self.respawn(now, effects),

            // ## Anything => Draining => Stopped
            //
            // Also in states without a run, so that the driver handles every stop the same way.
            (phase @ (Phase::Stopped | Phase::Draining), Stop) => phase,
            (_, Stop) => {
                self.end(effects);
                Phase::Draining
            }
            (Phase::Draining, Stopped) => Phase::Stopped,

            // A tick before the deadline has no effect.
            (phase, Tick) => phase,
            (phase, event) => return Err(IllegalTransition { state: phase.state(), event }),
        };
        Ok(next)
    }

    /// The current state.
    pub fn state(&self) -> InstanceState {
        self.phase.state()
    }

    /// When the instance entered its current state.
    pub fn since(&self) -> Instant {
        self.since
    }

    /// The number of the current run, or of the last one.
    pub fn run_no(&self) -> RunNo {
        self.run_no
    }

    /// When the current run, or the last one, was started.
    pub fn begun(&self) -> Instant {
        self.begun
    }

    /// Whether a start that was lost after it had lasted for a while is tried again soon: what loads for long was
    /// interrupted, and does not fail at once.
    pub fn was_interrupted(&self) -> bool {
        matches!(self.phase, Phase::BackingOff { .. }) && self.begun + LOADS_MIN <= self.since
    }

    /// When the next [`Tick`] has an effect. `None` if only other events can change the state.
    pub fn next_deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Starting { deadline } | Phase::Handshaking { deadline } => Some(deadline),
            Phase::BackingOff { retry_at } | Phase::CrashLooping { retry_at } => Some(retry_at),
            Phase::Failed { retry_at } => retry_at,
            Phase::Ready if !self.history.is_clean() => Some(self.since + self.policy.health),
            Phase::Ready
            | Phase::Unhealthy
            | Phase::Done
            | Phase::Idle
            | Phase::Stopped
            | Phase::Draining => None,
        }
    }

    /// When the next restart is due, while the instance waits for it.
    pub fn retry_at(&self) -> Option<Instant> {
        match self.phase {
            Phase::BackingOff { retry_at } | Phase::CrashLooping { retry_at } => Some(retry_at),
            Phase::Failed { retry_at } => retry_at,
            _ => None,
        }
    }

    /// The number of restarts after losses. A stop does not reset it.
    pub fn restarts(&self) -> u64 {
        self.history.restarts()
    }

    /// Whether the instance is in a crash loop. Still true while a restart from the loop is in progress.
    pub fn is_crash_looping(&self) -> bool {
        self.history.is_looping()
    }

    /// Why the instance is not ready, or why the current start was necessary. `None` once it is ready.
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    /// What the present start still lacks, as its probe says.
    pub fn pending(&self) -> Option<&str> {
        let is_starting = matches!(self.phase, Phase::Starting { .. } | Phase::Handshaking { .. });
        self.pending.as_deref().filter(|_| is_starting)
    }

    fn spawn(&mut self, now: Instant, effects: &mut Vec<Effect>) -> Phase {
        self.run_no.0 += 1;
        self.begun = now;
        self.pending = None;
        effects.push(Effect::Spawn(self.run_no));
        Phase::Starting { deadline: now + self.policy.start }
    }

    fn respawn(&mut self, now: Instant, effects: &mut Vec<Effect>) -> Phase {
        self.history.note_restart(now, &self.policy);
        self.spawn(now, effects)
    }

    /// Ends a ready run. The instance starts again when it is wanted.
    fn rest(&mut self, reason: String, effects: &mut Vec<Effect>) -> Phase {
        self.end(effects);
        self.reason = Some(reason);
        Phase::Idle
    }

    /// Ends the current run. `Kill` is necessary even after an exit: the process may have left children.
    fn end(&self, effects: &mut Vec<Effect>) {
        if self.phase == Phase::Ready {
            effects.push(Effect::ShutGate);
        }
        effects.push(Effect::Kill);
    }

    /// Ends a run that did not become ready within the time limit.
    fn retreat_late(&mut self, now: Instant, what: &str, effects: &mut Vec<Effect>) -> Phase {
        self.history.note_late_start(&self.policy);
        let most = self.policy.start;
        let reason = match self.pending.take() {
            Some(missing) => format!("its probe did not pass within {most:?}: {missing}"),
            None if self.policy.is_job => format!("the job did not end within {most:?}"),
            None => format!("it did not {what} within {most:?}"),
        };
        self.retreat(now, reason, effects)
    }

    fn retreat(&mut self, now: Instant, reason: String, effects: &mut Vec<Effect>) -> Phase {
        self.note_health(now);
        let was_ready = matches!(self.phase, Phase::Ready | Phase::Unhealthy);
        self.end(effects);
        self.reason = Some(reason);
        if !self.tries_again() {
            return Phase::Failed { retry_at: None };
        }
        match self.history.note_loss(now, was_ready, &mut self.policy) {
            RestartDecision::AtOnce => self.respawn(now, effects),
            RestartDecision::At(retry_at) => Phase::BackingOff { retry_at },
            RestartDecision::Loop(retry_at) => Phase::CrashLooping { retry_at },
        }
    }

    /// Whether an instance that failed is started again by itself.
    fn tries_again(&self) -> bool {
        self.policy.rule != RestartRule::Never
    }

    /// Forgets earlier losses if the instance has been ready for long enough. Depends on the time and not
    /// on ticks, so a late tick makes no difference.
    fn note_health(&mut self, now: Instant) {
        if self.phase == Phase::Ready && self.since + self.policy.health <= now {
            self.history.forgive();
        }
    }

    fn check_invariants(&self) {
        debug_assert!(self.phase != Phase::Ready || self.reason.is_none());
        debug_assert!(self.run_no.0 > 0 || !self.phase.is_alive());
        debug_assert!(
            !matches!(self.phase, Phase::CrashLooping { .. }) || self.history.is_looping()
        );
        debug_assert!(
            !matches!(self.phase, Phase::BackingOff { .. }) || !self.history.is_looping()
        );
    }
}

// === impl Phase ===

impl Phase {
    /// Whether a run is in progress, so that its events count.
    fn is_alive(self) -> bool {
        matches!(
            self,
            Self::Starting { .. } | Self::Handshaking { .. } | Self::Ready | Self::Unhealthy
        )
    }

    fn state(self) -> InstanceState {
        match self {
            Self::Stopped => InstanceState::Stopped,
            Self::Starting { .. } => InstanceState::Starting,
            Self::Handshaking { .. } => InstanceState::Handshaking,
            Self::Ready => InstanceState::Ready,
            Self::Unhealthy => InstanceState::Unhealthy,
            Self::Done => InstanceState::Done,
            Self::Idle => InstanceState::Idle,
            Self::BackingOff { .. } => InstanceState::BackingOff,
            Self::CrashLooping { .. } => InstanceState::CrashLooping,
            Self::Draining => InstanceState::Draining,
            Self::Failed { .. } => InstanceState::Failed,
        }
    }
}
