//! When a circuit breaker lets calls through.
//!
//! ```text
//!              Nth failure in a row                 recovery is over
//!   Closed ─────────────────────────▶ Open ─────────────────────────▶ HalfOpen
//!     ▲                                ▲                                 │  │
//!     │                                └──────── the trial fails ────────┘  │
//!     └──────────────────────────── the trial succeeds ─────────────────────┘
//!
//!   Open ── what it belongs to becomes ready again ──▶ HalfOpen
//!   Open, HalfOpen ── reset, switched off ──▶ Closed
//! ```
//!
//! A half-open breaker lets one call through, its trial. A trial that is taken back, or that has no result within
//! [`TRIAL_MAX`], leaves its place to the next call, so there is no state that a breaker can't return from.
//!
//! Losses of answers that happened together are one failure: 100 calls in flight at a process that ends say no
//! more than one. So each admission has an [`Epoch`], which rises with every loss that counts, and a loss counts
//! only if its call was admitted in the present epoch. Missed deadlines and HTTP errors count each.

#[cfg(test)]
mod schedules;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use mainstay_model::settings::BreakerSpec;

/// The position of a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Position {
    /// Calls pass.
    Closed,
    /// One call passes.
    HalfOpen,
    /// No call passes.
    Open,
}

/// Whether a call may be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It may, with the position that the breaker had then.
    Allowed(Epoch),
    /// It may, and its result decides. Report it, or give it back.
    Trial(Epoch, TrialNo),
    /// It may not. The next trial is possible at this time; `None` while one is under way.
    Refused { next_trial: Option<Instant> },
}

/// Counts the losses that counted, and the times that the breaker was closed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(u64);

/// The number of a trial, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TrialNo(u64);

/// How a call was admitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admitted {
    pub epoch: Epoch,
    pub trial: Option<TrialNo>,
}

/// What the end of a call, or a check of a probe, says about its target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The target works.
    Success,
    Failure(BreakerFailure),
    /// Nothing. The place of a trial is free again.
    Neither,
}

/// A failure that a breaker counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakerFailure {
    pub kind: FailureKind,
    /// What happened, for the operator. Never contains a secret.
    pub reason: String,
}

/// What a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The answer is lost.
    Lost,
    /// There was no answer by the deadline.
    Deadline,
    /// This HTTP status came instead of an answer: 500 to 599.
    Http(u16),
    /// A check of the probe did not pass.
    Check,
}

/// A change of the position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PositionChange {
    pub from: Position,
    pub to: Position,
    pub why: ChangeWhy,
    /// How long the position before was in force.
    pub lasted: Duration,
}

/// Why the position changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeWhy {
    /// There were as many failures in a row as the settings allow.
    Failures,
    /// The time for recovery is over.
    Recovery,
    /// What it belongs to has become ready again.
    Ready,
    TrialSucceeded,
    TrialFailed,
    /// Somebody closed it by hand.
    Reset,
    /// What it belongs to was restarted by hand.
    Restarted,
    /// What it belongs to was stopped by hand.
    Stopped,
    /// The settings were changed: it is switched off.
    SwitchedOff,
}

/// The last failure that counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastFailure {
    pub at: Instant,
    pub failure: BreakerFailure,
}

/// A circuit breaker.
#[derive(Debug, Clone)]
pub struct BreakerState {
    spec: BreakerSpec,
    phase: Phase,
    since: Instant,
    /// Failures in a row, up to the newest result.
    in_a_row: u32,
    /// Failures that counted, over all time.
    counted: u64,
    epoch: Epoch,
    /// The epoch in which it was closed last. Failures of calls from before say nothing new.
    closed_in: Epoch,
    last_trial: TrialNo,
    last: Option<LastFailure>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Closed,
    Open {
        until: Instant,
    },
    HalfOpen {
        /// The number of the first trial in this phase.
        first: TrialNo,
        /// The end of the trial under way, at the latest.
        trial_until: Option<Instant>,
    },
}

/// How long the place of a trial is kept at most. Its call may go on: a result that comes later still decides.
pub const TRIAL_MAX: Duration = Duration::from_secs(60);

// === impl BreakerState ===

impl BreakerState {
    /// A closed breaker.
    pub fn new(spec: BreakerSpec, now: Instant) -> Self {
        Self {
            spec: normal(spec),
            phase: Phase::Closed,
            since: now,
            in_a_row: 0,
            counted: 0,
            epoch: Epoch::default(),
            closed_in: Epoch::default(),
            last_trial: TrialNo(0),
            last: None,
        }
    }

    /// Decides about a call. Call [`tick`](Self::tick) first.
    pub fn admit(&mut self, now: Instant) -> Admission {
        match &mut self.phase {
            Phase::Closed => Admission::Allowed(self.epoch),
            Phase::Open { until } => Admission::Refused { next_trial: Some(*until) },
            Phase::HalfOpen { trial_until: Some(_), .. } => Admission::Refused { next_trial: None },
            Phase::HalfOpen { trial_until, .. } => {
                *trial_until = Some(now + TRIAL_MAX);
                self.last_trial = self.last_trial.next();
                Admission::Trial(self.epoch, self.last_trial)
            }
        }
    }

    /// Takes note of the time.
    pub fn tick(&mut self, now: Instant) -> Option<PositionChange> {
        match &mut self.phase {
            Phase::Open { until } if *until <= now => {
                Some(self.half_open(now, ChangeWhy::Recovery))
            }
            Phase::HalfOpen { trial_until, .. } => {
                *trial_until = trial_until.filter(|until| now < *until);
                None
            }
            Phase::Open { .. } | Phase::Closed => None,
        }
    }

    /// Takes note of how a call ended that was admitted, or sent without asking.
    pub fn report(
        &mut self,
        now: Instant,
        admitted: Admitted,
        verdict: &Verdict,
    ) -> Option<PositionChange> {
        let is_counted = match verdict {
            Verdict::Failure(failure) => self.count(now, admitted, failure),
            Verdict::Success | Verdict::Neither => false,
        };
        match self.phase {
            Phase::Closed if *verdict == Verdict::Success => {
                self.in_a_row = 0;
                None
            }
            Phase::Closed if is_counted => {
                self.in_a_row = self.in_a_row.saturating_add(1);
                let is_full = self.in_a_row >= self.spec.failures;
                (self.spec.enabled && is_full).then(|| self.open(now, ChangeWhy::Failures))
            }
            Phase::HalfOpen { first, .. } if admitted.trial.is_some_and(|no| first <= no) => {
                match verdict {
                    Verdict::Success => Some(self.close(now, ChangeWhy::TrialSucceeded)),
                    Verdict::Failure(_) => {
                        self.in_a_row = self.in_a_row.saturating_add(1);
                        Some(self.open(now, ChangeWhy::TrialFailed))
                    }
                    Verdict::Neither => {
                        self.free(admitted.trial);
                        None
                    }
                }
            }
            // Calls from before it opened say nothing about whether the target has recovered.
            Phase::Closed | Phase::Open { .. } | Phase::HalfOpen { .. } => None,
        }
    }

    /// Closes it, whatever its position.
    pub fn reset(&mut self, now: Instant, why: ChangeWhy) -> Option<PositionChange> {
        if self.phase != Phase::Closed {
            return Some(self.close(now, why));
        }
        self.begin_anew();
        None
    }

    /// Takes note that what it belongs to has become ready again: it is tried before `recovery` is over.
    pub fn ready_again(&mut self, now: Instant) -> Option<PositionChange> {
        let is_open = matches!(self.phase, Phase::Open { .. });
        is_open.then(|| self.half_open(now, ChangeWhy::Ready))
    }

    /// Replaces the settings. Failures in a row and the time since it opened go on counting.
    pub fn set_spec(&mut self, now: Instant, spec: BreakerSpec) -> Option<PositionChange> {
        self.spec = normal(spec);
        if let Phase::Open { until } = &mut self.phase {
            *until = self.since + self.spec.recovery;
        }
        let must_close = !self.spec.enabled && self.phase != Phase::Closed;
        must_close.then(|| self.close(now, ChangeWhy::SwitchedOff))
    }

    pub fn position(&self) -> Position {
        self.phase.position()
    }

    pub fn spec(&self) -> BreakerSpec {
        self.spec
    }

    /// When it came into its position.
    pub fn since(&self) -> Instant {
        self.since
    }

    /// Failures in a row, up to the newest result.
    pub fn failures_in_a_row(&self) -> u32 {
        self.in_a_row
    }

    /// Failures that counted, over all time.
    pub fn failures_counted(&self) -> u64 {
        self.counted
    }

    /// The last failure that counted.
    pub fn last_failure(&self) -> Option<&LastFailure> {
        self.last.as_ref()
    }

    /// When the next trial is possible. `None` while it is closed, and once it is half-open.
    pub fn next_trial(&self) -> Option<Instant> {
        match self.phase {
            Phase::Open { until } => Some(until),
            Phase::Closed | Phase::HalfOpen { .. } => None,
        }
    }

    /// Whether a trial is under way.
    pub fn is_trying(&self) -> bool {
        matches!(self.phase, Phase::HalfOpen { trial_until: Some(_), .. })
    }

    /// The epoch of calls that are admitted now.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Counts a failure, unless it is part of one that was counted.
    fn count(&mut self, now: Instant, admitted: Admitted, failure: &BreakerFailure) -> bool {
        let is_lost = failure.kind == FailureKind::Lost;
        if admitted.epoch < self.closed_in || (is_lost && admitted.epoch < self.epoch) {
            return false;
        }
        if is_lost {
            self.epoch = self.epoch.next();
        }
        self.counted += 1;
        self.last = Some(LastFailure { at: now, failure: failure.clone() });
        true
    }

    fn open(&mut self, now: Instant, why: ChangeWhy) -> PositionChange {
        let until = now + self.spec.recovery;
        self.move_to(now, Phase::Open { until }, why)
    }

    fn half_open(&mut self, now: Instant, why: ChangeWhy) -> PositionChange {
        let first = self.last_trial.next();
        self.move_to(now, Phase::HalfOpen { first, trial_until: None }, why)
    }

    fn close(&mut self, now: Instant, why: ChangeWhy) -> PositionChange {
        self.begin_anew();
        self.move_to(now, Phase::Closed, why)
    }

    fn begin_anew(&mut self) {
        self.in_a_row = 0;
        self.epoch = self.epoch.next();
        self.closed_in = self.epoch;
    }

    /// Frees the place of a trial, unless another one has taken it.
    fn free(&mut self, trial: Option<TrialNo>) {
        if let Phase::HalfOpen { trial_until, .. } = &mut self.phase
            && trial == Some(self.last_trial)
        {
            *trial_until = None;
        }
    }

    fn move_to(&mut self, now: Instant, phase: Phase, why: ChangeWhy) -> PositionChange {
        let (from, to) = (self.phase.position(), phase.position());
        let lasted = now.saturating_duration_since(self.since);
        (self.phase, self.since) = (phase, now);
        PositionChange { from, to, why, lasted }
    }
}

fn normal(spec: BreakerSpec) -> BreakerSpec {
    BreakerSpec { failures: spec.failures.max(1), ..spec }
}

// === impl Phase ===

impl Phase {
    fn position(self) -> Position {
        match self {
            Self::Closed => Position::Closed,
            Self::Open { .. } => Position::Open,
            Self::HalfOpen { .. } => Position::HalfOpen,
        }
    }
}

// === impl Epoch ===

impl Epoch {
    /// The epoch with this number.
    pub fn from_number(number: u64) -> Self {
        Self(number)
    }

    pub fn number(self) -> u64 {
        self.0
    }

    fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

// === impl TrialNo ===

impl TrialNo {
    fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

// === impl BreakerFailure ===

impl BreakerFailure {
    pub fn new(kind: FailureKind, reason: impl Into<String>) -> Self {
        Self { kind, reason: reason.into() }
    }

    /// What happened, without anything that the target or its configuration says.
    pub fn brief(&self) -> String {
        match self.kind {
            FailureKind::Lost => "its answer was lost".to_owned(),
            FailureKind::Deadline => "it did not answer by the deadline".to_owned(),
            FailureKind::Http(status) => format!("it answered HTTP {status}"),
            FailureKind::Check => "a check of its probe did not pass".to_owned(),
        }
    }
}

// === impl Position ===

impl Position {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::HalfOpen => "half-open",
            Self::Open => "open",
        }
    }
}
