//! The schedules of a run's lists, shared by the run, its link's listener and requests of clients.

use std::time::Instant;

use mainstay_protocol::list::ListKind;
use mainstay_supervisor::backoff::Jitter;
use mainstay_supervisor::list_refresh::{ListRefresh, RefreshOutcome};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// When each list of a run is fetched again.
#[derive(Debug)]
pub(crate) struct ListRefreshes {
    /// By [`ListKind`].
    lists: Mutex<[ListRefresh; ListKind::ALL.len()]>,
    /// Notified when a fetch may be due earlier than before.
    sooner: Notify,
}

// === impl ListRefreshes ===

impl ListRefreshes {
    /// Schedules without a reason to fetch. The seed determines the jitter.
    pub(crate) fn new(seed: u64) -> Self {
        let list = |kind: ListKind| {
            let seed = seed.wrapping_mul(ListKind::ALL.len() as u64).wrapping_add(kind as u64);
            ListRefresh::new(Jitter::seeded(seed))
        };
        Self { lists: Mutex::new(ListKind::ALL.map(list)), sooner: Notify::new() }
    }

    /// Records that lists may have changed.
    pub(crate) fn mark(&self, kinds: &[ListKind]) {
        let now = Instant::now();
        let mut lists = self.lists.lock();
        for kind in kinds {
            lists[*kind as usize].mark(now);
        }
        drop(lists);
        self.sooner.notify_one();
    }

    /// Records the result of a fetch outside of the schedule.
    pub(crate) fn note(&self, kind: ListKind, outcome: RefreshOutcome) {
        self.lists.lock()[kind as usize].note(Instant::now(), outcome);
        if outcome == RefreshOutcome::Failed {
            self.sooner.notify_one();
        }
    }

    /// Whether the list is being fetched, or will be.
    pub(crate) fn is_pending(&self, kind: ListKind) -> bool {
        self.lists.lock()[kind as usize].is_pending()
    }

    /// Waits until a list is due, and begins its fetch. [`end`](Self::end) must follow.
    pub(crate) async fn next(&self) -> ListKind {
        loop {
            let now = Instant::now();
            let next = {
                let mut lists = self.lists.lock();
                let due = |kind: ListKind| Some((lists[kind as usize].due()?, kind));
                let next = ListKind::ALL.into_iter().filter_map(due).min_by_key(|(due, _)| *due);
                if let Some((due, kind)) = next
                    && due <= now
                {
                    lists[kind as usize].begin();
                    return kind;
                }
                next
            };
            let due = async {
                match next {
                    Some((due, _)) => tokio::time::sleep_until(due.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => {}
                () = self.sooner.notified() => {}
            }
        }
    }

    /// Ends a fetch that [`next`](Self::next) has begun.
    pub(crate) fn end(&self, kind: ListKind, outcome: RefreshOutcome) {
        self.lists.lock()[kind as usize].end(Instant::now(), outcome);
        self.sooner.notify_one();
    }
}
