use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::RefreshOutcome::{Changed, Failed, Same};
use super::{ListRefresh, PAUSE_CHANGED_MAX, PAUSE_MAX, RETRY_MAX, RefreshOutcome, SETTLE};
use crate::backoff::Jitter;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// The moments at which a list is fetched within `span`, by a server that announces a change
/// `after` each fetch.
fn fetches_of_an_echo(outcome: RefreshOutcome, after: Duration, span: Duration) -> Vec<Duration> {
    let begun = Instant::now();
    let mut refresh = ListRefresh::new(Jitter::seeded(7));
    refresh.mark(begun);
    let mut fetches = Vec::new();
    while let Some(at) = refresh.due().filter(|at| *at < begun + span) {
        fetches.push(at - begun);
        refresh.begin();
        if after.is_zero() {
            refresh.mark(at);
        }
        refresh.end(at, outcome);
        if !after.is_zero() {
            refresh.mark(at + after);
        }
    }
    fetches
}

#[test]
fn a_server_that_announces_a_change_whenever_it_is_asked_is_asked_less_and_less() {
    for after in [0, 1, 40, 200, 900] {
        let fetches = fetches_of_an_echo(Same, ms(after), seconds(3600));
        assert!(fetches.iter().filter(|at| **at < seconds(10)).count() <= 8, "{after}");
        assert!((60..=90).contains(&fetches.len()), "{after}: {}", fetches.len());
        // Once it is asked seldom, it stays so.
        let late = fetches.windows(2).filter(|pair| pair[0] > seconds(300));
        assert!(late.into_iter().all(|pair| pair[1] - pair[0] >= PAUSE_MAX * 8 / 10), "{after}");
    }
}

#[test]
fn a_list_that_really_changes_is_fetched_every_few_seconds_at_least() {
    let fetches = fetches_of_an_echo(Changed, ms(0), seconds(600));
    let gaps = fetches.windows(2).map(|pair| pair[1] - pair[0]);
    assert!(gaps.max().unwrap() <= PAUSE_CHANGED_MAX * 12 / 10);
    assert!(fetches.len() < 200, "{}", fetches.len());
}

#[test]
fn a_server_that_is_quiet_meanwhile_is_asked_at_once() {
    for outcome in [Same, Changed] {
        let mut now = Instant::now();
        let mut refresh = ListRefresh::new(Jitter::seeded(1));
        for _ in 0..100 {
            now += seconds(3);
            refresh.mark(now);
            assert_eq!(refresh.due(), Some(now + SETTLE), "{outcome:?}");
            now += SETTLE;
            refresh.begin();
            refresh.end(now, outcome);
            assert_eq!(refresh.due(), None);
        }
    }
}

#[test]
fn announcements_join_and_do_not_put_the_fetch_off() {
    let now = Instant::now();
    let mut refresh = ListRefresh::new(Jitter::none());
    for at in 0..1000 {
        refresh.mark(now + ms(at));
    }
    assert_eq!(refresh.due(), Some(now + SETTLE));
}

#[test]
fn a_list_that_fails_is_tried_again_in_growing_pauses_and_at_once_when_it_is_announced() {
    let mut now = Instant::now();
    let mut refresh = ListRefresh::new(Jitter::none());
    refresh.note(now, Failed);
    let mut waits = Vec::new();
    for _ in 0..12 {
        let due = refresh.due().unwrap();
        waits.push((due - now).as_secs());
        now = due;
        refresh.begin();
        refresh.end(now, Failed);
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
    let later = now + seconds(200);
    refresh.mark(later);
    assert_eq!(refresh.due(), Some(later + SETTLE));
    refresh.begin();
    refresh.end(later, Changed);
    assert_eq!(refresh.due(), None);
    // The next failure begins again.
    refresh.note(later, Failed);
    assert_eq!(refresh.due(), Some(later + seconds(1)));
}

proptest! {
    /// Whatever happens: after the last announcement, and after a failure, a fetch begins before long.
    #[test]
    fn no_announcement_is_lost(
        seed: u64,
        steps in prop::collection::vec((0_u64..4, 0_u64..20_000), 1..80),
    ) {
        let mut now = Instant::now();
        let mut refresh = ListRefresh::new(Jitter::seeded(seed));
        // Whether something is owed: an announcement that no fetch has followed, or a failure.
        let (mut owed, mut running) = (false, false);
        for (what, wait) in steps {
            now += ms(wait);
            match what {
                0 => {
                    refresh.mark(now);
                    owed = true;
                }
                1 if refresh.due().is_some_and(|due| due <= now) => {
                    refresh.begin();
                    (owed, running) = (false, true);
                }
                2 | 3 if running => {
                    let outcome = [Same, Changed, Failed][(wait % 3) as usize];
                    refresh.end(now, outcome);
                    running = false;
                    owed |= outcome == Failed;
                }
                _ => {}
            }
            prop_assert_eq!(refresh.due().is_some(), owed && !running);
            if let Some(due) = refresh.due() {
                prop_assert!(due <= now + RETRY_MAX * 12 / 10);
            }
        }
    }
}
