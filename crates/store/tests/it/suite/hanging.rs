//! What callers see of a backend that does not answer.

use mainstay_store::{
    ANSWER_DEADLINE, CLOSE_DEADLINE, EventsAsked, KEY_DEADLINE, KeyName, SessionStatus, Unavailable,
};

use super::events::{event, found};
use super::failing::all_stored;
use super::records::entry;
use super::sessions::names;
use crate::places::{Hangs, NOW, soon, within};

/// Fails unless this is the right answer, or it is said that none came in time.
#[track_caller]
fn right_or_slow<T: PartialEq + std::fmt::Debug>(answer: &Result<T, Unavailable>, right: &T) {
    match answer {
        Ok(answer) => assert_eq!(answer, right),
        Err(Unavailable::Slow(waited)) => assert!(*waited <= KEY_DEADLINE),
        Err(Unavailable::Busy) => {}
        Err(other) => panic!("it hangs, and {other:?} says something else"),
    }
}

pub(crate) async fn nobody_waits_longer_than_the_deadlines(mut place: impl Hangs) {
    let backend = place.open();
    let own = backend.sessions.next();
    backend.sessions.ended(own, NOW);
    backend.names.save("work", &names("echo"));
    backend.audit.record(entry(1));
    assert!(all_stored(&backend).await);
    let key = backend.keys.get_or_create(KeyName::Session).await.unwrap();
    place.hang(true);
    // So that there is something to store.
    backend.sessions.used(&[(backend.sessions.next(), NOW)]);
    backend.names.save("play", &names("echo"));
    backend.audit.record(entry(2));
    backend.events.record(event(1, "files"));
    let newest = EventsAsked { limit: 10, ..EventsAsked::default() };
    within(ANSWER_DEADLINE * 2, async {
        let (known, loaded, recent, events, put, got, removed, listed) = tokio::join!(
            backend.sessions.status(own),
            backend.names.load(),
            backend.audit.recent(10),
            backend.events.page(newest),
            backend.approvals.put("a", 0, b""),
            backend.users.get("a"),
            backend.usage.remove("a"),
            backend.usage.list("", 10),
        );
        right_or_slow(&known, &SessionStatus::Ended);
        right_or_slow(&loaded.map(|names| names.len()), &2);
        right_or_slow(&recent, &vec![entry(2), entry(1)]);
        right_or_slow(&events.map(|page| page.events.len()), &1);
        right_or_slow(&got, &None);
        right_or_slow(&removed, &false);
        right_or_slow(&listed, &Vec::new());
        assert!(matches!(put, Err(Unavailable::Slow(_) | Unavailable::Busy)), "{put:?}");
    })
    .await;
    let stored = within(ANSWER_DEADLINE * 2, async {
        tokio::join!(
            backend.sessions.flushed(),
            backend.sessions.stored(),
            backend.names.stored(),
            backend.audit.stored(),
            backend.events.stored(),
        )
    });
    assert_eq!(stored.await, (false, false, false, false, false));
    let got = within(KEY_DEADLINE * 2, backend.keys.get_or_create(KeyName::Session)).await;
    right_or_slow(&got, &key);
    place.hang(false);
    soon("it answers", async || backend.approvals.get("a").await.is_ok()).await;
    // Whoever was told that it took too long finds it whole or not at all.
    let version = backend.approvals.get("a").await.unwrap().map_or(0, |row| row.version);
    assert!(version <= 1);
}

pub(crate) async fn questions_without_number_are_all_answered_in_time(mut place: impl Hangs) {
    let backend = place.open();
    assert_eq!(backend.users.get("a").await, Ok(None));
    place.hang(true);
    let mut questions = tokio::task::JoinSet::new();
    for _ in 0..500 {
        let users = backend.users.clone();
        questions.spawn(async move { users.get("a").await });
    }
    for answer in within(ANSWER_DEADLINE * 4, questions.join_all()).await {
        right_or_slow(&answer, &None);
    }
    place.hang(false);
    soon("it answers", async || backend.users.get("a").await == Ok(None)).await;
}

pub(crate) async fn what_is_noted_while_it_hangs_is_stored_once_it_answers(mut place: impl Hangs) {
    let first = place.open();
    let own = first.sessions.next();
    first.sessions.used(&[(own, NOW)]);
    first.names.save("work", &names("early"));
    first.audit.record(entry(1));
    assert!(all_stored(&first).await);
    place.hang(true);
    let notes = async {
        first.sessions.ended(own, NOW);
        first.names.save("work", &names("late"));
        first.audit.record(entry(2));
        first.events.record(event(1, "files"));
    };
    within(ANSWER_DEADLINE, notes).await;
    assert!(!all_stored(&first).await);
    place.hang(false);
    soon("all is stored", async || all_stored(&first).await).await;
    place.crash();
    let second = place.open();
    assert_eq!(second.sessions.status(own).await, Ok(SessionStatus::Ended));
    let loaded = second.names.load().await.unwrap();
    assert!(serde_json::to_string(&loaded["work"][0]).unwrap().contains("late"));
    assert_eq!(second.audit.recent(1).await, Ok(vec![entry(2)]));
    let newest = EventsAsked { limit: 1, ..EventsAsked::default() };
    assert_eq!(found(&second, newest).await, [(1, event(1, "files"))]);
}

pub(crate) async fn an_end_while_it_hangs_is_given_up(mut place: impl Hangs) {
    let first = place.open();
    let [stored, late] = std::array::from_fn(|_| first.sessions.next());
    first.sessions.ended(stored, NOW);
    assert!(all_stored(&first).await);
    place.hang(true);
    first.sessions.ended(late, NOW);
    assert!(
        !within(CLOSE_DEADLINE * 2, first.upkeep.close()).await,
        "what was noted is not stored"
    );
    place.crash();
    place.hang(false);
    let second = place.open();
    assert_eq!(second.sessions.status(stored).await, Ok(SessionStatus::Ended));
}
