//! What an instance did so far, and what that says about its next restart.

use std::collections::VecDeque;
use std::time::Instant;

use super::Limits;

#[derive(Debug, Clone, Default)]
pub(super) struct History {
    /// Times of the latest restarts, oldest first; never more than `restarts_max`, because
    /// more than that within the window is all a crash loop is.
    recent: VecDeque<Instant>,
    /// Losses since it was last healthy; the first may be restarted at once.
    losses: u32,
    /// How often it waited since it was last healthy.
    waits: u32,
    looping: bool,
    restarts: u64,
}

/// When to restart after a loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    AtOnce,
    At(Instant),
    Loop(Instant),
}

// === impl History ===

impl History {
    /// What a start by hand forgets: everything but the count.
    pub(super) fn clear(&mut self) {
        *self = Self { restarts: self.restarts, ..Self::default() };
    }

    /// What health forgives. Restarts still count towards the window: one that is healthy just
    /// long enough between crashes is a crash loop all the same.
    pub(super) fn forgive(&mut self) {
        self.losses = 0;
        self.waits = 0;
        self.looping = false;
    }

    /// Whether [`forgive`](Self::forgive) would change nothing.
    pub(super) fn is_clean(&self) -> bool {
        self.losses == 0 && !self.looping
    }

    pub(super) fn is_looping(&self) -> bool {
        self.looping
    }

    pub(super) fn restarts(&self) -> u64 {
        self.restarts
    }

    pub(super) fn note_restart(&mut self, now: Instant, limits: &Limits) {
        self.restarts += 1;
        self.recent.push_back(now);
        while self.recent.len() > limits.restarts_max {
            self.recent.pop_front();
        }
    }

    /// `was_ready`: the life that was lost had come as far as serving.
    pub(super) fn note_loss(
        &mut self,
        now: Instant,
        was_ready: bool,
        limits: &mut Limits,
    ) -> Verdict {
        let first = self.losses == 0;
        self.losses = self.losses.saturating_add(1);
        let at = if first && was_ready {
            now
        } else {
            let wait = limits.backoff.wait(self.waits);
            self.waits = self.waits.saturating_add(1);
            now + limits.jitter.scatter(wait)
        };
        self.looping |= self.would_exceed(at, limits);
        if self.looping {
            Verdict::Loop(now + limits.crash_pause)
        } else if at == now {
            Verdict::AtOnce
        } else {
            Verdict::At(at)
        }
    }

    /// Whether one more restart at `at` is one too many within the window before it.
    fn would_exceed(&self, at: Instant, limits: &Limits) -> bool {
        let within = |restart: &&Instant| at.duration_since(**restart) < limits.crash_window;
        self.recent.iter().filter(within).count() >= limits.restarts_max
    }
}
