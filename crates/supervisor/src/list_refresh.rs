//! When a list of a server is fetched again: after the server has announced a change, and while it
//! fails.
//!
//! A server may announce changes all the time, even because its list was fetched. So the pause
//! before the next fetch grows, until the server is quiet for a while. No announcement is lost: a
//! fetch that begins after the last one always follows.

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use crate::backoff::{Backoff, Jitter};

/// The schedule of one list in one run of an instance.
#[derive(Debug, Clone)]
pub struct ListRefresh {
    /// When the list is to be fetched. `None`: there is no reason to.
    due: Option<Instant>,
    /// Whether a fetch is in progress.
    running: bool,
    /// Whether a change was announced since the fetch in progress began.
    again: bool,
    /// When the last fetch ended. `None` before the first.
    ended: Option<Instant>,
    /// The shortest time between `ended` and the next fetch.
    pause: Duration,
    /// Fetches since the server was quiet.
    streak: u32,
    /// Consecutive failed fetches.
    failures: u32,
    jitter: Jitter,
}

/// The result of a fetch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefreshOutcome {
    /// The list is the same as before.
    Same,
    Changed,
    Failed,
}

/// The time in which further announcements join the first one.
pub const SETTLE: Duration = Duration::from_millis(50);
/// The pauses of a server that goes on announcing changes.
const PAUSE_MIN: Duration = Duration::from_millis(250);
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// The longest pause of a list that really changes.
const PAUSE_CHANGED_MAX: Duration = Duration::from_secs(5);
/// A server is quiet if it announces nothing for twice its pause and this time.
const QUIET: Duration = Duration::from_secs(1);
/// The pauses of a list that fails.
const RETRY_MIN: Duration = Duration::from_secs(1);
const RETRY_MAX: Duration = Duration::from_secs(300);

// === impl ListRefresh ===

impl ListRefresh {
    /// The schedule of a list that was not announced as changed yet.
    pub fn new(jitter: Jitter) -> Self {
        Self {
            due: None,
            running: false,
            again: false,
            ended: None,
            pause: Duration::ZERO,
            streak: 0,
            failures: 0,
            jitter,
        }
    }

    /// Records that the list may have changed.
    pub fn mark(&mut self, now: Instant) {
        if self.running {
            self.again = true;
            return;
        }
        if self.ended.is_none_or(|ended| now >= ended + self.pause * 2 + QUIET) {
            self.streak = 0;
            self.pause = Duration::ZERO;
        }
        let at = self.earliest(now);
        self.due = Some(self.due.map_or(at, |due| due.min(at)));
    }

    /// When to begin the next fetch. `None` if there is nothing to fetch, or a fetch is in progress.
    pub fn due(&self) -> Option<Instant> {
        self.due.filter(|_| !self.running)
    }

    /// Whether a fetch is in progress or due.
    pub fn is_pending(&self) -> bool {
        self.running || self.due.is_some()
    }

    /// Begins a fetch. Announcements so far are answered by it.
    pub fn begin(&mut self) {
        self.due = None;
        self.again = false;
        self.running = true;
    }

    /// Ends the fetch that has begun, and plans the next one if there is a reason.
    pub fn end(&mut self, now: Instant, outcome: RefreshOutcome) {
        self.running = false;
        self.ended = Some(now);
        let max = match outcome {
            RefreshOutcome::Changed => PAUSE_CHANGED_MAX,
            RefreshOutcome::Same | RefreshOutcome::Failed => PAUSE_MAX,
        };
        self.pause = self.jitter.scatter(backoff(PAUSE_MIN, max).wait(self.streak));
        self.streak = self.streak.saturating_add(1);
        self.note(now, outcome);
        if std::mem::take(&mut self.again) {
            let at = self.earliest(now);
            self.due = Some(self.due.map_or(at, |due| due.min(at)));
        }
    }

    /// Records the result of a fetch outside of this schedule, such as the first one.
    pub fn note(&mut self, now: Instant, outcome: RefreshOutcome) {
        if outcome == RefreshOutcome::Failed {
            let wait = self.jitter.scatter(backoff(RETRY_MIN, RETRY_MAX).wait(self.failures));
            self.failures = self.failures.saturating_add(1);
            let at = now + wait;
            self.due = Some(self.due.map_or(at, |due| due.min(at)));
        } else {
            self.failures = 0;
        }
    }

    /// The earliest time of a fetch for an announcement.
    fn earliest(&self, now: Instant) -> Instant {
        let settled = now + SETTLE;
        self.ended.map_or(settled, |ended| settled.max(ended + self.pause))
    }
}

fn backoff(min: Duration, max: Duration) -> Backoff {
    Backoff::try_new(min, max).unwrap_or_default()
}
