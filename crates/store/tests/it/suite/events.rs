//! The log of events.

use mainstay_store::events::{AGE_MAX, EVENTS_MAX, EVENTS_OF_ONE_MAX, PAGE_MAX, TEXT_BYTES_MAX};
use mainstay_store::{Backend, Event, EventsAsked, EventsOf};

use crate::places::{NOW, Place};

pub(super) fn event(number: u64, server: &str) -> Event {
    Event {
        at_ms: NOW * 1000 + number,
        server: Some(server.to_owned()),
        instance: Some(3),
        from: "ready".to_owned(),
        to: "not-ready".to_owned(),
        reason: Some(format!("it exited with code {number}")),
        brief_reason: Some("it exited".to_owned()),
    }
}

fn all() -> EventsAsked {
    EventsAsked { limit: PAGE_MAX, ..EventsAsked::default() }
}

/// The ids and the events that are found.
pub(super) async fn found(backend: &Backend, asked: EventsAsked) -> Vec<(u64, Event)> {
    let page = backend.events.page(asked).await.unwrap();
    page.events.into_iter().map(|stored| (stored.id, stored.event)).collect()
}

/// All events, page by page.
async fn every(backend: &Backend, of: EventsOf) -> Vec<(u64, Event)> {
    let mut events = Vec::new();
    let mut newest = found(backend, EventsAsked { of: of.clone(), limit: 1, ..all() }).await;
    let Some((newest, _)) = newest.pop() else { return events };
    let mut asked = EventsAsked { after: Some(0), of, ..all() };
    loop {
        let page = backend.events.page(asked.clone()).await.unwrap();
        events.extend(page.events.into_iter().map(|stored| (stored.id, stored.event)));
        let Some(&(last, _)) = events.last() else { return events };
        assert_eq!(page.is_cut, last < newest, "{last}");
        if !page.is_cut {
            return events;
        }
        asked.after = Some(last);
    }
}

pub(crate) async fn events_survive_in_their_order_and_their_numbers_rise(mut place: impl Place) {
    let daemon = Event { server: None, instance: None, reason: None, ..event(2, "") };
    let three = [event(3, "files"), event(1, "time"), daemon];
    let first = place.open();
    three.iter().for_each(|event| first.events.record(event.clone()));
    assert!(first.events.stored().await);
    place.crash();
    let second = place.open();
    second.events.record(event(4, "files"));
    let now = found(&second, all()).await;
    let (ids, events): (Vec<_>, Vec<_>) = now.into_iter().unzip();
    assert_eq!(ids, [1, 2, 3, 4]);
    assert_eq!((&events[..3], &events[3]), (&three[..], &event(4, "files")));
}

pub(crate) async fn events_are_found_by_server_time_and_number(mut place: impl Place) {
    let backend = place.open();
    for number in 1..=6 {
        backend.events.record(event(number, if number % 2 == 0 { "even" } else { "odd" }));
    }
    backend.events.record(Event { server: None, ..event(7, "") });
    let ids = async |asked: EventsAsked| {
        let page = backend.events.page(asked).await.unwrap();
        let ids: Vec<_> = page.events.iter().map(|stored| stored.id).collect();
        (ids, page.is_cut)
    };
    assert_eq!(ids(all()).await, (vec![1, 2, 3, 4, 5, 6, 7], false));
    assert_eq!(ids(EventsAsked { limit: 2, ..all() }).await, (vec![6, 7], true));
    assert_eq!(ids(EventsAsked { limit: 0, ..all() }).await, (vec![], true));
    // Who goes on after a number misses none.
    assert_eq!(ids(EventsAsked { after: Some(2), limit: 2, ..all() }).await, (vec![3, 4], true));
    assert_eq!(ids(EventsAsked { after: Some(7), ..all() }).await, (vec![], false));
    let of = |of| EventsAsked { of, ..all() };
    assert_eq!(ids(of(EventsOf::Daemon)).await, (vec![7], false));
    let even = EventsOf::Server("even".to_owned());
    assert_eq!(ids(of(even.clone())).await, (vec![2, 4, 6], false));
    let since = EventsAsked { since_ms: NOW * 1000 + 4, of: even, ..all() };
    assert_eq!(ids(since.clone()).await, (vec![4, 6], false));
    assert_eq!(ids(EventsAsked { limit: 1, ..since }).await, (vec![6], true));
    assert_eq!(ids(of(EventsOf::Server("none".to_owned()))).await, (vec![], false));
}

pub(crate) async fn events_are_bounded_in_number_and_for_each_server(mut place: impl Place) {
    let backend = place.open();
    backend.events.record(event(0, "quiet"));
    let flap = EVENTS_OF_ONE_MAX + 500;
    for number in 1..=flap {
        backend.events.record(event(number, "flaps"));
        if number % 500 == 0 {
            assert!(backend.events.stored().await);
        }
    }
    let flaps = every(&backend, EventsOf::Server("flaps".to_owned())).await;
    assert_eq!((flaps.len() as u64, &flaps[0].1), (EVENTS_OF_ONE_MAX, &event(501, "flaps")));
    let quiet = EventsAsked { of: EventsOf::Server("quiet".to_owned()), ..all() };
    assert_eq!(found(&backend, quiet.clone()).await, [(1, event(0, "quiet"))]);
    // Many servers together.
    for number in 1..=EVENTS_MAX {
        backend.events.record(event(flap + number, &format!("s{}", number % 20)));
        if number % 500 == 0 {
            assert!(backend.events.stored().await);
        }
    }
    let kept = every(&backend, EventsOf::All).await;
    let total = kept.len() as u64;
    assert!((EVENTS_MAX - 100..=EVENTS_MAX).contains(&total), "{total}");
    assert_eq!(kept.last().unwrap().1.at_ms, NOW * 1000 + flap + EVENTS_MAX);
    assert_eq!(found(&backend, quiet).await, []);
    let long = Some("ä".repeat(TEXT_BYTES_MAX));
    backend.events.record(Event { reason: long, ..event(0, "time") });
    let newest = found(&backend, EventsAsked { limit: 1, ..all() }).await.remove(0).1;
    assert_eq!(newest.reason.unwrap().len(), TEXT_BYTES_MAX);
}

pub(crate) async fn old_events_are_removed(mut place: impl Place) {
    let backend = place.open();
    backend.events.record(event(1, "files"));
    let later = AGE_MAX.as_millis() as u64 + 2;
    for number in 0..100 {
        backend.events.record(event(later + number, "time"));
    }
    let (id, oldest) = found(&backend, all()).await.remove(0);
    assert_eq!((id, oldest), (2, event(later, "time")));
}
