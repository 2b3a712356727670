//! What it means when a check reaches its time limit.

use std::time::Duration;

use mainstay_supervisor::probe::Outcome;
use parking_lot::Mutex;

/// The outcome of a check if its time ends now. It changes as the check gets further: a server that has answered
/// with an error and is slow to explain it was not silent.
#[derive(Debug)]
pub(super) struct Late {
    outcome: Mutex<Outcome>,
    timeout: Duration,
}

/// The brief reason of every check that reached its time limit.
pub(super) const TIMED_OUT: &str = "its probe got no answer in time";

impl Late {
    pub(super) fn new(timeout: Duration) -> Self {
        let late = Self { outcome: Mutex::new(Outcome::Passed), timeout };
        late.is_silence("nothing happened");
        late
    }

    /// From now on the time limit means silence, and this is how far the check has come.
    pub(super) fn is_silence(&self, so_far: &str) {
        let reason = format!("no answer within {:?}: {so_far}", self.timeout);
        self.means(Outcome::silent(reason, TIMED_OUT));
    }

    /// From now on the time limit means this outcome.
    pub(super) fn means(&self, outcome: Outcome) {
        *self.outcome.lock() = outcome;
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(super) fn into_outcome(self) -> Outcome {
        self.outcome.into_inner()
    }
}
