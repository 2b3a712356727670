//! Throttling of log lines that clients or servers can cause at will.

use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// The length of a window.
const WINDOW: Duration = Duration::from_secs(10);
/// The maximum number of lines per window. A banner of a few lines is logged completely, a flood is not.
const LINES_MAX: u32 = 5;

/// Admits [`LINES_MAX`] lines every [`WINDOW`].
#[derive(Debug, Default)]
pub(crate) struct Throttle(Mutex<Option<Window>>);

#[derive(Debug)]
struct Window {
    began: Instant,
    admitted: u32,
    held_back: u64,
}

// === impl Throttle ===

impl Throttle {
    /// Returns the number of lines suppressed before this one if it may be logged, or `None`.
    pub(crate) fn admit(&self, now: Instant) -> Option<u64> {
        let mut window = self.0.lock();
        match window.as_mut() {
            Some(open) if now.saturating_duration_since(open.began) < WINDOW => {
                if open.admitted < LINES_MAX {
                    open.admitted += 1;
                    Some(0)
                } else {
                    open.held_back += 1;
                    None
                }
            }
            over => {
                let held_back = over.map_or(0, |window| window.held_back);
                *window = Some(Window { began: now, admitted: 1, held_back: 0 });
                Some(held_back)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::{LINES_MAX, Throttle, WINDOW};

    #[test]
    fn a_flood_becomes_a_number() {
        let throttle = Throttle::default();
        let start = Instant::now();
        for _ in 0..LINES_MAX {
            assert_eq!(throttle.admit(start), Some(0));
        }
        for _ in 0..7 {
            assert_eq!(throttle.admit(start), None);
        }
        assert_eq!(throttle.admit(start + WINDOW), Some(7));
        assert_eq!(throttle.admit(start + WINDOW), Some(0));
    }
}
