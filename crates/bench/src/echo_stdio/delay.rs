//! Answers that wait for their time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::output::Output;

/// Most delayed answers, more than any load keeps in flight. Beyond it, an answer is sent early:
/// its delay is shortened, and no answer is lost.
const WAITING_MAX: usize = 100_000;

/// The answers that are not due yet, and the thread that sends them.
#[derive(Debug, Default)]
pub(crate) struct Delayed {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: BinaryHeap<Reverse<(Instant, Vec<u8>)>>,
    closed: bool,
}

// === impl Delayed ===

impl Delayed {
    pub(crate) fn push(&self, millis: u64, line: Vec<u8>) {
        let mut state = self.lock();
        let delay = if state.waiting.len() < WAITING_MAX { millis } else { 0 };
        state.waiting.push(Reverse((Instant::now() + Duration::from_millis(delay), line)));
        self.changed.notify_one();
    }

    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }

    /// Sends all answers that are due, in one write, until closed.
    pub(crate) fn deliver(&self, output: &Output) {
        let mut state = self.lock();
        while !state.closed {
            let due = state.take_due(Instant::now());
            if !due.is_empty() {
                drop(state);
                if output.write(&due).is_err() {
                    return;
                }
                state = self.lock();
                continue;
            }
            let wait = state
                .waiting
                .peek()
                .map(|Reverse((at, _))| at.saturating_duration_since(Instant::now()));
            state = match wait {
                Some(wait) => self
                    .changed
                    .wait_timeout(state, wait)
                    .map_or_else(|poisoned| poisoned.into_inner().0, |(state, _)| state),
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl State ===

impl State {
    fn take_due(&mut self, now: Instant) -> Vec<u8> {
        let mut due = Vec::new();
        while let Some(Reverse((at, _))) = self.waiting.peek() {
            if *at > now {
                break;
            }
            if let Some(Reverse((_, line))) = self.waiting.pop() {
                due.extend_from_slice(&line);
            }
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_comes_in_the_order_of_its_time() {
        let start = Instant::now();
        let mut state = State::default();
        for (millis, line) in [(30, "c"), (10, "a"), (20, "b")] {
            state
                .waiting
                .push(Reverse((start + Duration::from_millis(millis), line.as_bytes().to_vec())));
        }
        assert_eq!(state.take_due(start), b"");
        assert_eq!(state.take_due(start + Duration::from_millis(20)), b"ab");
        assert_eq!(state.take_due(start + Duration::from_millis(99)), b"c");
    }
}
