//! Bounds how often sessions are given up because of refusals.

use std::time::{Duration, Instant};

use mainstay_supervisor::backoff::Backoff;
use parking_lot::Mutex;

/// Bounds how often sessions are given up because of refusals: where a new one does not help, it is
/// not the session.
#[derive(Debug, Default)]
pub(super) struct Renewals(Mutex<Vain>);

#[derive(Debug, Default)]
struct Vain {
    count: u32,
    last: Option<Instant>,
}

/// Pause between two sessions that are given up; it doubles each time.
const RENEWAL_MIN: Duration = Duration::from_secs(10);
const RENEWAL_MAX: Duration = Duration::from_secs(600);

// === impl Renewals ===

impl Renewals {
    /// Whether a session may be given up now, which counts as done.
    pub(super) fn allow(&self, now: Instant) -> bool {
        let mut vain = self.0.lock();
        let since = vain.last.map(|last| now.saturating_duration_since(last));
        let pause = Backoff::try_new(RENEWAL_MIN, RENEWAL_MAX).unwrap_or_default();
        match since {
            Some(since) if since < pause.wait(vain.count.saturating_sub(1)) => return false,
            Some(since) if since < RENEWAL_MAX => vain.count = vain.count.saturating_add(1),
            _ => vain.count = 1,
        }
        vain.last = Some(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Renewals;

    #[test]
    fn sessions_are_given_up_ever_more_rarely_where_that_does_not_help() {
        let (renewals, begun) = (Renewals::default(), Instant::now());
        let at = |seconds| begun + Duration::from_secs(seconds);
        let allowed: Vec<_> = (0..700).filter(|second| renewals.allow(at(*second))).collect();
        assert_eq!(allowed, [0, 10, 30, 70, 150, 310, 630]);
        assert!(renewals.allow(at(1300)), "a quiet time");
        assert!(!renewals.allow(at(1305)));
        assert!(renewals.allow(at(1310)), "forgets what was before");
    }
}
