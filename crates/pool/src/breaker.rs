//! The circuit breaker of a server, a service or an external: asked before each call, and told how it ended.
//!
//! `supervisor::breaker` decides. Here it is shared between threads, and its changes are made known. While it is
//! closed and no call has failed lately, a call costs one relaxed load before and one after it: the position and
//! what an admission needs are kept in one word beside the lock. A timer makes an open breaker half-open in time,
//! so that status, metrics and log agree although nobody calls.

mod outcome;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime};

use mainstay_model::settings::BreakerSpec;
use mainstay_model::{Need, Refusal, RefusalCode};
use mainstay_supervisor::breaker::{
    Admission, Admitted, BreakerFailure, BreakerState, ChangeWhy, Epoch, Position, PositionChange,
    TrialNo, Verdict,
};
use mainstay_supervisor::probe::Outcome;
use mainstay_telemetry::Metrics;
use mainstay_telemetry::events::{BreakerChanged, rounded};
use parking_lot::{Mutex, MutexGuard};
use tokio::task::AbortHandle;

pub use self::outcome::{AttemptEnd, label};

/// A circuit breaker.
#[derive(Debug)]
pub struct Breaker {
    id: Need,
    word: Word,
    inner: Mutex<Inner>,
    metrics: Arc<Metrics>,
    own: Weak<Self>,
}

#[derive(Debug)]
struct Inner {
    state: BreakerState,
    /// When it came into its position, as a date.
    since: SystemTime,
    /// Makes it half-open when its recovery is over.
    timer: Option<AbortHandle>,
}

/// How a call was admitted. Dropping a ticket that was not reported gives its trial back.
#[derive(Debug)]
pub struct Ticket {
    epoch: Epoch,
    /// `None` for nearly all calls. Boxed, so that theirs are small.
    trial: Option<Box<Trial>>,
}

/// The trial of a half-open breaker.
#[derive(Debug)]
struct Trial {
    /// `None` once its result is reported.
    breaker: Option<Arc<Breaker>>,
    epoch: Epoch,
    no: TrialNo,
}

/// A breaker as it is now.
#[derive(Debug, Clone)]
pub struct BreakerView {
    pub id: Need,
    pub position: Position,
    pub since: SystemTime,
    /// Failures in a row, up to the newest result.
    pub failures_in_a_row: u32,
    /// Failures that counted since the daemon started.
    pub failures_counted: u64,
    /// The last failure that counted, and how long ago that was.
    pub last_failure: Option<(BreakerFailure, Duration)>,
    /// The time until the next trial is possible, while it is open.
    pub next_trial_in: Option<Duration>,
    /// Whether a trial is under way.
    pub is_trying: bool,
    pub spec: BreakerSpec,
}

/// What a call needs to know, in one word: the position (2 bits), whether something failed lately (1 bit), and the
/// number of the epoch.
#[derive(Debug)]
struct Word(AtomicU64);

const POSITION: u64 = 0b11;
const CLOSED: u64 = 0;
const HAS_FAILED: u64 = 0b100;
const EPOCH_SHIFT: u32 = 3;

/// When to call again while the trial of another call is under way.
const TRIAL_RETRY: Duration = Duration::from_secs(1);

// === impl Breaker ===

impl Breaker {
    /// A closed breaker of the node `id`.
    pub fn new(id: Need, spec: BreakerSpec, metrics: &Arc<Metrics>) -> Arc<Self> {
        let state = BreakerState::new(spec, Instant::now());
        Arc::new_cyclic(|own| Self {
            id,
            word: Word::of(&state),
            inner: Mutex::new(Inner { state, since: SystemTime::now(), timer: None }),
            metrics: metrics.clone(),
            own: own.clone(),
        })
    }

    /// Asks whether a call may be sent. The ticket is to be reported with what became of the call.
    ///
    /// # Errors
    /// The view of the breaker, which is open or has a trial under way.
    pub fn admit(&self) -> Result<Ticket, Box<BreakerView>> {
        match self.admit_if_closed() {
            Some(ticket) => Ok(ticket),
            None => self.admit_unless_open(),
        }
    }

    /// A ticket, if all calls pass. Takes no lock.
    pub fn admit_if_closed(&self) -> Option<Ticket> {
        Some(Ticket { epoch: self.word.closed_epoch()?, trial: None })
    }

    #[cold]
    fn admit_unless_open(&self) -> Result<Ticket, Box<BreakerView>> {
        let mut inner = self.look();
        match inner.state.admit(Instant::now()) {
            Admission::Allowed(epoch) => Ok(Ticket { epoch, trial: None }),
            Admission::Trial(epoch, no) => {
                let breaker = self.own.upgrade();
                Ok(Ticket { epoch, trial: Some(Box::new(Trial { breaker, epoch, no })) })
            }
            Admission::Refused { .. } => Err(Box::new(self.view_of(&inner))),
        }
    }

    /// Asks again for a call that has waited since it was admitted. A trial stays one.
    ///
    /// # Errors
    /// As [`admit`](Self::admit).
    pub fn admit_again(&self, ticket: Ticket) -> Result<Ticket, Box<BreakerView>> {
        match ticket.trial {
            Some(_) => Ok(ticket),
            None => self.admit(),
        }
    }

    /// Takes note that a call succeeded.
    pub fn succeeded(&self, ticket: Ticket) {
        if ticket.trial.is_some() || !self.word.is_at_rest() {
            self.report(ticket, &Verdict::Success);
        }
    }

    /// Takes note of what became of a call.
    #[cold]
    pub fn report(&self, mut ticket: Ticket, verdict: &Verdict) {
        let trial = ticket.trial.take().map(|trial| trial.keep());
        self.note(Admitted { epoch: ticket.epoch, trial }, verdict);
    }

    fn note(&self, admitted: Admitted, verdict: &Verdict) {
        let mut inner = self.look();
        let change = inner.state.report(Instant::now(), admitted, verdict);
        self.publish(&mut inner, change);
    }

    /// Takes note of a check of the target's probe. It is the trial of a half-open breaker, unless a call is.
    pub fn checked(&self, outcome: &Outcome) {
        if let Ok(ticket) = self.admit() {
            match outcome {
                Outcome::Passed => self.succeeded(ticket),
                outcome => self.report(ticket, &outcome::verdict_of_check(outcome)),
            }
        }
    }

    /// Closes it, whatever its position. Returns whether it was not closed.
    pub fn reset(&self, why: ChangeWhy) -> bool {
        let mut inner = self.look();
        let change = inner.state.reset(Instant::now(), why);
        self.publish(&mut inner, change);
        change.is_some()
    }

    /// Takes note that its node has become ready again. Returns whether it is half-open because of that.
    pub fn ready_again(&self) -> bool {
        let mut inner = self.look();
        let change = inner.state.ready_again(Instant::now());
        self.publish(&mut inner, change);
        change.is_some()
    }

    /// Replaces the settings, from now on.
    pub fn set_spec(&self, spec: BreakerSpec) {
        let mut inner = self.look();
        let change = inner.state.set_spec(Instant::now(), spec);
        self.publish(&mut inner, change);
        self.set_timer(&mut inner);
    }

    /// The node that it belongs to.
    pub fn id(&self) -> &Need {
        &self.id
    }

    /// Whether all calls pass. Cheap.
    pub fn is_closed(&self) -> bool {
        self.word.closed_epoch().is_some()
    }

    pub fn position(&self) -> Position {
        self.look().state.position()
    }

    /// The breaker as it is now.
    pub fn view(&self) -> BreakerView {
        let inner = self.look();
        self.view_of(&inner)
    }

    /// Locks the state, with the time taken note of.
    fn look(&self) -> MutexGuard<'_, Inner> {
        let mut inner = self.inner.lock();
        let change = inner.state.tick(Instant::now());
        if change.is_some() {
            self.publish(&mut inner, change);
        }
        inner
    }

    /// Makes a change known, under the lock, so that changes are made known in their order.
    fn publish(&self, inner: &mut Inner, change: Option<PositionChange>) {
        self.word.set(&inner.state);
        let Some(change) = change else { return };
        inner.since = SystemTime::now();
        self.set_timer(inner);
        let last = inner.state.last_failure().map(|last| &last.failure);
        let next_trial_in = (change.to == Position::Open).then_some(inner.state.spec().recovery);
        let why = said(&change, inner.state.failures_in_a_row());
        BreakerChanged {
            name: &self.id.name,
            from: label(change.from),
            to: label(change.to),
            why: &why,
            failures: inner.state.failures_in_a_row(),
            last_error: last.map(|failure| failure.reason.as_str()),
            brief_error: last.map(BreakerFailure::brief),
            next_trial_in,
        }
        .emit(&self.metrics);
    }

    /// Has an open breaker looked at when its recovery is over.
    fn set_timer(&self, inner: &mut Inner) {
        if let Some(timer) = inner.timer.take() {
            timer.abort();
        }
        let Some(until) = inner.state.next_trial() else { return };
        // Without a runtime nobody serves, and whoever asks takes note of the time.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let own = self.own.clone();
        let timer = runtime.spawn(async move {
            tokio::time::sleep_until(until.into()).await;
            if let Some(breaker) = own.upgrade() {
                drop(breaker.look());
            }
        });
        inner.timer = Some(timer.abort_handle());
    }

    fn view_of(&self, inner: &Inner) -> BreakerView {
        let (state, now) = (&inner.state, Instant::now());
        let last = state.last_failure();
        BreakerView {
            id: self.id.clone(),
            position: state.position(),
            since: inner.since,
            failures_in_a_row: state.failures_in_a_row(),
            failures_counted: state.failures_counted(),
            last_failure: last
                .map(|last| (last.failure.clone(), now.saturating_duration_since(last.at))),
            next_trial_in: state.next_trial().map(|at| at.saturating_duration_since(now)),
            is_trying: state.is_trying(),
            spec: state.spec(),
        }
    }
}

impl Drop for Breaker {
    fn drop(&mut self) {
        if let Some(timer) = self.inner.get_mut().timer.take() {
            timer.abort();
        }
    }
}

/// Why a breaker changed, as a sentence without what the target said.
fn said(change: &PositionChange, failures: u32) -> String {
    let lasted = rounded(change.lasted);
    match change.why {
        ChangeWhy::Failures => times(failures),
        ChangeWhy::Recovery => format!("it was open for {lasted}; the next call is a trial"),
        ChangeWhy::Ready => "it is ready again; the next check or call is a trial".to_owned(),
        ChangeWhy::TrialSucceeded => "the trial succeeded".to_owned(),
        ChangeWhy::TrialFailed => "the trial failed".to_owned(),
        ChangeWhy::Reset => "it was reset by hand".to_owned(),
        ChangeWhy::Restarted => "what it belongs to was restarted by hand".to_owned(),
        ChangeWhy::Stopped => "what it belongs to was stopped by hand".to_owned(),
        ChangeWhy::SwitchedOff => "it was switched off in the configuration".to_owned(),
    }
}

// === impl Ticket ===

impl Ticket {
    /// Whether the call is the trial of a half-open breaker.
    pub fn is_trial(&self) -> bool {
        self.trial.is_some()
    }
}

// === impl BreakerView ===

impl BreakerView {
    /// When a call makes sense again.
    pub fn retry_in(&self) -> Duration {
        self.next_trial_in.unwrap_or(TRIAL_RETRY).max(Duration::from_millis(1))
    }

    /// The last failure in short, as the rest of a sentence.
    pub fn brief_error(&self) -> String {
        let last = self.last_failure.as_ref();
        last.map_or_else(|| "unknown".to_owned(), |(failure, _)| failure.brief())
    }

    /// When it came into its position, as an RFC 3339 time.
    pub fn since_date(&self) -> String {
        date(self.since)
    }

    /// The refusal of a call to the server that the breaker belongs to.
    pub(crate) fn refusal(&self) -> Refusal {
        let name = &self.id.name;
        let say = match (self.position, self.next_trial_in) {
            (Position::Open, Some(left)) => format!(
                "the circuit breaker of server {name} is open after {}: {}; the next trial is in {}",
                times(self.failures_in_a_row),
                self.brief_error(),
                rounded(left)
            ),
            _ => format!(
                "the circuit breaker of server {name} is half-open after {}: {}; a trial call is under way",
                times(self.failures_in_a_row),
                self.brief_error(),
            ),
        };
        Refusal::new(RefusalCode::BreakerOpen, say)
            .server(name)
            .since(self.since_date())
            .limit(format!(
                "breaker: {} failures in a row, recovery {}",
                self.spec.failures,
                rounded(self.spec.recovery)
            ))
            .retry_after(self.retry_in())
            .hint(format!(
                "`mainstay status {name}` shows the last error; `mainstay breaker reset {name}` closes the breaker"
            ))
    }
}

fn times(failures: u32) -> String {
    if failures == 1 { "a failure".to_owned() } else { format!("{failures} failures in a row") }
}

/// A moment of the past as an RFC 3339 time.
pub(crate) fn date_of(at: Instant) -> String {
    date(SystemTime::now().checked_sub(at.elapsed()).unwrap_or(SystemTime::UNIX_EPOCH))
}

/// An RFC 3339 time with milliseconds.
fn date(at: SystemTime) -> String {
    format!("{:.3}", jiff::Timestamp::try_from(at).unwrap_or_default())
}

// === impl Trial ===

impl Trial {
    /// Takes the number out, because its result is reported.
    fn keep(mut self) -> TrialNo {
        self.breaker = None;
        self.no
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        if let Some(breaker) = self.breaker.take() {
            let (epoch, trial) = (self.epoch, Some(self.no));
            breaker.note(Admitted { epoch, trial }, &Verdict::Neither);
        }
    }
}

// === impl Word ===

impl Word {
    fn of(state: &BreakerState) -> Self {
        let word = Self(AtomicU64::new(0));
        word.set(state);
        word
    }

    fn set(&self, state: &BreakerState) {
        let position = match state.position() {
            Position::Closed => CLOSED,
            Position::HalfOpen => 1,
            Position::Open => 2,
        };
        let has_failed = if state.failures_in_a_row() > 0 { HAS_FAILED } else { 0 };
        let word = position | has_failed | (state.epoch().number() << EPOCH_SHIFT);
        self.0.store(word, Ordering::Relaxed);
    }

    /// The epoch, if the breaker is closed.
    fn closed_epoch(&self) -> Option<Epoch> {
        let word = self.0.load(Ordering::Relaxed);
        (word & POSITION == CLOSED).then(|| Epoch::from_number(word >> EPOCH_SHIFT))
    }

    /// Whether the breaker is closed and the newest result was no failure.
    fn is_at_rest(&self) -> bool {
        self.0.load(Ordering::Relaxed) & (POSITION | HAS_FAILED) == CLOSED
    }
}
