//! Random schedules: whatever calls do and however long they take, some things always hold.

use std::time::{Duration, Instant};

use mainstay_model::settings::BreakerSpec;
use proptest::prelude::*;

use super::{
    Admission, Admitted, BreakerFailure, BreakerState, ChangeWhy, FailureKind, Position, TRIAL_MAX,
    Verdict,
};

/// What happens next.
#[derive(Debug, Clone, Copy)]
enum Happening {
    /// So many calls want to be sent at the same moment.
    Calls(u8),
    /// One of the calls in flight ends: which one, and how.
    End(u8, u8),
    /// All calls in flight are lost at once.
    AllLost,
    /// A trial is never heard of again.
    Forgotten,
    Wait(u64),
    Reset,
    /// What it belongs to has become ready again.
    Ready,
    /// Recovery is from now on so long.
    Recovery(u64),
}

struct World {
    now: Instant,
    breaker: BreakerState,
    in_flight: Vec<Call>,
    /// Failures in a row, worked out anew from what the documentation says.
    in_a_row: u32,
    opened_at: Option<Instant>,
}

struct Call {
    admitted: Admitted,
    at: Instant,
    /// The number of losses and closings that counted before it was sent.
    lost_before: u64,
    closed_before: u64,
}

#[derive(Default)]
struct Ledger {
    losses: u64,
    closings: u64,
    counted: u64,
}

fn verdict(how: u8) -> Verdict {
    let failure = |kind| Verdict::Failure(BreakerFailure::new(kind, "x"));
    match how % 6 {
        0 | 1 => Verdict::Success,
        2 => failure(FailureKind::Lost),
        3 => failure(FailureKind::Deadline),
        4 => failure(FailureKind::Http(500)),
        _ => Verdict::Neither,
    }
}

impl World {
    fn take(&mut self, ledger: &mut Ledger, happening: Happening) {
        match happening {
            Happening::Wait(millis) => {
                self.now += Duration::from_millis(millis);
                self.tick();
            }
            Happening::Calls(many) => self.calls(ledger, many),
            Happening::End(which, how) => {
                if !self.in_flight.is_empty() {
                    let call = self.in_flight.swap_remove(which as usize % self.in_flight.len());
                    self.end(ledger, &call, &verdict(how));
                }
            }
            Happening::AllLost => {
                let before = ledger.counted;
                let trials = self.in_flight.iter().filter(|call| call.admitted.trial.is_some());
                let trials = trials.count() as u64;
                for call in std::mem::take(&mut self.in_flight) {
                    self.end(ledger, &call, &verdict(2));
                }
                assert!(ledger.counted - before <= 1 + trials, "one failure, whatever was lost");
            }
            Happening::Forgotten => self.in_flight.retain(|call| call.admitted.trial.is_none()),
            Happening::Reset => {
                self.breaker.reset(self.now, ChangeWhy::Reset);
                assert_eq!(self.breaker.position(), Position::Closed);
                (self.in_a_row, self.opened_at) = (0, None);
                ledger.closings += 1;
                ledger.losses += 1;
            }
            Happening::Ready => {
                // Later than trials of before, which are told from the next one by their time.
                self.now += Duration::from_millis(1);
                let was_open = self.breaker.position() == Position::Open;
                let change = self.breaker.ready_again(self.now);
                assert_eq!(change.is_some(), was_open, "only an open one is tried");
                if was_open {
                    assert_eq!(self.breaker.position(), Position::HalfOpen);
                    self.opened_at = None;
                }
            }
            Happening::Recovery(millis) => {
                let recovery = Duration::from_millis(millis);
                let spec = BreakerSpec { recovery, ..self.breaker.spec() };
                assert_eq!(self.breaker.set_spec(self.now, spec), None);
                self.tick();
            }
        }
        self.check(ledger);
    }

    fn tick(&mut self) {
        let before = self.breaker.position();
        let is_due = self.opened_at.is_some_and(|at| at + self.breaker.spec().recovery <= self.now);
        let change = self.breaker.tick(self.now);
        assert_eq!(change.is_some(), before == Position::Open && is_due, "half-open by time");
    }

    fn calls(&mut self, ledger: &Ledger, many: u8) {
        self.tick();
        let position = self.breaker.position();
        let was_trying = self.breaker.is_trying();
        let mut admitted = 0;
        for _ in 0..many {
            let taken = match self.breaker.admit(self.now) {
                Admission::Allowed(epoch) => Admitted { epoch, trial: None },
                Admission::Trial(epoch, no) => Admitted { epoch, trial: Some(no) },
                Admission::Refused { next_trial } => {
                    assert_eq!(next_trial.is_some(), position == Position::Open);
                    continue;
                }
            };
            admitted += 1;
            self.in_flight.push(Call {
                admitted: taken,
                at: self.now,
                lost_before: ledger.losses,
                closed_before: ledger.closings,
            });
        }
        let most = match position {
            Position::Closed => many,
            Position::HalfOpen if !was_trying => many.min(1),
            Position::HalfOpen | Position::Open => 0,
        };
        assert_eq!(admitted, most, "{position:?}");
    }

    fn end(&mut self, ledger: &mut Ledger, call: &Call, verdict: &Verdict) {
        let before = self.breaker.position();
        let is_lost =
            matches!(verdict, Verdict::Failure(failure) if failure.kind == FailureKind::Lost);
        let counts = matches!(verdict, Verdict::Failure(_))
            && call.closed_before == ledger.closings
            && (!is_lost || call.lost_before == ledger.losses);
        let change = self.breaker.report(self.now, call.admitted, verdict);
        if counts {
            ledger.counted += 1;
            ledger.losses += u64::from(is_lost);
        }
        match (before, change.map(|change| change.to)) {
            (Position::Closed, to) => {
                self.in_a_row = match verdict {
                    Verdict::Success => 0,
                    _ => self.in_a_row + u32::from(counts),
                };
                let is_full = counts && self.in_a_row == self.breaker.spec().failures;
                assert_eq!(to, is_full.then_some(Position::Open), "exactly on the Nth");
            }
            (Position::HalfOpen, Some(to)) => {
                assert!(call.admitted.trial.is_some(), "only a trial decides");
                let is_success = *verdict == Verdict::Success;
                assert_eq!(to == Position::Closed, is_success);
                if is_success {
                    self.in_a_row = 0;
                    ledger.closings += 1;
                    ledger.losses += 1;
                }
            }
            (Position::Open | Position::HalfOpen, None) => {}
            (Position::Open, Some(to)) => panic!("a call can't move an open breaker to {to:?}"),
        }
        match self.breaker.position() {
            Position::Open if before != Position::Open => self.opened_at = Some(self.now),
            Position::Closed => self.opened_at = None,
            Position::Open | Position::HalfOpen => {}
        }
    }

    fn check(&self, ledger: &Ledger) {
        assert_eq!(self.breaker.failures_counted(), ledger.counted);
        let young = |call: &&Call| call.admitted.trial.is_some() && self.now < call.at + TRIAL_MAX;
        if self.breaker.position() == Position::HalfOpen {
            let latest = self.in_flight.iter().filter(young).max_by_key(|call| call.at);
            if let Some(at) = latest.map(|call| call.at).filter(|at| *at >= self.breaker.since()) {
                let others = self.in_flight.iter().filter(|call| {
                    call.admitted.trial.is_some() && call.at >= self.breaker.since()
                });
                let young = others.filter(|call| call.at + TRIAL_MAX > at).count();
                assert!(young <= 1, "never two trials");
            }
        }
    }

    /// From wherever the schedule has led, one call that succeeds closes it after some time.
    fn returns(mut self) {
        self.now += self.breaker.spec().recovery.max(TRIAL_MAX);
        self.breaker.tick(self.now);
        let admitted = match self.breaker.admit(self.now) {
            Admission::Allowed(epoch) => Admitted { epoch, trial: None },
            Admission::Trial(epoch, no) => Admitted { epoch, trial: Some(no) },
            Admission::Refused { .. } => panic!("stuck: {:?}", self.breaker),
        };
        self.breaker.report(self.now, admitted, &Verdict::Success);
        assert_eq!(self.breaker.position(), Position::Closed);
        assert_eq!(self.breaker.failures_in_a_row(), 0);
    }
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        6 => (1_u8..60).prop_map(Happening::Calls),
        12 => (any::<u8>(), any::<u8>()).prop_map(|(which, how)| Happening::End(which, how)),
        1 => Just(Happening::AllLost),
        1 => Just(Happening::Forgotten),
        5 => (0_u64..90_000).prop_map(Happening::Wait),
        1 => Just(Happening::Reset),
        1 => Just(Happening::Ready),
        1 => (1_u64..200_000).prop_map(Happening::Recovery),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn a_breaker_opens_exactly_on_the_nth_has_one_trial_and_always_returns(
        failures in 1_u32..6,
        recovery in 1_u64..120_000,
        happenings in prop::collection::vec(happening(), 1..80),
    ) {
        let now = Instant::now();
        let recovery = Duration::from_millis(recovery);
        let spec = BreakerSpec { enabled: true, failures, recovery };
        let mut world = World {
            now,
            breaker: BreakerState::new(spec, now),
            in_flight: Vec::new(),
            in_a_row: 0,
            opened_at: None,
        };
        let mut ledger = Ledger::default();
        for happening in happenings {
            world.take(&mut ledger, happening);
        }
        world.returns();
    }
}
