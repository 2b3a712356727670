use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{BudgetSpent, PROMISED_MAX, RetryBudget, RetryWish};

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// A wish without a pause, for a call that has this long.
fn wish(now: Instant, has: Duration) -> RetryWish {
    RetryWish { pause_max: Duration::ZERO, at_least: Duration::ZERO, deadline: now + has }
}

/// When the retries of calls that were lost together are sent, in milliseconds.
fn sent_at(budget: &mut RetryBudget, now: Instant, calls: u64, count: usize) -> Vec<u128> {
    let wish = wish(now, seconds(30));
    let places = (0..count).filter_map(|_| budget.take(now, calls, &wish).ok());
    places.map(|at| (at - now).as_millis()).collect()
}

#[test]
fn without_calls_thirty_retries_are_sent_at_once_and_three_a_second_after_them() {
    let now = Instant::now();
    let mut budget = RetryBudget::new(now, 0, 1);
    let sent = sent_at(&mut budget, now, 0, 100);
    assert!(sent[..30].iter().all(|at| *at == 0), "{sent:?}");
    assert_eq!(sent[30..34], [334, 667, 1000, 1334]);
    assert_eq!(sent[99], 23_334, "all of a hundred calls with 30 s have a place");
    assert_eq!(sent.len(), 100);
}

#[test]
fn every_ten_calls_of_the_last_ten_seconds_bring_one_retry() {
    let begun = Instant::now();
    let mut budget = RetryBudget::new(begun, 0, 1);
    let now = begun + seconds(10);
    let at_once = |sent: &[u128]| sent.iter().filter(|at| **at == 0).count();
    assert_eq!(at_once(&sent_at(&mut budget, now, 1_000, 200)), 130);
    // Calls of long ago bring nothing.
    let mut budget = RetryBudget::new(begun, 0, 1);
    let later = begun + seconds(100);
    assert_eq!(at_once(&sent_at(&mut budget, later, 1_000, 200)), 40, "100 on the average");
}

#[test]
fn a_retry_without_a_place_in_time_is_given_up_at_once_and_takes_none() {
    let now = Instant::now();
    let mut budget = RetryBudget::new(now, 0, 1);
    assert_eq!(sent_at(&mut budget, now, 0, 30).len(), 30);
    let spent = budget.take(now, 0, &wish(now, Duration::from_millis(200)));
    assert_eq!(spent, Err(BudgetSpent { wait: Duration::from_millis(334) }));
    let at = budget.take(now, 0, &wish(now, seconds(1))).unwrap();
    assert_eq!(at - now, Duration::from_millis(334), "the place is still free");
}

#[test]
fn a_place_that_is_given_back_is_there_for_the_next() {
    let now = Instant::now();
    let mut budget = RetryBudget::new(now, 0, 1);
    sent_at(&mut budget, now, 0, 31);
    budget.give_back();
    let at = budget.take(now, 0, &wish(now, seconds(1))).unwrap();
    assert_eq!(at - now, Duration::from_millis(334));
    // Nothing is gained by taking and giving back.
    for _ in 0..100 {
        budget.give_back();
    }
    assert_eq!(sent_at(&mut budget, now, 0, 40).iter().filter(|at| **at == 0).count(), 30);
}

#[test]
fn the_number_that_waits_is_bounded() {
    let now = Instant::now();
    let mut budget = RetryBudget::new(now, 0, 1);
    let patient = wish(now, seconds(86_400));
    let places = (0..1_000).filter_map(|_| budget.take(now, 0, &patient).ok()).count();
    assert_eq!(places as u64, 30 + PROMISED_MAX);
}

#[test]
fn the_pause_is_a_random_part_and_not_less_than_what_the_server_asked_for() {
    let now = Instant::now();
    let pauses = |seed: u64| -> Vec<Duration> {
        let mut budget = RetryBudget::new(now, 10_000, seed);
        let wish = RetryWish {
            pause_max: Duration::from_millis(100),
            at_least: seconds(2),
            deadline: now + seconds(30),
        };
        (0..30).map(|_| budget.take(now, 10_000, &wish).unwrap() - now).collect()
    };
    let found = pauses(7);
    let (least, most) = (found.iter().min().unwrap(), found.iter().max().unwrap());
    assert!(*least >= seconds(2) && *most <= Duration::from_millis(2_100), "{found:?}");
    assert!(*most - *least > Duration::from_millis(50), "they spread: {found:?}");
    assert_eq!(found, pauses(7));
    assert_ne!(found, pauses(8));
}

/// One thing that happens to a budget.
#[derive(Debug, Clone, Copy)]
enum Happening {
    Passed(u64),
    Calls(u64),
    /// A call is lost that has so many milliseconds.
    Lost(u64),
    /// The call whose retry was promised last is taken back.
    TakenBack,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        3 => (0..4_000u64).prop_map(Happening::Passed),
        2 => (0..200u64).prop_map(Happening::Calls),
        8 => (1..30_000u64).prop_map(Happening::Lost),
        1 => Just(Happening::TakenBack),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, ..ProptestConfig::default() })]

    /// Whatever happens, retries are no more than the budget's rate, in any stretch of time, and each is in time.
    #[test]
    fn retries_stay_within_their_rate(
        seed: u64,
        story in prop::collection::vec(happening(), 0..150),
    ) {
        let begun = Instant::now();
        let (mut now, mut calls) = (begun, 0);
        let mut budget = RetryBudget::new(begun, 0, seed);
        // Of each retry: when it is sent, and the count of calls when it was promised.
        let mut sent: Vec<(Instant, u64)> = Vec::new();
        for happening in story {
            match happening {
                Happening::Passed(millis) => now += Duration::from_millis(millis),
                Happening::Calls(more) => calls += more,
                Happening::Lost(has) => {
                    let wish = RetryWish {
                        pause_max: Duration::from_millis(100),
                        at_least: Duration::ZERO,
                        deadline: now + Duration::from_millis(has),
                    };
                    if let Ok(at) = budget.take(now, calls, &wish) {
                        prop_assert!(at >= now && at < wish.deadline);
                        sent.push((at, calls));
                    }
                }
                Happening::TakenBack => {
                    if let Some((at, _)) = sent.last() && *at > now {
                        sent.pop();
                        budget.give_back();
                    }
                }
            }
        }
        sent.sort();
        for from in 0..sent.len() {
            for to in from..sent.len() {
                let millis = (sent[to].0 - sent[from].0).as_millis() as u64 + 100;
                // What was left at most, and what time and calls have brought.
                let allowed = 30 + calls / 10 + millis * 3 / 1_000 + 1;
                prop_assert!((to - from) as u64 <= allowed, "{} in {millis} ms", to - from);
            }
        }
        // In all: a full budget, and what came since.
        let millis = (now - begun).as_millis() as u64;
        let by_now = sent.iter().filter(|(at, _)| *at <= now).count() as u64;
        prop_assert!(by_now <= 30 + calls / 10 + millis * 3 / 1_000 + 1);
    }
}
