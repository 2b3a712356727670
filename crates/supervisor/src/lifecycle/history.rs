//! What an instance did so far, and what that says about its next restart.

use std::collections::VecDeque;
use std::time::Instant;

use super::{CrashLoop, RestartPolicy};

#[derive(Debug, Clone, Default)]
pub(super) struct History {
    /// Times of the latest restarts, oldest first. Kept only to recognise a crash loop, which is
    /// more than [`CrashLoop::restarts_max`](super::CrashLoop::restarts_max) of them within a
    /// window: never more than that many, and none where nothing counts as a crash loop.
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
pub(super) enum RestartDecision {
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

    pub(super) fn note_restart(&mut self, now: Instant, limits: &RestartPolicy) {
        self.restarts += 1;
        let kept = limits.crash_loop.map_or(0, |crash_loop| usize::from(crash_loop.restarts_max));
        self.recent.push_back(now);
        while self.recent.len() > kept {
            self.recent.pop_front();
        }
    }

    /// `was_ready`: the life that was lost had come as far as serving.
    pub(super) fn note_loss(
        &mut self,
        now: Instant,
        was_ready: bool,
        limits: &mut RestartPolicy,
    ) -> RestartDecision {
        let first = self.losses == 0;
        self.losses = self.losses.saturating_add(1);
        let at = if first && was_ready {
            now
        } else {
            let wait = limits.backoff.wait(self.waits);
            self.waits = self.waits.saturating_add(1);
            now + limits.jitter.scatter(wait)
        };
        if let Some(crash_loop) = &limits.crash_loop {
            self.looping |= self.would_exceed(at, crash_loop);
            if self.looping {
                return RestartDecision::Loop(now + crash_loop.pause);
            }
        }
        if at == now { RestartDecision::AtOnce } else { RestartDecision::At(at) }
    }

    /// Whether one more restart at `at` is one too many within the window before it.
    fn would_exceed(&self, at: Instant, crash_loop: &CrashLoop) -> bool {
        let within = |restart: &&Instant| at.duration_since(**restart) < crash_loop.window;
        self.recent.iter().filter(within).count() >= usize::from(crash_loop.restarts_max)
    }

    /// How many restarts are kept by their time.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        self.recent.len()
    }
}
