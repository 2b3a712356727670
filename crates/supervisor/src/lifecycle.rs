//! The life of one instance: when it is started, given up, tried again, and ended.
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
//! The one exception to the picture: an instance that was healthy and dies goes from `Ready`
//! to `Starting` in one step, because its first restart waits for nothing.

mod history;
#[cfg(test)]
mod schedules;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use mainstay_model::status::InstanceState;

use self::history::{History, RestartDecision};
use crate::backoff::{Backoff, Jitter};

/// One life of an instance, counted from 1. RunEvent carries it, so that what is heard late about
/// an earlier life changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunNo(u64);

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LifecycleEvent {
    /// It is wanted.
    Start,
    /// The driver has news of the life it was told to spawn.
    Heard(RunNo, RunEvent),
    /// It is no longer wanted.
    Stop,
    /// What [`Stop`](LifecycleEvent::Stop) asked for is done: nothing of the instance is left.
    Stopped,
    /// Time has passed. Early ticks change nothing, late ones only come late.
    Tick,
}

/// What the driver learnt about a life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunEvent {
    /// The process runs, or the connection stands.
    Spawned,
    /// Handshake done and lists fetched.
    Ready,
    /// It died, hung up, hung, or could not be started this time.
    Lost { reason: String },
    /// It can't be served however often it is started: wrong protocol, no such command.
    Unserveable { reason: String },
}

/// What the driver must do, in this order, each to its end before the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Start it and report what happens under this number.
    Spawn(RunNo),
    /// Begin the handshake; report [`RunEvent::Ready`] after it and the first lists.
    Handshake,
    /// Let calls in.
    OpenGate,
    /// Let no new call in. Calls in flight may finish before the next effect.
    ShutGate,
    /// End whatever is left of the life before, all of it. Harmless when nothing is.
    Kill,
}

/// An event that the present state has no answer to: an error of the driver. Nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a {} instance can not take {event:?}", state.as_str())]
pub struct IllegalTransition {
    pub state: InstanceState,
    pub event: LifecycleEvent,
}

/// How long things may take and how often they may fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestartPolicy {
    /// For one start as a whole: spawned, hands shaken, lists fetched.
    pub start: Duration,
    /// Waits between restarts, after the first.
    pub backoff: Backoff,
    /// Scatters those waits.
    pub jitter: Jitter,
    /// Ready for this long makes up for the failures before.
    pub health: Duration,
    /// When restarts are so frequent that they are a crash loop. None: never; the instance is tried
    /// again after each backoff, for ever.
    pub crash_loop: Option<CrashLoop>,
}

/// What a crash loop is, and how often an instance in one is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrashLoop {
    /// More restarts than this within `window` are a crash loop. The history of an instance keeps
    /// the times of so many restarts, at most 255.
    pub restarts_max: u8,
    pub window: Duration,
    /// Between two tries in a crash loop.
    pub pause: Duration,
}

/// The life of one instance. See the picture at the top of the module.
#[derive(Debug, Clone)]
pub struct Lifecycle {
    limits: RestartPolicy,
    phase: Phase,
    since: Instant,
    run_no: RunNo,
    history: History,
    reason: Option<String>,
}

/// [`InstanceState`] with what only this module needs to know about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Stopped,
    Starting { deadline: Instant },
    Handshaking { deadline: Instant },
    Ready,
    BackingOff { retry_at: Instant },
    CrashLooping { retry_at: Instant },
    Draining,
    Failed,
}

use LifecycleEvent::{Heard, Start, Stop, Stopped, Tick};
use RunEvent::{Lost, Ready, Spawned, Unserveable};

// === impl RestartPolicy ===

impl RestartPolicy {
    /// The contract's values, for a server with this deadline for a start. The seed scatters
    /// waits; take a different one for each instance.
    pub fn new(start: Duration, seed: u64) -> Self {
        Self { start, jitter: Jitter::seeded(seed), ..Self::default() }
    }
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self {
            start: Duration::from_secs(120),
            backoff: Backoff::default(),
            jitter: Jitter::none(),
            health: Duration::from_secs(60),
            crash_loop: Some(CrashLoop::default()),
        }
    }
}

// === impl CrashLoop ===

impl Default for CrashLoop {
    fn default() -> Self {
        Self { restarts_max: 5, window: Duration::from_secs(300), pause: Duration::from_secs(300) }
    }
}

// === impl Lifecycle ===

impl Lifecycle {
    /// A stopped instance that never lived. `now` is only what [`since`](Self::since) says
    /// until the first event.
    pub fn new(limits: RestartPolicy, now: Instant) -> Self {
        Self {
            limits,
            phase: Phase::Stopped,
            since: now,
            run_no: RunNo(0),
            history: History::default(),
            reason: None,
        }
    }

    /// Takes one step. Performs nothing: the driver hands in `now`, carries out `effects` in
    /// order, and reports what happened as further events. `effects` is appended to.
    ///
    /// # Errors
    /// When the present state has no answer to the event; nothing has changed then.
    pub fn step(
        &mut self,
        now: Instant,
        event: LifecycleEvent,
        effects: &mut Vec<Effect>,
    ) -> Result<(), IllegalTransition> {
        // RunEvent of an earlier life, or of one that was ended already, changes nothing.
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

    /// The table of transitions, to be read from top to bottom.
    fn next_phase(
        &mut self,
        now: Instant,
        event: LifecycleEvent,
        effects: &mut Vec<Effect>,
    ) -> Result<Phase, IllegalTransition> {
        let next = match (self.phase, event) {
            // ## Stopped | Failed => Starting
            (Phase::Stopped | Phase::Failed, Start) => {
                self.history.clear();
                self.reason = None;
                self.spawn(now, effects)
            }

            // ## Starting => Handshaking => Ready
            //
            // Both share one deadline: a server that is slow to come up has less time to talk.
            (Phase::Starting { deadline }, Heard(_, Spawned)) => {
                effects.push(Effect::Handshake);
                Phase::Handshaking { deadline }
            }
            (Phase::Handshaking { .. }, Heard(_, Ready)) => {
                self.reason = None;
                effects.push(Effect::OpenGate);
                Phase::Ready
            }

            // ## Ready, for long enough: what went wrong before is forgotten
            (Phase::Ready, Tick) => {
                self.note_health(now);
                Phase::Ready
            }

            // ## Starting | Handshaking | Ready => BackingOff | CrashLooping | Starting
            //
            // A missed deadline and a death are the same thing to everyone else: the instance
            // is not serving, and we decide whether to try again.
            (Phase::Starting { deadline }, Tick) if deadline <= now => {
                self.retreat(now, self.late("start"), effects)
            }
            (Phase::Handshaking { deadline }, Tick) if deadline <= now => {
                self.retreat(now, self.late("finish the handshake"), effects)
            }
            (_, Heard(_, Lost { reason })) => self.retreat(now, reason, effects),

            // ## Starting | Handshaking | Ready => Failed
            (_, Heard(_, Unserveable { reason })) => {
                self.end(effects);
                self.reason = Some(reason);
                Phase::Failed
            }

            // ## BackingOff | CrashLooping => Starting
            (Phase::BackingOff { retry_at } | Phase::CrashLooping { retry_at }, Tick)
                if retry_at <= now =>
            {
                self.respawn(now, effects)
            }

            // ## Anything => Draining => Stopped
            //
            // Also where nothing should be alive, so that the driver answers to every stop alike.
            (phase @ (Phase::Stopped | Phase::Draining), Stop) => phase,
            (_, Stop) => {
                self.end(effects);
                Phase::Draining
            }
            (Phase::Draining, Stopped) => Phase::Stopped,

            // A tick before any deadline changes nothing.
            (phase, Tick) => phase,
            (phase, event) => return Err(IllegalTransition { state: phase.state(), event }),
        };
        Ok(next)
    }

    pub fn state(&self) -> InstanceState {
        self.phase.state()
    }

    /// Since when it is in this state.
    pub fn since(&self) -> Instant {
        self.since
    }

    /// The life it is in, or the last one it was in.
    pub fn run_no(&self) -> RunNo {
        self.run_no
    }

    /// When the next [`Tick`] has something to do; none: only other events matter.
    pub fn next_deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Starting { deadline } | Phase::Handshaking { deadline } => Some(deadline),
            Phase::BackingOff { retry_at } | Phase::CrashLooping { retry_at } => Some(retry_at),
            Phase::Ready if !self.history.is_clean() => Some(self.since + self.limits.health),
            Phase::Ready | Phase::Stopped | Phase::Draining | Phase::Failed => None,
        }
    }

    /// When it is tried again, while it waits for that.
    pub fn retry_at(&self) -> Option<Instant> {
        match self.phase {
            Phase::BackingOff { retry_at } | Phase::CrashLooping { retry_at } => Some(retry_at),
            _ => None,
        }
    }

    /// Starts after the first, each caused by a failure; kept over stops.
    pub fn restarts(&self) -> u64 {
        self.history.restarts()
    }

    /// Whether it is in a crash loop, also while one of its rare tries is under way.
    pub fn is_crash_looping(&self) -> bool {
        self.history.is_looping()
    }

    /// Why it is not ready, or was not before the present start. None once it is ready.
    pub fn reason(&self) -> Option<&str> {
        self.reason.as_deref()
    }

    fn spawn(&mut self, now: Instant, effects: &mut Vec<Effect>) -> Phase {
        self.run_no.0 += 1;
        effects.push(Effect::Spawn(self.run_no));
        Phase::Starting { deadline: now + self.limits.start }
    }

    fn respawn(&mut self, now: Instant, effects: &mut Vec<Effect>) -> Phase {
        self.history.note_restart(now, &self.limits);
        self.spawn(now, effects)
    }

    /// Leaves whatever lives. Kill is part of it even when death was the news: a server that
    /// died may have left children, and one that hangs has not died.
    fn end(&self, effects: &mut Vec<Effect>) {
        if self.phase == Phase::Ready {
            effects.push(Effect::ShutGate);
        }
        effects.push(Effect::Kill);
    }

    fn retreat(&mut self, now: Instant, reason: String, effects: &mut Vec<Effect>) -> Phase {
        self.note_health(now);
        let was_ready = self.phase == Phase::Ready;
        self.end(effects);
        self.reason = Some(reason);
        match self.history.note_loss(now, was_ready, &mut self.limits) {
            RestartDecision::AtOnce => self.respawn(now, effects),
            RestartDecision::At(retry_at) => Phase::BackingOff { retry_at },
            RestartDecision::Loop(retry_at) => Phase::CrashLooping { retry_at },
        }
    }

    /// Counted from the time, not from ticks, so a late tick takes no credit away.
    fn note_health(&mut self, now: Instant) {
        if self.phase == Phase::Ready && self.since + self.limits.health <= now {
            self.history.forgive();
        }
    }

    fn late(&self, what: &str) -> String {
        format!("did not {what} within {:?}", self.limits.start)
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
    /// Whether a life is under way, whose news counts.
    fn is_alive(self) -> bool {
        matches!(self, Self::Starting { .. } | Self::Handshaking { .. } | Self::Ready)
    }

    fn state(self) -> InstanceState {
        match self {
            Self::Stopped => InstanceState::Stopped,
            Self::Starting { .. } => InstanceState::Starting,
            Self::Handshaking { .. } => InstanceState::Handshaking,
            Self::Ready => InstanceState::Ready,
            Self::BackingOff { .. } => InstanceState::BackingOff,
            Self::CrashLooping { .. } => InstanceState::CrashLooping,
            Self::Draining => InstanceState::Draining,
            Self::Failed => InstanceState::Failed,
        }
    }
}
