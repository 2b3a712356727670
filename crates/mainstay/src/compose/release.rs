//! Gives memory back to the system after it was freed.
//!
//! The allocator keeps empty pages for each thread, and a worker without work does not look at its own:
//! after a burst the daemon would stay as large as its workers were then. So after the memory in use has
//! changed, every worker looks once. Nothing of this is on the way of a request.

use std::sync::Arc;
use std::thread::{self, ThreadId};
use std::time::Duration;

use mainstay_admin::memory::resident_bytes;
use mainstay_model::Budget;
use parking_lot::Mutex;
use tokio::time::{Instant, MissedTickBehavior};

use crate::memory;

/// How often the memory in use is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How much has to have changed: less is not worth waking the workers.
const CHANGE_MIN: u64 = 2 << 20;

/// After how many looks there is another round without a change, and how often. What is freed later, such
/// as connections that were kept for half a minute, may change nothing that can be seen: the allocator keeps
/// it. Then there is a round every five minutes.
const LOOKS_FIRST: u32 = 3;
const ROUNDS_FIRST: u32 = 8;
const LOOKS_LATER: u32 = 60;

/// How long workers are waited for. One that is busy for longer is asked again at the next look.
const ROUND_MAX: Duration = Duration::from_millis(50);

/// Decides when workers should give memory back.
#[derive(Debug, Default)]
struct Changes {
    /// The resident memory after the last round.
    settled: u64,
    /// The most that the memory budget had charged since then.
    charged_most: u64,
    /// Looks since then.
    looks: u32,
    /// Rounds since the last change.
    rounds: u32,
}

/// One round: each worker takes part once.
#[derive(Debug)]
struct Round {
    workers: usize,
    until: Instant,
    present: Mutex<Vec<ThreadId>>,
}

/// Lets the workers give memory back each time that the memory in use has changed. Never returns.
pub(super) async fn give_back_freed(budget: Budget) {
    let mut changes = Changes::default();
    let mut tick = tokio::time::interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let charged = budget.whole().used_bytes as u64;
        if changes.are_worth_a_round(resident_bytes(), charged)
            && on_every_worker(ROUND_MAX, memory::collect).await
        {
            changes.settle(resident_bytes(), charged);
        }
    }
}

/// Runs `work` once on each worker of the runtime. Returns whether all of them came within `patience`.
async fn on_every_worker(patience: Duration, work: fn()) -> bool {
    let workers = tokio::runtime::Handle::current().metrics().num_workers();
    let present = Mutex::default();
    let round = Arc::new(Round { workers, until: Instant::now() + patience, present });
    // A worker is woken as long as another has more than one task, so there are two for each.
    let tasks: Vec<_> =
        (0..2 * workers).map(|_| tokio::spawn(round.clone().attend(work))).collect();
    for task in tasks {
        let _ = task.await;
    }
    round.is_complete()
}

// === impl Changes ===

impl Changes {
    /// Looks at what is in use. Returns whether there may be something to give back.
    fn are_worth_a_round(&mut self, resident: u64, charged: u64) -> bool {
        self.looks += 1;
        self.charged_most = self.charged_most.max(charged);
        if resident.abs_diff(self.settled) >= CHANGE_MIN
            || self.charged_most - charged >= CHANGE_MIN
        {
            self.rounds = 0;
            return true;
        }
        self.looks >= if self.rounds < ROUNDS_FIRST { LOOKS_FIRST } else { LOOKS_LATER }
    }

    /// Notes what was in use after a round.
    fn settle(&mut self, resident: u64, charged: u64) {
        let rounds = self.rounds.saturating_add(1);
        *self = Self { settled: resident, charged_most: charged, looks: 0, rounds };
    }
}

// === impl Round ===

impl Round {
    /// Takes part on behalf of each worker that runs this task, until all have.
    async fn attend(self: Arc<Self>, work: fn()) {
        loop {
            if self.enter(thread::current().id()) {
                work();
            }
            if self.is_complete() || Instant::now() >= self.until {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Returns whether the worker was not there before.
    fn enter(&self, worker: ThreadId) -> bool {
        let mut present = self.present.lock();
        !present.contains(&worker) && {
            present.push(worker);
            true
        }
    }

    fn is_complete(&self) -> bool {
        self.present.lock().len() >= self.workers
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::{CHANGE_MIN, Changes, on_every_worker};

    const MIB: u64 = 1 << 20;

    #[test]
    fn memory_is_given_back_when_it_has_changed_and_not_again() {
        let mut changes = Changes::default();
        assert!(changes.are_worth_a_round(20 * MIB, 0), "the start");
        changes.settle(20 * MIB, 0);
        assert!(!changes.are_worth_a_round(20 * MIB, 0));
        assert!(!changes.are_worth_a_round(20 * MIB + CHANGE_MIN / 2, CHANGE_MIN / 2));
        // A burst.
        assert!(changes.are_worth_a_round(150 * MIB, 100 * MIB));
        changes.settle(150 * MIB, 100 * MIB);
        assert!(!changes.are_worth_a_round(150 * MIB, 100 * MIB), "it goes on");
        // What was charged is free, and the allocator keeps nearly all of it.
        assert!(changes.are_worth_a_round(149 * MIB, 0));
        changes.settle(21 * MIB, 0);
        assert!(!changes.are_worth_a_round(21 * MIB, 0));
        // What is not charged is freed, a part of it given back.
        changes.settle(60 * MIB, 0);
        assert!(changes.are_worth_a_round(50 * MIB, 0));
    }

    #[test]
    fn what_is_freed_without_a_trace_is_given_back_soon_after_a_change_and_later_in_time() {
        let mut changes = Changes::default();
        assert!(changes.are_worth_a_round(60 * MIB, 0));
        changes.settle(60 * MIB, 0);
        // The looks at which there is a round, of twenty minutes.
        let mut rounds = Vec::new();
        for look in 1..=240 {
            if changes.are_worth_a_round(60 * MIB, 0) {
                changes.settle(60 * MIB, 0);
                rounds.push(look);
            }
        }
        assert_eq!(rounds, [3, 6, 9, 12, 15, 18, 21, 81, 141, 201]);
        assert!(changes.are_worth_a_round(55 * MIB, 0));
        changes.settle(55 * MIB, 0);
        let next = (1..).find(|_| changes.are_worth_a_round(55 * MIB, 0));
        assert_eq!(next, Some(3));
    }

    #[test]
    fn every_worker_takes_part_once() {
        static TIMES: AtomicUsize = AtomicUsize::new(0);
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(5).enable_time().build().unwrap();
        for round in 1..=10 {
            let work = || {
                TIMES.fetch_add(1, Ordering::Relaxed);
            };
            let all = runtime.block_on(async {
                tokio::spawn(on_every_worker(Duration::from_secs(60), work)).await
            });
            assert!(all.unwrap());
            assert_eq!(TIMES.load(Ordering::Relaxed), 5 * round);
        }
    }
}
