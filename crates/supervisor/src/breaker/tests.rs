use std::time::{Duration, Instant};

use mainstay_model::settings::BreakerSpec;

use super::{
    Admission, Admitted, BreakerFailure, BreakerState, ChangeWhy, FailureKind, Position, TRIAL_MAX,
    Verdict,
};

const RECOVERY: Duration = Duration::from_secs(60);

struct Bench {
    now: Instant,
    breaker: BreakerState,
}

impl Bench {
    fn new(failures: u32) -> Self {
        let spec = BreakerSpec { enabled: true, failures, recovery: RECOVERY };
        let now = Instant::now();
        Self { now, breaker: BreakerState::new(spec, now) }
    }

    fn admit(&mut self) -> Option<Admitted> {
        self.breaker.tick(self.now);
        match self.breaker.admit(self.now) {
            Admission::Allowed(epoch) => Some(Admitted { epoch, trial: None }),
            Admission::Trial(epoch, no) => Some(Admitted { epoch, trial: Some(no) }),
            Admission::Refused { .. } => None,
        }
    }

    fn sent(&mut self) -> Admitted {
        self.admit().expect("the call may be sent")
    }

    fn end(&mut self, admitted: Admitted, verdict: &Verdict) -> Option<ChangeWhy> {
        self.breaker.report(self.now, admitted, verdict).map(|change| change.why)
    }

    /// A call that is sent and ends at once.
    fn call(&mut self, verdict: &Verdict) -> Option<ChangeWhy> {
        let admitted = self.sent();
        self.end(admitted, verdict)
    }

    fn wait(&mut self, time: Duration) -> Position {
        self.now += time;
        self.breaker.tick(self.now);
        self.breaker.position()
    }

    fn open(failures: u32) -> Self {
        let mut bench = Self::new(failures);
        for _ in 0..failures {
            bench.call(&late());
        }
        assert_eq!(bench.breaker.position(), Position::Open);
        bench
    }

    fn half_open(failures: u32) -> Self {
        let mut bench = Self::open(failures);
        assert_eq!(bench.wait(RECOVERY), Position::HalfOpen);
        bench
    }
}

fn failure(kind: FailureKind) -> Verdict {
    Verdict::Failure(BreakerFailure::new(kind, "what happened"))
}

fn late() -> Verdict {
    failure(FailureKind::Deadline)
}

fn lost() -> Verdict {
    failure(FailureKind::Lost)
}

#[test]
fn it_opens_on_the_nth_failure_in_a_row_and_not_later() {
    for (failures, kinds) in [
        (1, vec![FailureKind::Deadline]),
        (3, vec![FailureKind::Lost, FailureKind::Http(500), FailureKind::Deadline]),
        (5, vec![FailureKind::Check; 5]),
    ] {
        let mut bench = Bench::new(failures);
        let mut opened = Vec::new();
        for kind in kinds {
            opened.push(bench.call(&failure(kind)).is_some());
        }
        assert_eq!(opened.iter().filter(|opened| **opened).count(), 1);
        assert_eq!(opened.last(), Some(&true), "on the last of {failures}");
        assert!(bench.admit().is_none());
    }
}

#[test]
fn a_success_between_failures_counts_them_anew_and_what_is_neither_changes_nothing() {
    let mut bench = Bench::new(3);
    bench.call(&late());
    bench.call(&late());
    bench.call(&Verdict::Neither);
    assert_eq!(bench.breaker.failures_in_a_row(), 2);
    bench.call(&Verdict::Success);
    assert_eq!(bench.breaker.failures_in_a_row(), 0);
    bench.call(&late());
    bench.call(&late());
    assert_eq!(bench.breaker.position(), Position::Closed);
    assert_eq!(bench.call(&late()), Some(ChangeWhy::Failures));
    assert_eq!(bench.breaker.failures_counted(), 5);
}

#[test]
fn losses_that_happened_together_are_one_failure() {
    let mut bench = Bench::new(3);
    let in_flight: Vec<_> = (0..100).map(|_| bench.sent()).collect();
    for call in in_flight {
        bench.end(call, &lost());
    }
    assert_eq!((bench.breaker.failures_in_a_row(), bench.breaker.failures_counted()), (1, 1));
    // Those that are sent afterwards, and lost again, are another.
    let in_flight: Vec<_> = (0..100).map(|_| bench.sent()).collect();
    for call in in_flight {
        bench.end(call, &lost());
    }
    assert_eq!(bench.breaker.failures_in_a_row(), 2);
    assert_eq!(bench.call(&lost()), Some(ChangeWhy::Failures));
}

#[test]
fn missed_deadlines_and_http_errors_count_each() {
    for kind in [FailureKind::Deadline, FailureKind::Http(503)] {
        let mut bench = Bench::new(5);
        let in_flight: Vec<_> = (0..5).map(|_| bench.sent()).collect();
        let mut ends = in_flight.into_iter().map(|call| bench.end(call, &failure(kind)));
        assert!(ends.by_ref().take(4).all(|change| change.is_none()));
        assert_eq!(ends.next(), Some(Some(ChangeWhy::Failures)));
    }
}

#[test]
fn half_open_has_one_trial_and_its_result_decides() {
    let mut bench = Bench::half_open(5);
    let trial = bench.sent();
    assert!(trial.trial.is_some());
    assert_eq!((0..49).filter(|_| bench.admit().is_some()).count(), 0);
    assert_eq!(bench.end(trial, &late()), Some(ChangeWhy::TrialFailed));
    assert_eq!(bench.wait(RECOVERY - Duration::from_millis(1)), Position::Open);
    assert_eq!(bench.wait(Duration::from_millis(1)), Position::HalfOpen);
    assert_eq!(bench.call(&Verdict::Success), Some(ChangeWhy::TrialSucceeded));
    assert!(bench.sent().trial.is_none());
    assert_eq!(bench.breaker.failures_in_a_row(), 0);
}

#[test]
fn a_trial_without_a_result_frees_its_place() {
    let mut bench = Bench::half_open(1);
    let taken_back = bench.sent();
    assert_eq!(bench.end(taken_back, &Verdict::Neither), None);
    let silent = bench.sent();
    assert!(silent.trial > taken_back.trial);
    assert!(bench.admit().is_none());
    // What was taken back can't free the place of another.
    assert_eq!(bench.end(taken_back, &Verdict::Neither), None);
    assert!(bench.admit().is_none());
    assert_eq!(bench.wait(TRIAL_MAX), Position::HalfOpen);
    let next = bench.sent();
    // The result of a trial that was given up still decides.
    assert_eq!(bench.end(silent, &Verdict::Success), Some(ChangeWhy::TrialSucceeded));
    assert_eq!(bench.end(next, &late()), None, "it was sent before the breaker closed");
    assert_eq!(bench.breaker.position(), Position::Closed);
}

#[test]
fn calls_from_before_it_opened_decide_nothing() {
    let mut bench = Bench::new(1);
    let before: Vec<_> = (0..4).map(|_| bench.sent()).collect();
    bench.call(&late());
    assert_eq!(bench.end(before[0], &Verdict::Success), None);
    assert_eq!(bench.end(before[1], &late()), None);
    assert_eq!(bench.breaker.position(), Position::Open);
    bench.wait(RECOVERY);
    assert_eq!(bench.end(before[2], &Verdict::Success), None);
    assert_eq!(bench.end(before[3], &late()), None);
    assert_eq!(bench.breaker.position(), Position::HalfOpen);
    assert!(bench.sent().trial.is_some());
}

#[test]
fn a_trial_of_an_earlier_period_decides_nothing() {
    let mut bench = Bench::half_open(1);
    let first = bench.sent();
    bench.wait(TRIAL_MAX);
    bench.call(&late());
    bench.wait(RECOVERY);
    assert_eq!(bench.end(first, &Verdict::Success), None);
    assert_eq!(bench.breaker.position(), Position::HalfOpen);
}

#[test]
fn a_reset_closes_it_and_forgets_what_was_in_flight() {
    for mut bench in [Bench::open(1), Bench::half_open(1)] {
        let change = bench.breaker.reset(bench.now, ChangeWhy::Reset).unwrap();
        assert_eq!((change.to, change.why), (Position::Closed, ChangeWhy::Reset));
    }
    let mut bench = Bench::new(2);
    let in_flight: Vec<_> = (0..10).map(|_| bench.sent()).collect();
    bench.call(&late());
    assert_eq!(bench.breaker.reset(bench.now, ChangeWhy::Restarted), None);
    for call in in_flight {
        assert_eq!(bench.end(call, &late()), None);
    }
    assert_eq!(bench.breaker.failures_in_a_row(), 0);
}

#[test]
fn new_settings_hold_at_once() {
    let mut bench = Bench::open(2);
    bench.wait(Duration::from_secs(10));
    let sooner = BreakerSpec { recovery: Duration::from_secs(15), ..bench.breaker.spec() };
    assert_eq!(bench.breaker.set_spec(bench.now, sooner), None);
    assert_eq!(bench.wait(Duration::from_secs(5)), Position::HalfOpen);
    let off = BreakerSpec { enabled: false, ..sooner };
    let change = bench.breaker.set_spec(bench.now, off).unwrap();
    assert_eq!((change.to, change.why), (Position::Closed, ChangeWhy::SwitchedOff));
    for _ in 0..10 {
        assert_eq!(bench.call(&late()), None);
    }
    assert_eq!(bench.breaker.failures_counted(), 12, "they are counted all the same");
}
