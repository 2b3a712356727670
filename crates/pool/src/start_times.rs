//! How long the starts of a server have taken.

use std::time::Duration;

use parking_lot::Mutex;

/// The durations of a server's latest successful starts.
#[derive(Debug, Default)]
pub struct StartTimes {
    /// The latest last. At most [`KEPT`].
    latest: Mutex<Vec<Duration>>,
}

const KEPT: usize = 5;

// === impl StartTimes ===

impl StartTimes {
    /// Begins with what was learned by an earlier daemon.
    pub fn known(usual: Option<Duration>) -> Self {
        Self { latest: Mutex::new(usual.into_iter().collect()) }
    }

    /// Notes a start that took this long.
    pub fn note(&self, took: Duration) {
        let mut latest = self.latest.lock();
        if latest.len() == KEPT {
            latest.remove(0);
        }
        latest.push(took);
    }

    /// How long a start usually takes: the median of the latest starts. `None` before the first.
    pub fn usual(&self) -> Option<Duration> {
        let mut sorted = self.latest.lock().clone();
        sorted.sort_unstable();
        sorted.get(sorted.len() / 2).copied()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::StartTimes;

    #[test]
    fn the_median_of_the_latest_starts_is_what_is_usual() {
        let times = StartTimes::default();
        assert_eq!(times.usual(), None);
        let usual = |seconds| {
            times.note(Duration::from_secs(seconds));
            times.usual().unwrap().as_secs()
        };
        assert_eq!([usual(8), usual(2), usual(60), usual(3)], [8, 8, 8, 8]);
        assert_eq!([usual(2), usual(2), usual(2)], [3, 2, 2]);
    }
}
