//! Exponential backoff with jitter.

use std::time::Duration;

/// Exponential backoff: the wait doubles with each attempt, up to a maximum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    min: Duration,
    max: Duration,
}

/// The error for bounds that make no valid [`Backoff`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBackoff {
    #[error("the first wait is zero, so attempts would follow each other without a pause")]
    Zero,
    #[error("the first wait {min:?} is longer than the longest wait {max:?}")]
    Reversed { min: Duration, max: Duration },
}

/// Jitter: a pseudo-random series of factors between 0.8 and 1.2, determined by a seed.
///
/// The driver supplies the seed, so tests can replay a schedule exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Jitter {
    /// The state of the generator. `None` means that every factor is 1.
    state: Option<u64>,
}

/// The maximum deviation of a wait to either side, in thousandths.
const SCATTER_PERMILLE: u64 = 200;

// === impl Backoff ===

impl Backoff {
    /// A backoff from `min` to `max`.
    ///
    /// # Errors
    /// [`InvalidBackoff`] if `min` is zero or longer than `max`.
    pub const fn try_new(min: Duration, max: Duration) -> Result<Self, InvalidBackoff> {
        if min.is_zero() {
            return Err(InvalidBackoff::Zero);
        }
        if min.as_nanos() > max.as_nanos() {
            return Err(InvalidBackoff::Reversed { min, max });
        }
        Ok(Self { min, max })
    }

    /// The wait before attempt `n`, counted from 0, without jitter.
    pub fn wait(&self, n: u32) -> Duration {
        // A shift past 31 would overflow; the maximum is reached long before that.
        self.min.saturating_mul(1 << n.min(31)).min(self.max)
    }
}

impl Default for Backoff {
    /// From one second to a minute.
    fn default() -> Self {
        Self { min: Duration::from_secs(1), max: Duration::from_secs(60) }
    }
}

// === impl Jitter ===

impl Jitter {
    /// No jitter: every factor is 1.
    pub const fn none() -> Self {
        Self { state: None }
    }

    /// The series of factors that `seed` determines.
    pub const fn seeded(seed: u64) -> Self {
        Self { state: Some(seed) }
    }

    /// Multiplies `wait` by the next factor of the series.
    pub fn scatter(&mut self, wait: Duration) -> Duration {
        let Some(state) = &mut self.state else { return wait };
        let permille = 1000 - SCATTER_PERMILLE + next(state) % (2 * SCATTER_PERMILLE + 1);
        wait.saturating_mul(permille as u32) / 1000
    }

    /// A part of `wait`, from nothing to all of it, by the next number of the series. Nothing without jitter.
    pub fn part(&mut self, wait: Duration) -> Duration {
        let Some(state) = &mut self.state else { return Duration::ZERO };
        wait.saturating_mul((next(state) % 1001) as u32) / 1000
    }
}

/// The SplitMix64 generator, which is cheap and good enough to spread waits.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Backoff, InvalidBackoff, Jitter};

    const fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn waits_double_up_to_the_bound_and_never_overflow() {
        let backoff = Backoff::try_new(seconds(1), seconds(60)).unwrap();
        let waits: Vec<u64> = (0..8).map(|n| backoff.wait(n).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(backoff.wait(u32::MAX), seconds(60));
    }

    #[test]
    fn a_backoff_without_pause_can_not_be_made() {
        assert_eq!(Backoff::try_new(seconds(0), seconds(1)), Err(InvalidBackoff::Zero));
        let reversed = InvalidBackoff::Reversed { min: seconds(2), max: seconds(1) };
        assert_eq!(Backoff::try_new(seconds(2), seconds(1)), Err(reversed));
    }

    #[test]
    fn scatter_stays_within_a_fifth_and_repeats_with_its_seed() {
        let scattered = |seed| {
            let mut jitter = Jitter::seeded(seed);
            (0..200).map(|_| jitter.scatter(seconds(10))).collect::<Vec<_>>()
        };
        let waits = scattered(7);
        assert!(waits.iter().all(|wait| (seconds(8)..=seconds(12)).contains(wait)));
        assert!(waits.iter().any(|wait| *wait < seconds(9)));
        assert!(waits.iter().any(|wait| *wait > seconds(11)));
        assert_eq!(waits, scattered(7));
        assert_ne!(waits, scattered(8));
        assert_eq!(Jitter::none().scatter(seconds(10)), seconds(10));
    }

    #[test]
    fn parts_lie_anywhere_between_nothing_and_all() {
        let mut jitter = Jitter::seeded(7);
        let parts: Vec<Duration> = (0..200).map(|_| jitter.part(seconds(10))).collect();
        assert!(parts.iter().all(|part| *part <= seconds(10)));
        assert!(parts.iter().any(|part| *part < seconds(1)));
        assert!(parts.iter().any(|part| *part > seconds(9)));
        assert_eq!(Jitter::none().part(seconds(10)), seconds(0));
    }
}
