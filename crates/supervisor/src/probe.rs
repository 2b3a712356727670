//! When a target is checked, and what the results of the checks lead to.
//!
//! ```text
//!              rise × passed                fall × failed
//!   Waiting ────────────────▶ Fit ─────────────────────────▶ Unhealthy
//!      ▲                       ▲                                 │
//!      │ restarted             └─────────────────────────────────┘
//!      └── from anywhere                 rise × passed
//! ```
//!
//! A target that was fit and did not answer `fall` times in a row is hung: a restart may help it. One that
//! answers that it is not well is only unhealthy: a restart would not make its answer better. A target that was
//! not fit yet in this run can be neither; its failures only mean "not yet".
//!
//! At most one check of a target is in progress. Checks come quickly after a start, so that a target that is
//! ready after 300 ms is not noticed after 5 s, and again while there is a doubt about a target that was fit.

#[cfg(test)]
mod schedules;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use mainstay_model::settings::ProbeSpec;

use crate::backoff::{Backoff, Jitter};

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Passed,
    /// Something answered, and not as expected. Also when nothing could be learned about the target, for
    /// example because its name was not found: no sign that a restart would help.
    Unfit(Failure),
    /// There was no answer: refused, reset or timed out.
    Silent(Failure),
}

/// Why a check failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The reason for the operator, as it follows `its probe failed: `. Never contains a secret.
    pub reason: String,
    /// The same without addresses, paths and words of the target, for the open endpoints. A sentence about the
    /// target by itself.
    pub brief: String,
}

/// What the checks have shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeShift {
    /// The target is ready, for the first time in this run or again.
    Fit,
    /// The target was fit, and the last checks failed.
    Unhealthy {
        failure: Failure,
        /// Failed checks in a row.
        failures: u32,
    },
    /// The target was fit, and did not answer the last checks. It is unhealthy, and if Mainstay runs it, it is
    /// to be replaced.
    Hung {
        failure: Failure,
        /// Unanswered checks in a row.
        silences: u32,
    },
}

/// The times of a probe, and how many results in a row count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProbeTimes {
    /// The longest time between the begins of two checks of a fit target.
    pub period: Duration,
    /// The same while the target is not fit, or a check of it failed.
    pub waiting_period: Duration,
    /// So many failures in a row make a fit target unhealthy. At least 1.
    pub fall: u32,
    /// So many successes in a row make a target fit. At least 1.
    pub rise: u32,
}

/// The number of a check, counted from 1. Results of a check that was given up are ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CheckNo(u64);

/// The schedule of the checks of one target, and the account of their results.
#[derive(Debug, Clone)]
pub struct ProbeWatch {
    times: ProbeTimes,
    jitter: Jitter,
    standing: Standing,
    /// When the next check is due, unless one is in progress.
    due: Instant,
    last: CheckNo,
    /// When the check in progress began. `None`: none is.
    running_since: Option<Instant>,
    /// When the next check may begin at the earliest. `None` before the first check of a run ends.
    earliest: Option<Instant>,
    /// Whether the next check was asked for while one was in progress.
    again: bool,
    /// Checks since the start of this run.
    checks: u32,
    passes: u32,
    failures: u32,
    silences: u32,
    /// The failure of the last check. `None` if it passed, or there was none.
    failure: Option<Failure>,
}

/// What is known about the target in this run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Waiting,
    Fit,
    Unhealthy,
}

/// The time between the begins of the first two checks after a start. It doubles with each further check.
const FIRST_PERIOD: Duration = Duration::from_millis(100);
/// The shortest time between the end of a check and the begin of the next, also of one that took long.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// The shortest time between the begins of two checks that were asked for.
const HASTE_PERIOD: Duration = Duration::from_millis(500);

// === impl Outcome ===

impl Outcome {
    /// A failure of a target that answered.
    pub fn unfit(reason: impl Into<String>, brief: impl Into<String>) -> Self {
        Self::Unfit(Failure { reason: reason.into(), brief: brief.into() })
    }

    /// A failure of a target that did not answer.
    pub fn silent(reason: impl Into<String>, brief: impl Into<String>) -> Self {
        Self::Silent(Failure { reason: reason.into(), brief: brief.into() })
    }

    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Passed => None,
            Self::Unfit(failure) | Self::Silent(failure) => Some(failure),
        }
    }
}

// === impl ProbeTimes ===

impl From<&ProbeSpec> for ProbeTimes {
    fn from(spec: &ProbeSpec) -> Self {
        let ProbeSpec { period, waiting_period, fall, rise, .. } = *spec;
        Self { period, waiting_period, fall, rise }
    }
}

// === impl ProbeWatch ===

impl ProbeWatch {
    /// The watch over a target that starts now, or that is looked at for the first time.
    pub fn new(now: Instant, times: ProbeTimes, jitter: Jitter) -> Self {
        let times = ProbeTimes { fall: times.fall.max(1), rise: times.rise.max(1), ..times };
        let mut watch = Self {
            times,
            jitter,
            standing: Standing::Waiting,
            due: now,
            last: CheckNo(0),
            running_since: None,
            earliest: None,
            again: false,
            checks: 0,
            passes: 0,
            failures: 0,
            silences: 0,
            failure: None,
        };
        watch.restarted(now);
        watch
    }

    /// Begins anew, because the target was started again. A check in progress is given up: the driver ends it,
    /// and its result does not count.
    pub fn restarted(&mut self, now: Instant) {
        self.standing = Standing::Waiting;
        self.running_since = None;
        self.earliest = None;
        self.again = false;
        (self.checks, self.passes, self.failures, self.silences) = (0, 0, 0, 0);
        self.failure = None;
        // Not all at the same moment: a daemon may start 200 targets at once.
        self.due = now + self.jitter.part(FIRST_PERIOD);
    }

    /// When the next check is to begin. `None` while one is in progress.
    pub fn next_check(&self) -> Option<Instant> {
        self.running_since.is_none().then_some(self.due)
    }

    /// Begins a check. A check in progress is given up, as by [`restarted`](Self::restarted).
    pub fn begin(&mut self, now: Instant) -> CheckNo {
        self.last = CheckNo(self.last.0 + 1);
        self.running_since = Some(now);
        self.again = false;
        self.checks = self.checks.saturating_add(1);
        self.last
    }

    /// Ends a check with its result, and plans the next.
    pub fn step(&mut self, now: Instant, check: CheckNo, outcome: &Outcome) -> Option<ProbeShift> {
        let begun = self.running_since.filter(|_| check == self.last)?;
        self.running_since = None;
        let shift = match outcome {
            Outcome::Passed => self.pass(),
            Outcome::Unfit(failure) => self.fail(failure, false),
            Outcome::Silent(failure) => self.fail(failure, true),
        };
        let longest = self.pause();
        // Never later than the configuration says, and not in step with others.
        let pause = longest - self.jitter.part(longest / 5);
        self.due = (begun + pause).max(now + PAUSE_MIN);
        self.earliest = Some((begun + HASTE_PERIOD).max(now + PAUSE_MIN));
        if std::mem::take(&mut self.again) {
            self.hasten(now);
        }
        shift
    }

    /// Brings the next check forward, because there is a reason to doubt what is known: what needs the target
    /// was lost, for example. However often this is called, checks stay apart.
    pub fn hasten(&mut self, now: Instant) {
        if self.running_since.is_some() {
            self.again = true;
            return;
        }
        self.due = self.due.min(self.earliest.map_or(now, |earliest| earliest.max(now)));
    }

    /// Whether the target is fit, as far as is known.
    pub fn is_fit(&self) -> bool {
        self.standing == Standing::Fit
    }

    /// Whether the target was not fit yet in this run.
    pub fn is_waiting(&self) -> bool {
        self.standing == Standing::Waiting
    }

    /// What the last check failed on. `None` if it passed, or there was none in this run.
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    fn pass(&mut self) -> Option<ProbeShift> {
        (self.failures, self.silences, self.failure) = (0, 0, None);
        self.passes = self.passes.saturating_add(1);
        if self.standing == Standing::Fit || self.passes < self.times.rise {
            return None;
        }
        self.standing = Standing::Fit;
        Some(ProbeShift::Fit)
    }

    fn fail(&mut self, failure: &Failure, is_silent: bool) -> Option<ProbeShift> {
        self.passes = 0;
        self.failures = self.failures.saturating_add(1);
        self.silences = if is_silent { self.silences.saturating_add(1) } else { 0 };
        self.failure = Some(failure.clone());
        let was_fit = self.standing == Standing::Fit;
        if self.standing == Standing::Waiting {
            return None;
        }
        if self.silences == self.times.fall {
            self.standing = Standing::Unhealthy;
            return Some(ProbeShift::Hung { failure: failure.clone(), silences: self.silences });
        }
        if was_fit && self.failures >= self.times.fall {
            self.standing = Standing::Unhealthy;
            return Some(ProbeShift::Unhealthy {
                failure: failure.clone(),
                failures: self.failures,
            });
        }
        None
    }

    /// The longest time from the begin of the last check to that of the next.
    fn pause(&self) -> Duration {
        let ProbeTimes { period, waiting_period, .. } = self.times;
        match self.standing {
            Standing::Fit if self.failures == 0 => period,
            // It passed or failed once, and more results decide.
            Standing::Fit => waiting_period.min(period),
            Standing::Waiting => {
                let first = FIRST_PERIOD.min(waiting_period);
                let backoff = Backoff::try_new(first, waiting_period);
                backoff
                    .map_or(waiting_period, |backoff| backoff.wait(self.checks.saturating_sub(1)))
            }
            Standing::Unhealthy => waiting_period,
        }
    }
}
