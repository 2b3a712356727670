//! Rate limiting of log lines about a recurring problem: immediately at first, then at growing intervals.

use std::time::{Duration, Instant};

/// Decides which occurrences of a recurring problem are logged, such as a server that can't be reached.
///
/// The first occurrence is logged, and so is each new cause. The same cause is logged again after one
/// minute at the earliest, and the interval doubles each time, up to an hour.
#[derive(Debug, Default)]
pub struct Recurrence(Option<Line>);

/// The last log line.
#[derive(Debug)]
struct Line {
    cause: Box<str>,
    at: Instant,
    /// The interval until the same cause is logged again.
    pause: Duration,
    held_back: u64,
}

const PAUSE_MIN: Duration = Duration::from_secs(60);
const PAUSE_MAX: Duration = Duration::from_secs(3600);

// === impl Recurrence ===

impl Recurrence {
    /// Returns the number of occurrences since the last line if this one should be logged, or `None`.
    pub fn admit(&mut self, now: Instant, cause: &str) -> Option<u64> {
        let same = self.0.as_mut().filter(|line| *line.cause == *cause);
        if let Some(line) = same {
            if now.saturating_duration_since(line.at) < line.pause {
                line.held_back += 1;
                return None;
            }
            line.at = now;
            line.pause = (2 * line.pause).min(PAUSE_MAX);
            return Some(std::mem::take(&mut line.held_back));
        }
        let before =
            self.0.replace(Line { cause: cause.into(), at: now, pause: PAUSE_MIN, held_back: 0 });
        Some(before.map_or(0, |line| line.held_back))
    }

    /// Resets the state, because the problem is over. The next occurrence is logged.
    pub fn forget(&mut self) {
        self.0 = None;
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Recurrence;

    /// What is written of something that happens every two seconds for so long.
    fn lines(recurrence: &mut Recurrence, from: Instant, cause: &str, seconds: u64) -> Vec<u64> {
        (0..seconds)
            .step_by(2)
            .filter(|after| recurrence.admit(from + Duration::from_secs(*after), cause).is_some())
            .collect()
    }

    #[test]
    fn the_same_cause_is_repeated_ever_more_rarely() {
        let mut recurrence = Recurrence::default();
        let from = Instant::now();
        let minutes: Vec<u64> =
            lines(&mut recurrence, from, "refused", 6 * 3600).iter().map(|it| it / 60).collect();
        assert_eq!(minutes, [0, 1, 3, 7, 15, 31, 63, 123, 183, 243, 303]);
    }

    #[test]
    fn another_cause_and_what_is_forgotten_are_news() {
        let mut recurrence = Recurrence::default();
        let now = Instant::now();
        assert_eq!(recurrence.admit(now, "refused"), Some(0));
        assert_eq!(recurrence.admit(now, "refused"), None);
        assert_eq!(recurrence.admit(now, "reset"), Some(1));
        assert_eq!(recurrence.admit(now, "reset"), None);
        recurrence.forget();
        assert_eq!(recurrence.admit(now, "reset"), Some(0));
    }
}
