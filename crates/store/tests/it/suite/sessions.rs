//! Sessions and names.

use std::collections::BTreeSet;

use mainstay_session::Serial;
use mainstay_session::catalogue::PublishedNames;
use mainstay_store::{Backend, SessionChanges, SessionStatus};

use crate::places::{NOW, Place};

/// Names with one tool.
pub(super) fn names(published: &str) -> PublishedNames {
    let tools = format!(r#"{{"published":{{"near":{{"echo":"{published}"}}}}}}"#);
    let none = r#"{"published":{}}"#;
    serde_json::from_str(&format!("[{tools},{none},{none},{none}]")).unwrap()
}

async fn status(backend: &Backend, session: Serial) -> SessionStatus {
    backend.sessions.status(session).await.unwrap()
}

pub(crate) async fn what_became_of_sessions_survives(mut place: impl Place) {
    let first = place.open();
    let [quiet, busy, ended] = std::array::from_fn(|_| first.sessions.next());
    first.sessions.subscribed(busy, NOW, "files", "\"file:///a\"");
    first.sessions.subscribed(busy, NOW, "files", "\"file:///b\"");
    first.sessions.unsubscribed(busy, "files", "\"file:///a\"");
    first.sessions.level(busy, NOW + 1, "debug");
    first.sessions.ended(ended, NOW);
    assert!(first.sessions.stored().await && first.sessions.flushed().await);
    place.crash();
    let second = place.open();
    assert_eq!(status(&second, quiet).await, SessionStatus::Unchanged);
    assert_eq!(status(&second, ended).await, SessionStatus::Ended);
    let kept = SessionChanges {
        used_at: NOW + 1,
        level: Some("debug".into()),
        subscriptions: [("files".into(), "\"file:///b\"".into())].into(),
    };
    assert_eq!(status(&second, busy).await, SessionStatus::Changed(kept));
}

pub(crate) async fn notes_are_read_at_once_and_the_last_one_counts(mut place: impl Place) {
    let backend = place.open();
    let own = backend.sessions.next();
    for (at, level) in [(NOW, "debug"), (NOW + 5, "error"), (NOW + 3, "info")] {
        backend.sessions.level(own, at, level);
        let SessionStatus::Changed(kept) = status(&backend, own).await else {
            panic!("it is noted")
        };
        assert_eq!(kept.level.as_deref(), Some(level));
    }
    backend.sessions.used(&[(own, NOW + 2)]);
    let SessionStatus::Changed(kept) = status(&backend, own).await else { panic!("it is noted") };
    assert_eq!(kept.used_at, NOW + 5, "the latest use, in whichever order they are noted");
}

pub(crate) async fn the_end_of_a_session_is_final(mut place: impl Place) {
    let first = place.open();
    let own = first.sessions.next();
    first.sessions.level(own, NOW, "debug");
    first.sessions.ended(own, NOW);
    first.sessions.used(&[(own, NOW + 1)]);
    first.sessions.subscribed(own, NOW + 2, "files", "\"late\"");
    assert_eq!(status(&first, own).await, SessionStatus::Ended);
    assert!(first.sessions.flushed().await && first.sessions.stored().await);
    place.crash();
    let second = place.open();
    second.sessions.used(&[(own, NOW + 3)]);
    assert_eq!(status(&second, own).await, SessionStatus::Ended);
}

pub(crate) async fn no_two_sessions_have_the_same_number(mut place: impl Place) {
    let mut seen = BTreeSet::new();
    for _ in 0..3 {
        let backend = place.open();
        for _ in 0..100 {
            assert!(seen.insert(backend.sessions.next()));
        }
        place.crash();
    }
}

pub(crate) async fn sessions_are_noted_from_many_tasks_at_once(mut place: impl Place) {
    let first = place.open();
    let mut tasks = tokio::task::JoinSet::new();
    for task in 0..8 {
        let backend = first.clone();
        tasks.spawn(async move {
            let mut own = Vec::new();
            for at in 0..20 {
                let serial = backend.sessions.next();
                backend.sessions.used(&[(serial, NOW + task * 100 + at)]);
                assert!(backend.sessions.stored().await);
                own.push((serial, NOW + task * 100 + at));
            }
            own
        });
    }
    let all: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
    place.crash();
    let second = place.open();
    for (serial, at) in all {
        let kept = SessionChanges { used_at: at, ..SessionChanges::default() };
        assert_eq!(status(&second, serial).await, SessionStatus::Changed(kept));
    }
}

pub(crate) async fn names_survive_and_the_last_ones_count(mut place: impl Place) {
    let first = place.open();
    assert!(first.names.load().await.unwrap().is_empty());
    first.names.save("work", &names("early"));
    first.names.save("play", &names("other"));
    first.names.save("work", &names("late"));
    assert!(first.names.stored().await);
    place.crash();
    let mut loaded = place.open().names.load().await.unwrap();
    let found = ["play", "work"].map(|endpoint| loaded.remove(endpoint).unwrap());
    let text = found.map(|names| serde_json::to_string(&names[0]).unwrap());
    assert!(text[0].contains("other") && text[1].contains("late"), "{text:?}");
    assert!(loaded.is_empty(), "{loaded:?}");
}

pub(crate) async fn what_nobody_waited_for_is_there_or_not_and_the_rest_stays(
    mut place: impl Place,
) {
    let first = place.open();
    let [stays, late] = std::array::from_fn(|_| first.sessions.next());
    first.sessions.ended(stays, NOW);
    assert!(first.sessions.stored().await);
    first.names.save("work", &names("early"));
    assert!(first.names.stored().await);
    first.sessions.level(late, NOW, "debug");
    first.names.save("work", &names("late"));
    place.crash();
    let second = place.open();
    assert_eq!(status(&second, stays).await, SessionStatus::Ended);
    let whole =
        SessionChanges { used_at: NOW, level: Some("debug".into()), ..SessionChanges::default() };
    let late = status(&second, late).await;
    assert!(late == SessionStatus::Unchanged || late == SessionStatus::Changed(whole), "{late:?}");
    let loaded = second.names.load().await.unwrap();
    let text = serde_json::to_string(&loaded["work"]).unwrap();
    assert!(text.contains("early") || text.contains("late"), "{text}");
}
