//! Waits before a stream is resumed.

use std::time::Duration;

use mainstay_supervisor::backoff::{Backoff, Jitter};

/// The waits before a stream is resumed repeatedly.
///
/// A server's `retry` is honoured up to half a minute, but never below a minimum that grows while
/// no message arrives. Otherwise a server that closes at once and asks for no pause would be asked
/// again as fast as the network allows.
#[derive(Debug, Default)]
pub(super) struct Retry {
    /// Resumptions in a row that brought nothing.
    vain: u32,
    /// The wait that the server asked for last.
    pub(super) asked: Option<Duration>,
}

/// Longest wait that a server can ask for: a longer one could hold a call past its deadline.
const ASKED_MAX: Duration = Duration::from_secs(30);

// === impl Retry ===

impl Retry {
    /// The next wait, at least the one of `floor`. `otherwise`: where the server asks for nothing.
    pub(super) fn next(&mut self, floor: Backoff, otherwise: Duration) -> Duration {
        let least = Jitter::seeded(seed()).scatter(floor.wait(self.vain));
        self.vain = self.vain.saturating_add(1);
        self.asked.unwrap_or(otherwise).min(ASKED_MAX).max(least)
    }

    /// Resets the growing wait: the stream brought a message.
    pub(super) fn reward(&mut self) {
        self.vain = 0;
    }
}

/// A random seed; 0 without randomness of the system, which only makes all waits alike.
fn seed() -> u64 {
    getrandom::u64().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use mainstay_supervisor::backoff::Backoff;

    use super::Retry;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn waits_grow_while_nothing_comes_and_never_below_what_is_asked_for() {
        let floor = Backoff::try_new(ms(100), ms(2000)).unwrap();
        let mut retry = Retry { asked: Some(ms(0)), ..Retry::default() };
        for expected in [100, 200, 400, 800, 1600, 2000, 2000] {
            let wait = retry.next(floor, ms(1000));
            assert!((ms(expected * 8 / 10)..=ms(expected * 12 / 10)).contains(&wait), "{wait:?}");
        }
        retry.reward();
        assert!(retry.next(floor, ms(1000)) <= ms(120));
        retry.asked = Some(ms(500));
        assert_eq!(retry.next(floor, ms(1000)), ms(500), "what is asked for is not scattered");
        retry.asked = Some(Duration::from_secs(3600));
        assert_eq!(retry.next(floor, ms(1000)), Duration::from_secs(30));
        let mut silent = Retry::default();
        assert_eq!(silent.next(floor, ms(1000)), ms(1000));
    }
}
