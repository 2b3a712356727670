use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use mainstay_model::{ChangeKind, Condition, Name};
use proptest::prelude::*;

use super::{AGAIN_AFTER, AT_ONCE_MAX, Dated, Deliveries, Ended, LATER_MAX, SERVERS_MAX, Taken};
use crate::notices::{Subject, Telling};
use Condition::{CrashLoop, NotReady, Ready};

fn name(text: &str) -> Name {
    Name::try_new(text).unwrap()
}

fn subject(server: &str) -> Subject {
    Subject { name: name(server), is_breaker: false }
}

fn dated(server: &str, from: Condition, to: Condition, reason: &str) -> Dated {
    let telling = Telling {
        rule: 0,
        server: name(server),
        event: ChangeKind::of(from, to),
        from,
        to,
        reason: Some(reason.to_owned()),
        left_out: 0,
    };
    Dated { telling, at: SystemTime::UNIX_EPOCH }
}

/// What is said: the condition before and now, and how many changes are left out.
fn said(dated: Option<Dated>) -> Option<(Condition, Condition, u64)> {
    dated.map(|Dated { telling, .. }| (telling.from, telling.to, telling.left_out))
}

#[test]
fn a_telling_waits_for_the_end_of_the_one_before_about_the_same_server() {
    let (mut deliveries, now) = (Deliveries::default(), Instant::now());
    assert_eq!(deliveries.take(dated("a", Ready, NotReady, "1")), Taken::Waits);
    assert_eq!(said(deliveries.begin(now)), Some((Ready, NotReady, 0)));
    assert_eq!(deliveries.take(dated("a", NotReady, Ready, "2")), Taken::Waits);
    assert_eq!(deliveries.begin(now), None, "the first one is under way");
    assert_eq!(deliveries.take(dated("b", Ready, CrashLoop, "3")), Taken::Waits);
    assert_eq!(said(deliveries.begin(now)), Some((Ready, CrashLoop, 0)), "of another server");
    let ended = deliveries.ended(now, &subject("a"), true);
    assert!(matches!(ended, Ended::Delivered(telling) if telling.to == NotReady));
    assert_eq!(said(deliveries.begin(now)), Some((NotReady, Ready, 0)));
}

#[test]
fn a_failed_attempt_is_left_out_for_what_came_meanwhile() {
    let (mut deliveries, now) = (Deliveries::default(), Instant::now());
    deliveries.take(dated("a", Ready, NotReady, "1"));
    deliveries.begin(now);
    deliveries.take(dated("a", NotReady, CrashLoop, "2"));
    assert_eq!(deliveries.take(dated("a", CrashLoop, Ready, "3")), Taken::Merged);
    assert_eq!(deliveries.ended(now, &subject("a"), false), Ended::Merged);
    assert_eq!(said(deliveries.begin(now)), Some((Ready, Ready, 2)));
    // All of its attempts are left.
    for pause in AGAIN_AFTER {
        assert_eq!(deliveries.ended(now, &subject("a"), false), Ended::Again);
        assert_eq!((deliveries.begin(now), deliveries.next_deadline()), (None, Some(now + pause)));
        assert_eq!(said(deliveries.begin(now + pause)), Some((Ready, Ready, 2)));
    }
    let ended = deliveries.ended(now, &subject("a"), false);
    assert!(matches!(ended, Ended::Failed(telling) if telling.reason.as_deref() == Some("3")));
    assert_eq!(deliveries.ended(now, &subject("a"), false), Ended::Unknown);
}

/// A receiver that restarts for six seconds hears of it, and one that is gone for an hour costs nothing more.
#[test]
fn a_receiver_that_was_away_is_told_later() {
    let (mut deliveries, mut now) = (Deliveries::default(), Instant::now());
    deliveries.take(dated("a", Ready, CrashLoop, "1"));
    let mut ends = Vec::new();
    while deliveries.begin(now).is_some() {
        ends.push(deliveries.ended(now, &subject("a"), false));
        now = deliveries.next_deadline().unwrap_or(now);
    }
    assert_eq!(ends.len(), 1 + AGAIN_AFTER.len() + LATER_MAX);
    assert!(
        matches!(ends[2], Ended::Failed(_)) && ends[3..14].iter().all(|end| *end == Ended::Again)
    );
    assert!(matches!(&ends[14], Ended::GivenUp(telling) if telling.to == CrashLoop));
    // The next one is as new.
    assert_eq!(deliveries.take(dated("a", CrashLoop, Ready, "2")), Taken::Waits);
    assert_eq!(said(deliveries.begin(now)), Some((CrashLoop, Ready, 0)));
}

#[test]
fn what_waits_to_be_tried_again_is_left_out_for_a_newer_one_at_once() {
    let (mut deliveries, now) = (Deliveries::default(), Instant::now());
    deliveries.take(dated("a", Ready, NotReady, "1"));
    deliveries.begin(now);
    deliveries.ended(now, &subject("a"), false);
    assert_eq!(deliveries.begin(now), None);
    assert_eq!(deliveries.take(dated("a", NotReady, Ready, "2")), Taken::Merged);
    assert_eq!(said(deliveries.begin(now)), Some((Ready, Ready, 1)));
}

#[test]
fn attempts_and_servers_are_bounded() {
    let (mut deliveries, now) = (Deliveries::default(), Instant::now());
    for number in 0..SERVERS_MAX {
        let taken = deliveries.take(dated(&format!("s{number}"), Ready, NotReady, ""));
        assert_eq!(taken, Taken::Waits);
    }
    assert_eq!(deliveries.take(dated("more", Ready, NotReady, "")), Taken::Dropped);
    assert_eq!(deliveries.take(dated("s7", NotReady, Ready, "")), Taken::Merged);
    let begun = std::iter::from_fn(|| deliveries.begin(now));
    let begun: Vec<_> = begun.map(|dated| dated.telling.server.to_string()).collect();
    assert_eq!(begun, ["s0", "s1", "s2", "s3"]);
    deliveries.ended(now, &subject("s1"), true);
    assert_eq!(deliveries.begin(now).unwrap().telling.server, name("s4"));
}

#[derive(Debug, Clone)]
enum Move {
    Tell(usize),
    Begin,
    End(usize, bool),
    Wait(u64),
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let one = prop_oneof![
        (0..6usize).prop_map(Move::Tell),
        Just(Move::Begin),
        (0..6usize, any::<bool>())
            .prop_map(|(server, is_delivered)| Move::End(server, is_delivered)),
        (0..5u64).prop_map(Move::Wait),
    ];
    prop::collection::vec(one, 1..200)
}

proptest! {
    /// Whatever happens: at most one attempt about a server at a time, never an older telling after a newer one,
    /// each telling is delivered, left out or failed, and the newest one is tried last.
    #[test]
    fn tellings_about_a_server_come_in_order_and_none_is_forgotten(moves in moves()) {
        let (mut deliveries, mut now) = (Deliveries::default(), Instant::now());
        let (mut told, mut settled) = ([0u64; 6], [0u64; 6]);
        let mut under_way = BTreeMap::new();
        let mut newest_tried = [0u64; 6];
        let end = (0..200).flat_map(|_| [Move::Begin, Move::End(0, true), Move::End(1, true), Move::End(2, true),
            Move::End(3, true), Move::End(4, true), Move::End(5, true), Move::Wait(300)]);
        for step in moves.into_iter().chain(end) {
            match step {
                Move::Tell(at) => {
                    told[at] += 1;
                    let taken = deliveries.take(dated(&format!("s{at}"), Ready, NotReady, &told[at].to_string()));
                    prop_assert!(taken != Taken::Dropped);
                }
                Move::Begin => {
                    let Some(Dated { telling, .. }) = deliveries.begin(now) else { continue };
                    let at: usize = telling.server.as_str()[1..].parse().unwrap();
                    let number: u64 = telling.reason.unwrap().parse().unwrap();
                    prop_assert!(under_way.insert(at, number).is_none());
                    prop_assert!(under_way.len() <= AT_ONCE_MAX);
                    prop_assert!(number >= newest_tried[at]);
                    newest_tried[at] = number;
                }
                Move::End(at, is_delivered) => {
                    let was_under_way = under_way.remove(&at).is_some();
                    match deliveries.ended(now, &subject(&format!("s{at}")), is_delivered) {
                        Ended::Delivered(telling) | Ended::GivenUp(telling) => {
                            settled[at] += telling.left_out + 1;
                        }
                        Ended::Again | Ended::Failed(_) | Ended::Merged => {}
                        Ended::Unknown => prop_assert!(!was_under_way),
                    }
                }
                Move::Wait(seconds) => now += Duration::from_secs(seconds),
            }
        }
        prop_assert_eq!(told, settled);
        prop_assert_eq!(told, newest_tried);
    }
}
