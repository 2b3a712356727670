//! Counters of the clients of a load.

use std::time::{Duration, Instant};

use crate::client::Failure;
use crate::histogram::Histogram;

/// The measured stretch of time.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    pub(crate) from: Instant,
    pub(crate) to: Instant,
}

#[derive(Debug, Clone)]
pub(crate) struct Tally {
    pub(crate) latency: Histogram,
    pub(crate) done: u64,
    pub(crate) refused: u64,
    pub(crate) astray: u64,
    pub(crate) broken: u64,
    pub(crate) unanswered: u64,
}

// === impl Window ===

impl Window {
    /// Begins after `warm_up` and lasts `length`.
    pub(crate) fn after(warm_up: Duration, length: Duration) -> Self {
        let from = Instant::now() + warm_up;
        Self { from, to: from + length }
    }

    pub(crate) fn contains(&self, moment: Instant) -> bool {
        self.from <= moment && moment < self.to
    }
}

// === impl Tally ===

impl Tally {
    pub(crate) fn new() -> Self {
        Self { latency: Histogram::new(), done: 0, refused: 0, astray: 0, broken: 0, unanswered: 0 }
    }

    pub(crate) fn count(&mut self, outcome: Result<(), Failure>, latency: Duration) {
        match outcome {
            Ok(()) => {
                self.done += 1;
                self.latency.record(latency.as_nanos() as u64);
            }
            Err(Failure::Refused) => self.refused += 1,
            Err(Failure::Astray) => self.astray += 1,
            Err(Failure::Broken) => self.broken += 1,
        }
    }

    /// A call that waited so long and was given up: as slow as it was seen to be.
    pub(crate) fn give_up(&mut self, waited: Duration) {
        self.unanswered += 1;
        self.latency.record(waited.as_nanos() as u64);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.latency.merge(&other.latency);
        self.done += other.done;
        self.refused += other.refused;
        self.astray += other.astray;
        self.broken += other.broken;
        self.unanswered += other.unanswered;
    }
}
