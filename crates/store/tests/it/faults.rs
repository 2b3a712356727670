//! A backend that fails, hangs and loses: what callers may rely on even then.

use std::time::{Duration, Instant};

use mainstay_store::{KeyName, Known, Unavailable};
use mainstay_testkit::MemoryStore;

use crate::places::NOW;

#[tokio::test]
async fn what_nobody_waited_for_may_be_lost_and_the_rest_is_not() {
    let store = MemoryStore::default();
    let first = store.open();
    let [kept, lost] = std::array::from_fn(|_| first.sessions.next());
    first.sessions.ended(kept, NOW);
    assert!(first.sessions.stored().await);
    first.sessions.ended(lost, NOW);
    store.crash();
    let second = store.open();
    assert_eq!(second.sessions.known(kept).await, Ok(Known::Ended));
    assert_eq!(second.sessions.known(lost).await, Ok(Known::Nothing));
}

#[tokio::test]
async fn a_backend_that_fails_says_so_and_goes_on_with_what_was_noted() {
    let store = MemoryStore::default();
    let backend = store.open();
    store.fail(Some("the disk is full"));
    let own = backend.sessions.next();
    backend.sessions.ended(own, NOW);
    let failed = Unavailable::Failed("the disk is full".to_owned());
    assert!(!backend.sessions.stored().await);
    assert_eq!(backend.sessions.known(own).await, Err(failed.clone()));
    assert_eq!(backend.users.get("a").await, Err(failed));
    assert_eq!(backend.upkeep.state().failing.as_deref(), Some("the disk is full"));
    store.fail(None);
    assert!(backend.sessions.stored().await);
    store.crash();
    assert_eq!(store.open().sessions.known(own).await, Ok(Known::Ended));
}

#[tokio::test]
async fn nobody_waits_for_ever_for_a_backend_that_hangs() {
    let store = MemoryStore::default();
    let backend = store.open();
    store.hang(true);
    let begun = Instant::now();
    let (known, names, key, audit, row, stored) = tokio::join!(
        backend.sessions.known(backend.sessions.next()),
        backend.names.load(),
        backend.keys.get_or_create(KeyName::Session),
        backend.audit.recent(1),
        backend.approvals.put("a", 0, b""),
        backend.sessions.stored(),
    );
    assert!(begun.elapsed() < Duration::from_secs(10));
    let slow = |error| matches!(error, Some(Unavailable::Slow(_)));
    assert!(slow(known.err()) && slow(names.err()) && slow(key.err()) && slow(audit.err()));
    assert!(slow(row.err()) && !stored);
    store.hang(false);
    assert_eq!(backend.approvals.get("a").await, Ok(None), "what was given up was not done");
}
