//! What callers see of a backend that fails.

use std::collections::BTreeSet;

use mainstay_store::{
    ANSWER_DEADLINE, Backend, CLOSE_DEADLINE, EventsAsked, KeyName, Put, SessionStatus, Unavailable,
};

use super::events::{event, found};
use super::records::entry;
use super::sessions::names;
use crate::places::{Fails, NOW, soon, within};

/// Whether all notes are where they survive.
pub(super) async fn all_stored(backend: &Backend) -> bool {
    let stored = [
        backend.sessions.stored(),
        backend.names.stored(),
        backend.audit.stored(),
        backend.events.stored(),
    ];
    let mut all = backend.sessions.flushed().await;
    for stored in stored {
        all &= stored.await;
    }
    all
}

/// Fails unless this is the right answer, or none for a reason that is said.
#[track_caller]
fn right_or_refused<T: PartialEq + std::fmt::Debug>(answer: &Result<T, Unavailable>, right: &T) {
    match answer {
        Ok(answer) => assert_eq!(answer, right),
        Err(Unavailable::Failed(why)) => assert!(!why.is_empty()),
        Err(other) => panic!("it fails, and {other:?} says something else"),
    }
}

pub(crate) async fn what_is_noted_while_it_fails_is_stored_once_it_works(mut place: impl Fails) {
    let first = place.open();
    let [before, meanwhile] = std::array::from_fn(|_| first.sessions.next());
    first.sessions.ended(before, NOW);
    assert!(all_stored(&first).await);
    place.fail(true);
    first.sessions.ended(meanwhile, NOW);
    first.names.save("work", &names("echo"));
    first.audit.record(entry(1));
    first.events.record(event(1, "files"));
    let waits = async {
        assert!(!first.sessions.flushed().await && !first.sessions.stored().await);
        assert!(!first.names.stored().await && !first.audit.stored().await);
        assert!(!first.events.stored().await);
    };
    within(ANSWER_DEADLINE * 4, waits).await;
    let why = first.upkeep.state().failing.expect("it is told");
    assert!(!why.is_empty());
    for of in [before, meanwhile] {
        right_or_refused(&first.sessions.status(of).await, &SessionStatus::Ended);
    }
    place.fail(false);
    soon("all is stored", async || all_stored(&first).await).await;
    assert_eq!(first.upkeep.state().failing, None);
    place.crash();
    let second = place.open();
    for of in [before, meanwhile] {
        assert_eq!(second.sessions.status(of).await, Ok(SessionStatus::Ended));
    }
    assert_eq!(second.names.load().await.unwrap().keys().collect::<Vec<_>>(), ["work"]);
    assert_eq!(second.audit.recent(10).await, Ok(vec![entry(1)]));
    let newest = EventsAsked { limit: 10, ..EventsAsked::default() };
    assert_eq!(found(&second, newest).await, [(1, event(1, "files"))]);
}

pub(crate) async fn what_is_asked_while_it_fails_is_answered_rightly_or_refused(
    mut place: impl Fails,
) {
    let backend = place.open();
    let own = backend.sessions.next();
    backend.sessions.level(own, NOW, "debug");
    backend.names.save("work", &names("echo"));
    backend.audit.record(entry(1));
    backend.events.record(event(1, "files"));
    let newest = EventsAsked { limit: 10, ..EventsAsked::default() };
    let events = backend.events.page(newest.clone()).await.unwrap();
    assert!(all_stored(&backend).await);
    assert_eq!(backend.users.put("ada", 0, b"one").await, Ok(Put::Done { version: 1 }));
    let key = backend.keys.get_or_create(KeyName::Session).await.unwrap();
    let known = backend.sessions.status(own).await.unwrap();
    let row = backend.users.get("ada").await.unwrap();
    place.fail(true);
    within(ANSWER_DEADLINE * 8, async {
        right_or_refused(&backend.sessions.status(own).await, &known);
        let found = backend.names.load().await.map(|names| names.into_keys().collect());
        right_or_refused(&found, &BTreeSet::from(["work".to_owned()]));
        right_or_refused(&backend.audit.recent(10).await, &vec![entry(1)]);
        right_or_refused(&backend.events.page(newest).await, &events);
        right_or_refused(&backend.users.get("ada").await, &row);
        right_or_refused(&backend.users.list("", 9).await, &row.iter().cloned().collect());
        right_or_refused(&backend.keys.get_or_create(KeyName::Session).await, &key);
        // A key that can't be stored is not handed out.
        let other = backend.keys.get_or_create(KeyName::Token).await;
        assert!(matches!(other, Err(Unavailable::Failed(_))), "{other:?}");
    })
    .await;
    place.fail(false);
    soon("it answers", async || backend.users.get("ada").await == Ok(row.clone())).await;
    assert_eq!(backend.keys.get_or_create(KeyName::Session).await, Ok(key));
    let token = backend.keys.get_or_create(KeyName::Token).await.unwrap();
    place.crash();
    assert_eq!(place.open().keys.get_or_create(KeyName::Token).await, Ok(token));
}

pub(crate) async fn a_change_that_failed_was_made_or_not(mut place: impl Fails) {
    let backend = place.open();
    let table = &backend.approvals;
    assert_eq!(table.put("stays", 0, b"x").await, Ok(Put::Done { version: 1 }));
    place.fail(true);
    let put = within(ANSWER_DEADLINE * 2, table.put("a", 0, b"x")).await;
    assert!(matches!(put, Err(Unavailable::Failed(_))), "{put:?}");
    let removed = within(ANSWER_DEADLINE * 2, table.remove("stays")).await;
    assert!(matches!(removed, Err(Unavailable::Failed(_))), "{removed:?}");
    place.fail(false);
    soon("it answers", async || table.get("a").await.is_ok()).await;
    let version = table.get("a").await.unwrap().map_or(0, |row| row.version);
    let next = Put::Done { version: version + 1 };
    assert_eq!(table.put("a", version, b"y").await, Ok(next));
    let stays = table.get("stays").await.unwrap();
    assert!(stays.is_none_or(|row| row.value == b"x"));
}

pub(crate) async fn an_end_while_it_fails_is_told_and_leaves_what_was_stored(
    mut place: impl Fails,
) {
    let first = place.open();
    let [stored, late] = std::array::from_fn(|_| first.sessions.next());
    first.sessions.ended(stored, NOW);
    first.names.save("work", &names("echo"));
    assert!(all_stored(&first).await);
    place.fail(true);
    first.sessions.ended(late, NOW);
    assert!(
        !within(CLOSE_DEADLINE * 2, first.upkeep.close()).await,
        "what was noted is not stored"
    );
    place.crash();
    place.fail(false);
    let second = place.open();
    assert_eq!(second.sessions.status(stored).await, Ok(SessionStatus::Ended));
    assert_eq!(second.names.load().await.unwrap().len(), 1);
}
