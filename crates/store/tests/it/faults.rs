//! The backend in memory loses and refuses exactly what it is told to: else the suite would show nothing.

use mainstay_store::{SessionStatus, Unavailable};
use mainstay_testkit::MemoryStore;

use crate::places::NOW;

#[tokio::test]
async fn it_loses_what_nobody_waited_for_and_nothing_else() {
    let store = MemoryStore::default();
    let first = store.open();
    let [kept, lost] = std::array::from_fn(|_| first.sessions.next());
    first.sessions.ended(kept, NOW);
    assert!(first.sessions.stored().await);
    first.sessions.ended(lost, NOW);
    store.crash();
    let second = store.open();
    assert_eq!(second.sessions.status(kept).await, Ok(SessionStatus::Ended));
    assert_eq!(second.sessions.status(lost).await, Ok(SessionStatus::Unchanged));
}

#[tokio::test]
async fn it_fails_in_the_words_it_was_told_for_as_long_as_it_was_told() {
    let store = MemoryStore::default();
    let backend = store.open();
    store.fail(Some("the disk is full"));
    let own = backend.sessions.next();
    let failed = Unavailable::Failed("the disk is full".to_owned());
    assert_eq!(backend.sessions.status(own).await, Err(failed.clone()));
    assert_eq!(backend.users.get("a").await, Err(failed));
    assert_eq!(backend.upkeep.state().failing.as_deref(), Some("the disk is full"));
    store.fail(None);
    assert_eq!(backend.sessions.status(own).await, Ok(SessionStatus::Unchanged));
}

#[tokio::test]
async fn what_was_given_up_while_it_hung_is_not_done() {
    let store = MemoryStore::default();
    let backend = store.open();
    store.hang(true);
    let put = backend.approvals.put("a", 0, b"").await;
    assert!(matches!(put, Err(Unavailable::Slow(_))), "{put:?}");
    store.hang(false);
    assert_eq!(backend.approvals.get("a").await, Ok(None));
}
