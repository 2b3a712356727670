//! The retry budget of a server: how many calls may be sent again, so that repetition never becomes a load of
//! its own on a server that is in trouble.
//!
//! The budget grows by 3 retries a second and by one for every 10 calls. It holds at most what 10 seconds bring.
//! A retry that finds none left is promised a place later, when the seconds alone will have paid for it, so retries
//! of many calls that were lost together follow each other at an even pace. One whose place would come after its
//! deadline gets none.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::backoff::Jitter;

#[cfg(test)]
mod tests;

/// Retries a second, whatever the number of calls.
pub const RETRIES_A_SECOND: u64 = 3;

/// Calls that bring one retry: 10 %.
pub const CALLS_FOR_ONE: u64 = 10;

/// The calls of this time count, and the budget holds what it brings at most.
pub const WINDOW: Duration = Duration::from_secs(10);

/// Most retries that wait for places. At the pace of the seconds alone the last of them waits 100 s.
pub const PROMISED_MAX: u64 = 300;

/// One retry in the unit of account, thousandths: one millisecond brings 3 of them, one call 100.
const ONE: i64 = 1_000;

/// How far apart the counts of calls are kept.
const SAMPLE_EVERY: Duration = Duration::from_secs(1);

/// The retry budget of one server.
#[derive(Debug)]
pub struct RetryBudget {
    /// What is left, in thousandths. Less than zero: places are promised.
    left: i64,
    as_of: Instant,
    /// The count of calls that `left` takes into account.
    calls: u64,
    /// Counts of calls of the last seconds, and one from before.
    samples: VecDeque<(Instant, u64)>,
    jitter: Jitter,
}

/// What a call wants that is to be sent again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryWish {
    /// The pause before the retry is a random part of this (full jitter).
    pub pause_max: Duration,
    /// The server has asked to be left alone this long.
    pub at_least: Duration,
    /// The retry must be sent before.
    pub deadline: Instant,
}

/// The error for a call that can't be sent again in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the retry budget is spent: {RETRIES_A_SECOND} retries a second and one for every {CALLS_FOR_ONE} calls"
)]
pub struct BudgetSpent {
    /// When there would be a place.
    pub wait: Duration,
}

// === impl RetryBudget ===

impl RetryBudget {
    /// A full budget. `calls`: the count of calls so far. The seed determines the pauses.
    pub fn new(now: Instant, calls: u64, seed: u64) -> Self {
        Self {
            left: most_left(0),
            as_of: now,
            calls,
            samples: VecDeque::from([(now, calls)]),
            jitter: Jitter::seeded(seed),
        }
    }

    /// Takes a place for a retry and returns when it may be sent. `calls`: the count of calls so far.
    ///
    /// # Errors
    /// [`BudgetSpent`] if no place comes before the deadline of the call, or too many wait. Nothing is taken then.
    pub fn take(
        &mut self,
        now: Instant,
        calls: u64,
        wish: &RetryWish,
    ) -> Result<Instant, BudgetSpent> {
        self.grow(now, calls);
        let left = self.left - ONE;
        let owed = u64::try_from(-left).unwrap_or(0);
        let wait = Duration::from_millis(owed.div_ceil(RETRIES_A_SECOND));
        let pause = wish.at_least + self.jitter.part(wish.pause_max);
        let at = now + pause.max(wait);
        if at >= wish.deadline || owed > PROMISED_MAX * ONE.unsigned_abs() {
            return Err(BudgetSpent { wait });
        }
        self.left = left;
        Ok(at)
    }

    /// Gives a place back that was not used.
    pub fn give_back(&mut self) {
        self.left = (self.left + ONE).min(most_left(self.calls_in_window()));
    }

    /// Adds what the time and the calls since then have brought.
    fn grow(&mut self, now: Instant, calls: u64) {
        let passed = now.saturating_duration_since(self.as_of);
        let by_time = thousandths(passed.as_millis(), RETRIES_A_SECOND);
        let by_calls = thousandths(
            u128::from(calls.saturating_sub(self.calls)),
            ONE.unsigned_abs() / CALLS_FOR_ONE,
        );
        self.calls = self.calls.max(calls);
        // The fraction of a millisecond is kept.
        self.as_of += Duration::from_millis(u64::try_from(passed.as_millis()).unwrap_or(u64::MAX));
        self.sample(now);
        let grown = self.left.saturating_add(by_time).saturating_add(by_calls);
        self.left = grown.min(most_left(self.calls_in_window()));
    }

    fn sample(&mut self, now: Instant) {
        let is_due =
            self.samples.back().is_none_or(|(at, _)| now.duration_since(*at) >= SAMPLE_EVERY);
        if is_due {
            self.samples.push_back((now, self.calls));
        }
        // Of those from before the window only the latest tells something.
        while self.samples.get(1).is_some_and(|(at, _)| now.duration_since(*at) >= WINDOW) {
            self.samples.pop_front();
        }
    }

    /// The calls of the last 10 seconds. Where there is no count from their beginning, as many as there were on
    /// the average since the last one.
    fn calls_in_window(&self) -> u64 {
        let Some((at, count)) = self.samples.front() else { return 0 };
        let since = self.calls.saturating_sub(*count);
        let over = self.as_of.saturating_duration_since(*at).max(WINDOW).as_millis();
        let share = u128::from(since) * WINDOW.as_millis() / over;
        u64::try_from(share).unwrap_or(u64::MAX)
    }
}

/// What the budget holds at most, in thousandths.
fn most_left(calls_in_window: u64) -> i64 {
    let by_time = RETRIES_A_SECOND * WINDOW.as_secs();
    let by_calls = thousandths(u128::from(calls_in_window), ONE.unsigned_abs() / CALLS_FOR_ONE);
    thousandths(u128::from(by_time), ONE.unsigned_abs()).saturating_add(by_calls)
}

/// The product, or the greatest number there is.
fn thousandths(count: u128, each: u64) -> i64 {
    i64::try_from(count.saturating_mul(u128::from(each))).unwrap_or(i64::MAX)
}
