//! How old the lists of servers are that don't announce changes.
//!
//! A list may have changed through Mainstay if a call has ended since it was fetched: it is fetched again
//! before it is used. Lists also change by themselves. So one that was fetched a while ago is fetched again
//! behind the answer, and one that is old is fetched before it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use mainstay_protocol::Era;
use mainstay_protocol::list::ListKind;
use parking_lot::Mutex;

use crate::instance::ReadyRun;
use crate::pool::Pool;

/// The time after which a list is fetched again behind an answer. It doubles each time that the list has
/// not changed, up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_secs(2);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// A list that was fetched longer ago is fetched before it is used.
const AGE_MAX: Duration = Duration::from_secs(60);

/// The time limit of a fetch that nobody waits for.
const FETCH_DEADLINE: Duration = Duration::from_secs(30);

/// How far a list can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ListAge {
    Current,
    /// Good enough to be used, but due to be fetched again.
    Aged,
    /// To be fetched before it is used.
    Outdated,
}

/// The ages of the lists of a run, by [`ListKind`].
#[derive(Debug)]
pub(crate) struct ListAges {
    lists: Mutex<[Fetch; 4]>,
    /// Held while somebody waits for a fetch, so that all who ask for a list at once share one.
    turns: [tokio::sync::Mutex<()>; 4],
}

/// The last fetch of a list.
#[derive(Debug, Clone, Copy)]
struct Fetch {
    begun: Instant,
    /// The number of calls that had ended then.
    calls: u64,
    /// The same of the fetch that has begun and not ended.
    next: Option<(Instant, u64)>,
    pause: Duration,
}

// === impl Pool ===

impl Pool {
    /// The number of calls that have ended. Each may have changed a list.
    pub(crate) fn calls_ended(&self) -> u64 {
        self.calls_ended.load(Ordering::Acquire)
    }

    /// Whether a list has to be fetched before it is used. If it is only due to be fetched again, that
    /// begins in the background.
    pub fn must_refresh_list(self: &Arc<Self>, era: Era, kind: ListKind) -> bool {
        if self.facts(era).is_none_or(|facts| !facts.capabilities.has_list(kind)) {
            return false;
        }
        let Some((_, run)) = self.unused_base(era) else { return false };
        let now = Instant::now();
        if run.is_fresh(kind, now) {
            return false;
        }
        let age = run.ages.age(kind, self.calls_ended(), now);
        if age == ListAge::Aged && !run.ages.is_under_way(kind) {
            let pool = self.clone();
            self.tasks.spawn(async move {
                tokio::select! {
                    () = pool.refresh_list_once(era, kind, now + FETCH_DEADLINE) => {}
                    () = pool.closing.cancelled() => {}
                }
            });
        }
        age == ListAge::Outdated
    }

    /// Fetches a list again as [`Self::refresh_list`] does. Those who ask at the same time share a fetch.
    pub async fn refresh_list_once(self: &Arc<Self>, era: Era, kind: ListKind, deadline: Instant) {
        let Some((_, run)) = self.unused_base(era) else { return };
        let asked = Instant::now();
        let turn = run.ages.turns[kind as usize].lock();
        let Ok(_turn) = tokio::time::timeout_at(deadline.into(), turn).await else { return };
        if !run.ages.has_begun_since(kind, asked) {
            self.refresh_list(era, kind, deadline).await;
        }
    }
}

// === impl ListAges ===

impl ListAges {
    /// Begins with lists that were fetched now. `calls`: the number of calls that had ended before.
    pub(crate) fn new(calls: u64) -> Self {
        let begun = Instant::now();
        let fetch = Fetch { begun, calls, next: None, pause: PAUSE_MIN };
        Self { lists: Mutex::new([fetch; 4]), turns: Default::default() }
    }

    /// Notes that a fetch begins.
    pub(crate) fn begin(&self, kind: ListKind, calls: u64) {
        self.lists.lock()[kind as usize].next = Some((Instant::now(), calls));
    }

    /// Notes that a list was fetched.
    pub(crate) fn end(&self, kind: ListKind, is_same: bool) {
        let fetch = &mut self.lists.lock()[kind as usize];
        let Some((begun, calls)) = fetch.next.take() else { return };
        let pause = if is_same { (fetch.pause * 2).min(PAUSE_MAX) } else { PAUSE_MIN };
        *fetch = Fetch { begun, calls, next: None, pause };
    }

    fn age(&self, kind: ListKind, calls: u64, now: Instant) -> ListAge {
        let fetch = self.lists.lock()[kind as usize];
        let age = now.saturating_duration_since(fetch.begun);
        match fetch.calls == calls && age < AGE_MAX {
            true if age < fetch.pause => ListAge::Current,
            true => ListAge::Aged,
            false => ListAge::Outdated,
        }
    }

    fn is_under_way(&self, kind: ListKind) -> bool {
        self.turns[kind as usize].try_lock().is_err()
    }

    fn has_begun_since(&self, kind: ListKind, asked: Instant) -> bool {
        self.lists.lock()[kind as usize].begun >= asked
    }
}

// === impl ReadyRun ===

impl ReadyRun {
    /// Notes that a fetch of a list begins.
    pub(crate) fn begin_fetch(&self, pool: &Pool, kind: ListKind) {
        self.ages.begin(kind, pool.calls_ended());
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use mainstay_protocol::list::ListKind;

    use super::{AGE_MAX, ListAge, ListAges, PAUSE_MAX, PAUSE_MIN};

    const TOOLS: ListKind = ListKind::Tools;

    fn fetch(ages: &ListAges, calls: u64, is_same: bool) {
        ages.begin(TOOLS, calls);
        ages.end(TOOLS, is_same);
    }

    #[test]
    fn a_list_is_outdated_once_a_call_has_ended_and_when_it_is_old() {
        let ages = ListAges::new(7);
        let now = Instant::now();
        assert_eq!(ages.age(TOOLS, 7, now + PAUSE_MIN / 2), ListAge::Current);
        assert_eq!(ages.age(TOOLS, 8, now), ListAge::Outdated);
        assert_eq!(ages.age(TOOLS, 7, now + PAUSE_MIN), ListAge::Aged);
        assert_eq!(ages.age(TOOLS, 7, now + AGE_MAX), ListAge::Outdated);
        // A call that ends during the fetch counts as later.
        ages.begin(TOOLS, 8);
        assert_eq!(ages.age(TOOLS, 9, now), ListAge::Outdated);
        ages.end(TOOLS, true);
        assert_eq!(ages.age(TOOLS, 8, now), ListAge::Current);
        assert_eq!(ages.age(TOOLS, 9, now), ListAge::Outdated);
        // Another list is not concerned.
        assert_eq!(ages.age(ListKind::Prompts, 8, now), ListAge::Outdated);
    }

    #[test]
    fn a_list_that_stays_the_same_is_fetched_ever_less_often() {
        let ages = ListAges::new(0);
        let pause = || {
            let now = Instant::now();
            let is_current = |seconds: &u64| {
                ages.age(TOOLS, 0, now + Duration::from_secs(*seconds)) == ListAge::Current
            };
            Duration::from_secs((0..100).find(|seconds| !is_current(seconds)).unwrap())
        };
        assert_eq!(pause(), PAUSE_MIN);
        for expected in [4, 8, 16, 30, 30] {
            fetch(&ages, 0, true);
            assert_eq!(pause(), Duration::from_secs(expected));
        }
        assert_eq!(pause(), PAUSE_MAX);
        fetch(&ages, 0, false);
        assert_eq!(pause(), PAUSE_MIN);
    }
}
