//! SubscriptionLocks of subscribing and unsubscribing: one request at a time for each instance and URI, so that
//! a server never gets `unsubscribe` of the last subscriber after `subscribe` of the next first
//! one.

use std::collections::HashMap;
use std::sync::Arc;

use mainstay_model::InstanceId;
use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;

/// All turns that are held or waited for.
#[derive(Debug, Default)]
pub(crate) struct SubscriptionLocks {
    open: Mutex<HashMap<Key, Arc<LockState>>>,
}

/// An instance, and the JSON text of a URI.
type Key = (InstanceId, Box<str>);

/// State that all requests for the same turn share. Dropped with the last of them.
#[derive(Debug, Default)]
struct LockState {
    turn: Arc<tokio::sync::Mutex<()>>,
    refusals: Mutex<Refusals>,
}

#[derive(Debug, Default)]
struct Refusals {
    count: u64,
    last: String,
}

/// The right to subscribe or unsubscribe at an instance for a URI, until it is dropped.
#[derive(Debug)]
pub(crate) struct SubscriptionLock {
    turns: Arc<SubscriptionLocks>,
    key: Key,
    state: Arc<LockState>,
    /// Number of refusals when the wait for the turn began.
    refusals_before: u64,
    guard: Option<OwnedMutexGuard<()>>,
}

// === impl SubscriptionLocks ===

impl SubscriptionLocks {
    /// Waits for a turn. Its holder bounds how long that takes.
    pub(crate) async fn take(
        self: &Arc<Self>,
        instance: InstanceId,
        uri: &str,
    ) -> SubscriptionLock {
        let key: Key = (instance, uri.into());
        let state = self.open.lock().entry(key.clone()).or_default().clone();
        let refusals_before = state.refusals.lock().count;
        let wait = state.turn.clone().lock_owned();
        // Created before the wait, so that a wait that is abandoned leaves nothing behind.
        let mut turn =
            SubscriptionLock { turns: self.clone(), key, state, refusals_before, guard: None };
        turn.guard = Some(wait.await);
        turn
    }
}

// === impl SubscriptionLock ===

impl SubscriptionLock {
    /// Returns the server's error to a request for the same subscription that was answered while
    /// this one waited.
    pub(crate) fn refused_meanwhile(&self) -> Option<String> {
        let refusals = self.state.refusals.lock();
        (refusals.count > self.refusals_before).then(|| refusals.last.clone())
    }

    /// Records that the server refused the subscription, for the requests that wait.
    pub(crate) fn refuse(&self, error: &str) {
        let mut refusals = self.state.refusals.lock();
        refusals.count += 1;
        error.clone_into(&mut refusals.last);
    }
}

impl Drop for SubscriptionLock {
    fn drop(&mut self) {
        self.guard = None;
        let mut open = self.turns.open.lock();
        // One reference is in the table and one is here.
        if Arc::strong_count(&self.state) == 2 {
            open.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use mainstay_model::InstanceId;

    use super::SubscriptionLocks;

    const ONE: InstanceId = InstanceId(1);

    #[tokio::test(start_paused = true)]
    async fn one_after_the_other_and_others_at_once() {
        let turns = Arc::new(SubscriptionLocks::default());
        let first = turns.take(ONE, "a").await;
        drop((turns.take(ONE, "b").await, turns.take(InstanceId(2), "a").await));
        let second = turns.take(ONE, "a");
        assert!(tokio::time::timeout(Duration::from_secs(1), second).await.is_err());
        drop(first);
        drop(turns.take(ONE, "a").await);
        assert!(turns.open.lock().is_empty(), "nothing is left of them");
    }

    #[tokio::test]
    async fn whoever_waited_hears_the_refusal_and_who_comes_later_asks_again() {
        let turns = Arc::new(SubscriptionLocks::default());
        let first = turns.take(ONE, "a").await;
        let waits = turns.clone();
        let mut second = Box::pin(async move { waits.take(ONE, "a").await });
        assert!(futures_util::poll!(&mut second).is_pending());
        first.refuse("no such resource");
        drop(first);
        let second = second.await;
        assert_eq!(second.refused_meanwhile().as_deref(), Some("no such resource"));
        let mut third = Box::pin(turns.take(ONE, "a"));
        assert!(futures_util::poll!(&mut third).is_pending());
        drop(second);
        assert_eq!(third.await.refused_meanwhile(), None);
        assert!(turns.open.lock().is_empty());
    }
}
