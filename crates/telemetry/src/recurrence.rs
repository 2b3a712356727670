//! Keeps what happens over and over from filling the log: said at once, then ever more rarely.

use std::time::{Duration, Instant};

/// Something that may recur for as long as its cause is there: a server that can't be reached.
///
/// The first time is worth a line, and so is a cause that was not there before. The same cause is
/// repeated after a minute at the earliest, and after twice as long each time.
#[derive(Debug, Default)]
pub struct Recurrence(Option<Line>);

/// The last line that was written.
#[derive(Debug)]
struct Line {
    cause: Box<str>,
    at: Instant,
    /// Until it is repeated.
    pause: Duration,
    held_back: u64,
}

const PAUSE_MIN: Duration = Duration::from_secs(60);
const PAUSE_MAX: Duration = Duration::from_secs(3600);

// === impl Recurrence ===

impl Recurrence {
    /// Whether it is worth a line now, and how many were held back since the last.
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

    /// It has not happened for long enough to be news again.
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
