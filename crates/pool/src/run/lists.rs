//! Fetches lists again during a run: those that the server announced as changed, and those that
//! failed.

use std::sync::Arc;
use std::time::Duration;

use mainstay_protocol::build;
use mainstay_protocol::list::ListKind;
use mainstay_supervisor::list_refresh::RefreshOutcome;
use mainstay_upstream::handshake::{self, Patience};
use tokio::task::JoinSet;

use super::Run;
use crate::instance::{Instance, ReadyRun};
use crate::pool::Pool;

/// The time limit for a page in the background, where nobody waits for it.
const PAGE_PATIENCE: Duration = Duration::from_secs(30);

/// Ends a fetch however it ends, so that a panic does not end all fetches of the list.
struct FetchGuard<'a> {
    run: &'a ReadyRun,
    kind: ListKind,
    outcome: RefreshOutcome,
}

impl Run {
    /// Fetches each list that is due, until the run ends. Never returns.
    pub(super) async fn keep_lists_fresh(&self, run: &Arc<ReadyRun>) {
        // A list that hangs must not delay the others.
        let mut fetches = JoinSet::new();
        loop {
            tokio::select! {
                kind = run.refreshes.next() => {
                    let (pool, instance, run) = (self.pool.clone(), self.instance.clone(), run.clone());
                    fetches.spawn(async move { fetch_again(&pool, &instance, &run, kind).await });
                }
                Some(fetched) = fetches.join_next() => {
                    if let Err(Ok(panic)) = fetched.map_err(tokio::task::JoinError::try_into_panic) {
                        std::panic::resume_unwind(panic);
                    }
                }
            }
        }
    }
}

async fn fetch_again(pool: &Pool, instance: &Arc<Instance>, run: &ReadyRun, kind: ListKind) {
    let mut fetch = FetchGuard { run, kind, outcome: RefreshOutcome::Failed };
    let whole = pool.spec().start_deadline.max(PAGE_PATIENCE);
    let patience = Patience { page: PAGE_PATIENCE, whole };
    run.ages.begin(kind, pool.calls_ended());
    // If the link is lost, the run ends.
    let Ok(list) = handshake::list(&run.link, kind, patience).await else { return };
    let outcome = pool.take_list(instance, run, kind, list);
    fetch.outcome = outcome;
    // Clients fetch the list when they are notified, so notify them only now.
    if outcome == RefreshOutcome::Changed
        && !instance.supplies_lists()
        && let Some(observer) = pool.observer()
        && let Some(notification) = notification(kind)
    {
        observer.background(&pool.name, instance, &notification);
    }
}

/// The notification that a list has changed.
fn notification(kind: ListKind) -> Option<mainstay_protocol::Message> {
    let changed = match kind {
        ListKind::ResourceTemplates => ListKind::Resources.changed(),
        kind => kind.changed(),
    };
    let message = build::notification(changed?.as_str(), None);
    mainstay_protocol::Message::parse(message).ok()
}

impl Drop for FetchGuard<'_> {
    fn drop(&mut self) {
        self.run.refreshes.end(self.kind, self.outcome);
    }
}
