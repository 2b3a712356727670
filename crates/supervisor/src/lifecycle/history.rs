//! The losses and restarts of an instance, and the decision about its next restart.

use std::collections::VecDeque;
use std::time::Instant;

use super::{CrashLoop, RestartPolicy};

/// The losses and restarts of an instance.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    /// The times of the latest restarts, oldest first, to detect a crash loop: at most one more than
    /// [`CrashLoop::restarts_max`](super::CrashLoop::restarts_max) of them, and none if the policy defines
    /// no crash loop.
    recent: VecDeque<Instant>,
    /// Losses since the instance was last healthy. The first loss may lead to an immediate restart.
    losses: u32,
    /// Backoff waits since the instance was last healthy.
    waits: u32,
    /// Starts in a row that reached their time limit.
    late_starts: u8,
    /// Restarts after the instance had ended itself without an error.
    revivals: u8,
    looping: bool,
    restarts: u64,
}

/// When to restart after a loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RestartDecision {
    AtOnce,
    At(Instant),
    Loop(Instant),
}

// === impl History ===

impl History {
    /// Forgets everything except the number of restarts. For a start by hand.
    pub(super) fn clear(&mut self) {
        *self = Self { restarts: self.restarts, ..Self::default() };
    }

    /// Forgets losses and waits, because the instance is healthy. Restarts still count towards the window:
    /// an instance that is healthy only briefly between crashes is still in a crash loop.
    pub(super) fn forgive(&mut self) {
        self.losses = 0;
        self.waits = 0;
        self.looping = false;
    }

    /// Whether [`forgive`](Self::forgive) would have no effect.
    pub(super) fn is_clean(&self) -> bool {
        self.losses == 0 && !self.looping
    }

    pub(super) fn is_looping(&self) -> bool {
        self.looping
    }

    pub(super) fn restarts(&self) -> u64 {
        self.restarts
    }

    /// Ends a row of late starts.
    pub(super) fn note_ready(&mut self) {
        self.late_starts = 0;
    }

    /// Records a start that reached its time limit. Too many in a row are a crash loop.
    pub(super) fn note_late_start(&mut self, policy: &RestartPolicy) {
        self.late_starts = self.late_starts.saturating_add(1);
        self.looping |= policy
            .crash_loop
            .is_some_and(|crash_loop| self.late_starts >= crash_loop.late_starts_max);
    }

    /// Whether an instance that ended itself without an error is restarted at once. Records the restart,
    /// which counts towards no crash loop.
    pub(super) fn may_revive(&mut self, policy: &RestartPolicy) -> bool {
        let may = self.revivals < policy.revivals_max;
        if may {
            self.revivals += 1;
            self.restarts += 1;
        }
        may
    }

    pub(super) fn note_restart(&mut self, now: Instant, policy: &RestartPolicy) {
        self.restarts += 1;
        let kept =
            policy.crash_loop.map_or(0, |crash_loop| usize::from(crash_loop.restarts_max) + 1);
        self.recent.push_back(now);
        while self.recent.len() > kept {
            self.recent.pop_front();
        }
    }

    /// Records a loss and decides when to restart. `was_ready` tells whether the lost run had been ready.
    pub(super) fn note_loss(
        &mut self,
        now: Instant,
        was_ready: bool,
        policy: &mut RestartPolicy,
    ) -> RestartDecision {
        let first = self.losses == 0;
        self.losses = self.losses.saturating_add(1);
        let late = usize::from(self.late_starts).checked_sub(1);
        let late_wait = late.and_then(|late| policy.late_waits.get(late)).filter(|_| !was_ready);
        let at = if first && was_ready {
            now
        } else if let Some(wait) = late_wait.copied() {
            now + wait
        } else {
            let wait = policy.backoff.wait(self.waits);
            self.waits = self.waits.saturating_add(1);
            now + policy.jitter.scatter(wait)
        };
        if let Some(crash_loop) = &policy.crash_loop {
            self.looping |= self.has_exceeded(at, crash_loop);
            if self.looping {
                return RestartDecision::Loop(now + crash_loop.pause);
            }
        }
        if at == now { RestartDecision::AtOnce } else { RestartDecision::At(at) }
    }

    /// Whether the restarts within the window before `at`, when the next one would be, are more than the
    /// maximum.
    fn has_exceeded(&self, at: Instant, crash_loop: &CrashLoop) -> bool {
        let within = |restart: &&Instant| at.duration_since(**restart) < crash_loop.window;
        self.recent.iter().filter(within).count() > usize::from(crash_loop.restarts_max)
    }

    /// The number of restart times that are kept.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.recent.len()
    }
}
