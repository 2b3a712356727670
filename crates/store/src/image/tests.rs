use mainstay_session::Serial;
use proptest::prelude::*;

use super::Image;
use crate::record::Record;
use crate::sessions::{SessionChanges, SessionStatus};

const IDLE: u64 = 3600;

fn of(run: u64, number: u64) -> Serial {
    Serial { run, number }
}

fn image(records: impl IntoIterator<Item = Record>) -> Image {
    let mut image = Image::default();
    records.into_iter().for_each(|record| image.apply(record));
    image
}

fn subscribed(session: Serial, at: u64, uri: &str) -> Record {
    Record::Subscribed { session, at, server: "s".into(), uri: uri.into() }
}

pub(crate) fn any_record() -> impl Strategy<Value = Record> {
    let serial = (0u64..3, 0u64..6).prop_map(|(run, number)| of(run, number));
    (serial, 0u64..5, 0u64..9_000, "\\PC{0,3}").prop_map(|(session, kind, at, text)| match kind {
        0 => Record::Used { session, at },
        1 => Record::Level { session, at, level: text.into() },
        2 => subscribed(session, at, &text),
        3 => Record::Unsubscribed { session, server: "s".into(), uri: text.into() },
        _ => Record::Ended { session, at },
    })
}

#[test]
fn what_became_of_a_session_adds_up() {
    let one = of(1, 1);
    let image = image([
        Record::Used { session: one, at: 50 },
        subscribed(one, 40, "\"a\""),
        subscribed(one, 60, "\"b\""),
        Record::Level { session: one, at: 61, level: "debug".into() },
        Record::Level { session: one, at: 62, level: "error".into() },
        Record::Unsubscribed { session: one, server: "s".into(), uri: "\"a\"".into() },
        Record::Unsubscribed { session: one, server: "other".into(), uri: "\"b\"".into() },
    ]);
    let kept = SessionChanges {
        used_at: 62,
        level: Some("error".into()),
        subscriptions: [("s".into(), "\"b\"".into())].into(),
    };
    assert_eq!(image.status(one), SessionStatus::Changed(kept));
    assert_eq!(image.status(of(1, 2)), SessionStatus::Unchanged);
    assert_eq!(image.status(of(2, 1)), SessionStatus::Unchanged);
}

#[test]
fn the_end_is_the_end() {
    let one = of(1, 1);
    let image = image([
        Record::Used { session: one, at: 50 },
        Record::Ended { session: one, at: 51 },
        subscribed(one, 52, "\"late\""),
        Record::Used { session: one, at: 53 },
    ]);
    assert_eq!(image.status(one), SessionStatus::Ended);
}

#[test]
fn the_idle_and_the_surplus_are_let_go() {
    let mut image =
        image((1..=5).map(|number| Record::Used { session: of(1, number), at: number * 1000 }));
    image.prune(2000 + IDLE, IDLE, 10);
    let is_stored =
        |image: &Image, number| matches!(image.status(of(1, number)), SessionStatus::Changed(_));
    assert_eq!(
        [1, 2, 3, 4, 5].map(|number| is_stored(&image, number)),
        [false, true, true, true, true]
    );
    image.prune(2000 + IDLE, IDLE, 2);
    assert_eq!(
        [1, 2, 3, 4, 5].map(|number| is_stored(&image, number)),
        [false, false, false, true, true]
    );
    assert_eq!(image.status(of(1, 3)), SessionStatus::Ended, "it does not come back with nothing");
    // That they ended is remembered until nobody can come back.
    image.prune(2000 + IDLE + 20 * 3600, IDLE, 10);
    assert_eq!(image.status(of(1, 3)), SessionStatus::Ended);
    image.prune(2000 + IDLE + 80 * 3600, IDLE, 10);
    assert_eq!(image, Image::default());
}

#[test]
fn a_million_ended_sessions_cost_next_to_nothing() {
    let mut image = Image::default();
    for number in 1..=1_000_000 {
        if number % 100_000 != 0 {
            image.apply(Record::Ended { session: of(1, number), at: 1 });
        }
    }
    assert_eq!(image.records().count(), 10);
    assert_eq!(image.status(of(1, 99_999)), SessionStatus::Ended);
    assert_eq!(image.status(of(1, 100_000)), SessionStatus::Unchanged);
}

proptest! {
    #[test]
    fn the_fewest_records_add_up_to_the_same(records in prop::collection::vec(any_record(), 0..60)) {
        let image = image(records);
        let again = self::image(image.records());
        prop_assert_eq!(&again, &image);
    }

    #[test]
    fn no_more_are_kept_than_may_be(
        records in prop::collection::vec(any_record(), 0..60),
        most in 0usize..5,
        now in 0u64..20_000,
    ) {
        let mut image = image(records);
        let before = image.clone();
        image.prune(now, IDLE, most);
        prop_assert!(image.changed.len() <= most);
        for (session, changes) in &before.changed {
            let status = image.status(*session);
            prop_assert!(
                status == SessionStatus::Ended || status == SessionStatus::Changed(changes.clone()),
                "{:?}",
                status
            );
        }
    }
}
