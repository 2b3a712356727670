//! How old the lists of servers are that don't announce changes.
//!
//! A list may have changed through Mainstay if a call has ended since it was fetched: it is fetched again
//! before it is used. Lists also change by themselves. So one that was fetched a while ago is fetched again
//! behind the answer, and one that is old is fetched before it.

use std::time::{Duration, Instant};

use mainstay_protocol::list::ListKind;
use parking_lot::Mutex;

/// The time after which a list is fetched again behind an answer. It doubles each time that the list has
/// not changed, up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_secs(2);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// A list that was fetched longer ago is fetched before it is used.
const AGE_MAX: Duration = Duration::from_secs(60);

/// How far a list can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ListAge {
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

// === impl ListAges ===

impl ListAges {
    /// Begins with lists that were fetched now. `calls`: the number of calls that had ended before.
    pub(crate) fn new(calls: u64) -> Self {
        let begun = Instant::now();
        let fetch = Fetch { begun, calls, next: None, pause: PAUSE_MIN };
        Self { lists: Mutex::new([fetch; 4]), turns: Default::default() }
    }

    /// Waits for a turn to fetch a list. All who ask at once share one fetch: see
    /// [`Self::has_begun_since`].
    pub(crate) async fn turn(&self, kind: ListKind) -> tokio::sync::MutexGuard<'_, ()> {
        self.turns[kind as usize].lock().await
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

    /// How far a list can be relied on. `calls`: the number of calls that have ended.
    pub(crate) fn age(&self, kind: ListKind, calls: u64, now: Instant) -> ListAge {
        let fetch = self.lists.lock()[kind as usize];
        let age = now.saturating_duration_since(fetch.begun);
        match fetch.calls == calls && age < AGE_MAX {
            true if age < fetch.pause => ListAge::Current,
            true => ListAge::Aged,
            false => ListAge::Outdated,
        }
    }

    pub(crate) fn is_under_way(&self, kind: ListKind) -> bool {
        self.turns[kind as usize].try_lock().is_err()
    }

    /// Whether a fetch that has ended began after this time.
    pub(crate) fn has_begun_since(&self, kind: ListKind, asked: Instant) -> bool {
        self.lists.lock()[kind as usize].begun >= asked
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
