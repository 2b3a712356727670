//! How long a call may wait before it is sent, and what it is told when that was too long.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A call whose wait ends later than this before its deadline is not sent: its server could not be blamed for
/// the missing answer. A tenth of the time of the call, and this at most.
const RESERVE_MAX: Duration = Duration::from_secs(3);

/// The wait of one call behind others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Queued {
    pub(crate) since: Instant,
    /// The calls before this one when it came.
    pub(crate) behind: usize,
}

/// A place among the calls that wait. Dropping it gives the place up.
#[derive(Debug)]
pub(crate) struct Place<'a>(&'a AtomicUsize);

/// Until when a call with this deadline may wait for a server. The rest is the server's.
pub(crate) fn send_by(now: Instant, deadline: Instant) -> Instant {
    let reserve = (deadline.saturating_duration_since(now) / 10).min(RESERVE_MAX);
    deadline.checked_sub(reserve).unwrap_or(deadline)
}

// === impl Queued ===

impl Queued {
    /// How long the call has waited and behind how many, as the rest of a sentence.
    pub(crate) fn told(self) -> String {
        let Self { since, behind } = self;
        let calls = if behind == 1 { "call" } else { "calls" };
        format!("{:.1?} behind {behind} other {calls}", since.elapsed())
    }
}

// === impl Place ===

impl<'a> Place<'a> {
    /// Takes a place. Returns also how many were taken before.
    pub(crate) fn take(places: &'a AtomicUsize) -> (Self, usize) {
        let before = places.fetch_add(1, Ordering::AcqRel);
        (Self(places), before)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Queued, send_by};

    #[test]
    fn a_tenth_of_the_time_is_left_for_the_server_and_three_seconds_at_most() {
        let now = Instant::now();
        for (millis, reserve) in
            [(0, 0), (100, 10), (6_000, 600), (30_000, 3_000), (300_000, 3_000)]
        {
            let deadline = now + Duration::from_millis(millis);
            assert_eq!(
                deadline - send_by(now, deadline),
                Duration::from_millis(reserve),
                "{millis}"
            );
        }
        assert_eq!(send_by(now + Duration::from_secs(1), now), now, "a deadline in the past");
    }

    #[test]
    fn the_wait_is_told_with_the_number_of_calls_before() {
        let since = Instant::now().checked_sub(Duration::from_secs(27)).unwrap();
        assert!(
            Queued { since, behind: 3 }.told().starts_with("27.0"),
            "{}",
            Queued { since, behind: 3 }.told()
        );
        assert!(Queued { since, behind: 3 }.told().ends_with(" behind 3 other calls"));
        assert!(Queued { since, behind: 1 }.told().ends_with(" behind 1 other call"));
    }
}
