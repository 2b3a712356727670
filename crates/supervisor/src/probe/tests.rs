use std::time::{Duration, Instant};

use mainstay_model::settings::{ProbeCheck, ProbeSpec};

use super::{Outcome, PAUSE_MIN, ProbeShift, ProbeTimes, ProbeWatch};
use crate::backoff::Jitter;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

const fn seconds(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A watch with its clock. Results are written as `p` (passed), `u` (unfit), `s` (silent).
struct World {
    begun: Instant,
    now: Instant,
    watch: ProbeWatch,
}

impl World {
    fn new(times: ProbeTimes) -> Self {
        let now = Instant::now();
        Self { begun: now, now, watch: ProbeWatch::new(now, times, Jitter::none()) }
    }

    /// Makes one check when it is due, which takes `lasting`.
    fn check(&mut self, result: char, lasting: Duration) -> Option<ProbeShift> {
        self.now = self.watch.next_check().expect("no check is in progress").max(self.now);
        let check = self.watch.begin(self.now);
        assert_eq!(self.watch.next_check(), None);
        self.now += lasting;
        self.watch.step(self.now, check, &outcome(result))
    }

    /// Makes checks that take no time, and writes what they lead to: `F`, `U`, `H`, or `.` for nothing.
    fn told(&mut self, results: &str) -> String {
        results
            .chars()
            .map(|result| match self.check(result, ms(0)) {
                None => '.',
                Some(ProbeShift::Fit) => 'F',
                Some(ProbeShift::Unhealthy { .. }) => 'U',
                Some(ProbeShift::Hung { .. }) => 'H',
            })
            .collect()
    }

    fn passed(&self) -> Duration {
        self.now - self.begun
    }
}

fn outcome(result: char) -> Outcome {
    match result {
        'p' => Outcome::Passed,
        'u' => Outcome::unfit("it answered HTTP 503: no disk", "it answered HTTP 503"),
        _ => Outcome::silent("no connection to 127.0.0.1:1", "it does not answer"),
    }
}

fn times() -> ProbeTimes {
    ProbeTimes::from(&ProbeSpec::new(ProbeCheck::Ping))
}

fn check(fall: u32, rise: u32, results: &str, expected: &str) {
    let mut world = World::new(ProbeTimes { fall, rise, ..times() });
    assert_eq!(world.told(results), expected, "{results} with fall {fall}, rise {rise}");
}

#[test]
fn results_in_a_row_decide() {
    check(3, 1, "p", "F");
    check(3, 1, "uusspp", "....F.");
    check(3, 3, "pppp", "..F.");
    check(3, 3, "ppuppp", ".....F");
    check(3, 1, "puupuupuuu", "F........U");
    check(1, 1, "pupup", "FUFUF");
    check(3, 2, "ppuuupupp", ".F..U...F");
    // Zero is one.
    check(0, 0, "pup", "FUF");
}

#[test]
fn only_silence_in_a_row_is_a_hang_and_an_answer_never_is() {
    check(3, 1, "psss", "F..H");
    check(3, 1, "pssusss", "F..U..H");
    check(3, 1, "puuuuuuu", "F..U....");
    // Unhealthy first, and then it stops answering. It is told once.
    check(3, 1, "puuussss", "F..U..H.");
    check(3, 1, "pusususu", "F..U....");
    // Another silence after an answer is another hang.
    check(3, 1, "psssusss", "F..H...H");
    check(3, 2, "ppssspsss", ".F..H...H");
}

#[test]
fn a_target_that_was_never_fit_only_is_not_fit_yet() {
    let mut world = World::new(times());
    assert_eq!(world.told(&"su".repeat(500)), ".".repeat(1000));
    assert!(!world.watch.is_fit());
    assert_eq!(world.watch.failure().unwrap().brief, "it answered HTTP 503");
    assert_eq!(world.told("p"), "F");
    assert!(world.watch.is_fit());
    assert_eq!(world.watch.failure(), None);
}

#[test]
fn what_was_found_is_told_with_its_count() {
    let mut world = World::new(ProbeTimes { fall: 2, ..times() });
    world.told("pu");
    let Some(ProbeShift::Unhealthy { failure, failures: 2 }) = world.check('u', ms(0)) else {
        panic!()
    };
    assert_eq!(failure.reason, "it answered HTTP 503: no disk");
    world.told("ps");
    let Some(ProbeShift::Hung { failure, silences: 2 }) = world.check('s', ms(0)) else { panic!() };
    assert_eq!(failure.brief, "it does not answer");
}

#[test]
fn t4_7_a_target_that_is_ready_early_is_noticed_early_whatever_its_periods() {
    for ready_after in [0, 50, 300, 900, 2_500, 20_000, 90_000].map(ms) {
        let mut world = World::new(times());
        loop {
            let is_ready = world.watch.next_check().unwrap() - world.begun >= ready_after;
            let shift = world.check(if is_ready { 'p' } else { 's' }, ms(0));
            if shift == Some(ProbeShift::Fit) {
                break;
            }
        }
        let late = world.passed() - ready_after;
        assert!(late <= seconds(5) && late <= ready_after + ms(100), "{ready_after:?}: {late:?}");
    }
}

#[test]
fn checks_of_a_fit_target_come_every_period_and_in_doubt_more_often() {
    let mut world = World::new(times());
    world.told("p");
    for _ in 0..3 {
        let before = world.passed();
        world.told("p");
        assert_eq!(world.passed() - before, seconds(30));
    }
    // A lost target is known to be lost within 10 s of the first failed check, and not after 90 s.
    let first = world.passed() + seconds(30);
    assert_eq!(world.told("sss"), "..H");
    assert_eq!(world.passed() - first, seconds(10));
    // One that is back is found within the period for waiting.
    let lost = world.passed();
    assert_eq!(world.told("p"), "F");
    assert_eq!(world.passed() - lost, seconds(5));

    let mut often = World::new(ProbeTimes { period: seconds(2), ..times() });
    often.told("p");
    let before = often.passed();
    assert_eq!(often.told("sss"), "..H");
    assert_eq!(often.passed() - before, seconds(6));
}

#[test]
fn a_slow_check_is_followed_by_a_pause_and_never_by_two() {
    let mut world = World::new(times());
    world.check('p', ms(0));
    for _ in 0..10 {
        world.check('s', seconds(40));
        assert_eq!(world.watch.next_check(), Some(world.now + PAUSE_MIN));
    }
    // The time that a check takes is part of the period.
    world.check('p', seconds(3));
    assert_eq!(world.watch.next_check(), Some(world.now + seconds(27)));
}

#[test]
fn a_doubt_brings_the_next_check_forward_but_never_many() {
    let mut world = World::new(times());
    world.check('p', ms(0));
    world.now += seconds(9);
    world.watch.hasten(world.now);
    assert_eq!(world.watch.next_check(), Some(world.now));
    // A thousand calls fail within 10 s.
    let until = world.now + seconds(10);
    let mut checks = 0;
    while world.now < until {
        world.watch.hasten(world.now);
        if world.watch.next_check().unwrap() <= world.now {
            world.check('p', ms(1));
            checks += 1;
        }
        world.now += ms(10);
    }
    assert!((15..=21).contains(&checks), "{checks}");
}

#[test]
fn a_doubt_during_a_check_is_answered_by_another_check() {
    let mut world = World::new(times());
    world.told("p");
    world.now += seconds(30);
    let check = world.watch.begin(world.now);
    world.watch.hasten(world.now);
    assert_eq!(world.watch.next_check(), None);
    world.now += seconds(1);
    world.watch.step(world.now, check, &Outcome::Passed);
    assert!(world.watch.next_check().unwrap() <= world.now + ms(500));
}

#[test]
fn a_new_run_begins_anew_and_results_of_the_old_one_do_not_count() {
    let mut world = World::new(times());
    world.told("pss");
    world.now += seconds(5);
    let old = world.watch.begin(world.now);
    world.watch.restarted(world.now);
    assert_eq!(world.watch.next_check(), Some(world.now));
    assert!(!world.watch.is_fit() && world.watch.failure().is_none());
    assert_eq!(world.watch.step(world.now, old, &outcome('s')), None);
    assert_eq!(world.watch.step(world.now, old, &Outcome::Passed), None);
    let begun = world.passed();
    assert_eq!(world.told("ssss"), "....");
    assert_eq!(world.passed() - begun, ms(100 + 200 + 400));
    assert_eq!(world.told("p"), "F");
}

#[test]
fn two_hundred_targets_are_not_checked_at_the_same_moment() {
    let now = Instant::now();
    let mut watches: Vec<_> =
        (0..200).map(|seed| ProbeWatch::new(now, times(), Jitter::seeded(seed))).collect();
    let spread = |watches: &[ProbeWatch]| {
        let mut dues: Vec<_> = watches.iter().map(|w| w.next_check().unwrap() - now).collect();
        dues.sort();
        (dues[0], dues[199])
    };
    let (first, last) = spread(&watches);
    assert!(first < ms(10) && last > ms(90) && last <= ms(100), "{first:?} {last:?}");
    for watch in &mut watches {
        let at = watch.next_check().unwrap();
        let check = watch.begin(at);
        watch.step(at, check, &Outcome::Passed);
    }
    let (first, last) = spread(&watches);
    assert!(first >= seconds(24) && first < seconds(25), "{first:?}");
    assert!(last > seconds(29) && last <= seconds(30) + ms(100), "{last:?}");
}
