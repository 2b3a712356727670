//! The time policy of starts and restarts.

use std::time::Duration;

use mainstay_model::settings::RestartRule;

use crate::backoff::{Backoff, Jitter};

/// Time policy of a start, and the rules for restarts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestartPolicy {
    /// The time limit for a start: process, handshake and first lists together.
    pub start: Duration,
    /// Whether an instance that ended is restarted.
    pub rule: RestartRule,
    /// Whether the instance is a job, which is done when it has exited with code 0.
    pub is_job: bool,
    /// The waits after the first starts in a row that reached the time limit.
    pub late_waits: [Duration; 2],
    /// The waits between restarts. The first restart of a healthy instance has no wait.
    pub backoff: Backoff,
    /// The jitter of those waits.
    pub jitter: Jitter,
    /// An instance that has been ready for this long is healthy: earlier losses are forgotten.
    pub health: Duration,
    /// What counts as a crash loop. `None` restarts the instance after each backoff without end.
    pub crash_loop: Option<CrashLoop>,
    /// How many times an instance that ended itself without an error is restarted at once. Later it rests
    /// until it is wanted.
    pub revivals_max: u8,
    /// The time between two tries of an instance that can't be served.
    pub failed_pause: Duration,
}

/// The definition of a crash loop, and the pause between restarts in one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrashLoop {
    /// More restarts than this within `window` are a crash loop: an instance that is lost after the next one
    /// is restarted at long intervals. An instance keeps the times of one restart more than this.
    pub restarts_max: u8,
    pub window: Duration,
    /// This many starts in a row that reached the time limit are a crash loop, however long they took. With
    /// a time limit of minutes they would never exceed `restarts_max` within `window`.
    pub late_starts_max: u8,
    /// The time between two restarts in a crash loop.
    pub pause: Duration,
}

// === impl RestartPolicy ===

impl RestartPolicy {
    /// The default policy with this time limit for a start. The seed determines the jitter; use a
    /// different seed for each instance.
    pub fn new(start: Duration, seed: u64) -> Self {
        Self { start, jitter: Jitter::seeded(seed), ..Self::default() }
    }
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self {
            start: Duration::from_secs(120),
            rule: RestartRule::Always,
            is_job: false,
            late_waits: [Duration::from_secs(5), Duration::from_secs(10)],
            backoff: Backoff::default(),
            jitter: Jitter::none(),
            health: Duration::from_secs(60),
            crash_loop: Some(CrashLoop::default()),
            revivals_max: 1,
            failed_pause: Duration::from_secs(300),
        }
    }
}

// === impl CrashLoop ===

impl Default for CrashLoop {
    fn default() -> Self {
        Self {
            restarts_max: 5,
            window: Duration::from_secs(300),
            late_starts_max: 3,
            pause: Duration::from_secs(300),
        }
    }
}
