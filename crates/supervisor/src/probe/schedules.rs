//! Random schedules: whatever the results, however long checks take and whenever a target is started again, some
//! things always hold.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{CheckNo, Outcome, PAUSE_MIN, ProbeShift, ProbeTimes, ProbeWatch};
use crate::backoff::Jitter;

/// What happens next.
#[derive(Debug, Clone)]
enum Happening {
    /// The check in progress ends, after this time; or the next one is begun when it is due, this late.
    Step {
        result: u8,
        after: Duration,
    },
    Restart,
    Hasten,
    /// The result of a check that was given up arrives.
    Late {
        result: u8,
    },
}

/// What a reader of the documentation expects, worked out anew from all results of the run.
#[derive(Default)]
struct Account {
    results: Vec<u8>,
    is_fit: bool,
    was_fit: bool,
}

struct World {
    now: Instant,
    times: ProbeTimes,
    watch: ProbeWatch,
    account: Account,
    running: Option<(CheckNo, Instant)>,
    given_up: Vec<CheckNo>,
    ended: Option<Instant>,
}

fn outcome(result: u8) -> Outcome {
    match result {
        0 => Outcome::Passed,
        1 => Outcome::unfit("unfit", "unfit"),
        _ => Outcome::silent("silent", "silent"),
    }
}

impl Account {
    /// How many of the last results are as wanted.
    fn in_a_row(&self, is_wanted: impl Fn(u8) -> bool) -> u32 {
        self.results.iter().rev().take_while(|result| is_wanted(**result)).count() as u32
    }

    fn expect(&mut self, times: ProbeTimes, result: u8) -> Option<&'static str> {
        self.results.push(result);
        let passes = self.in_a_row(|result| result == 0);
        let failures = self.in_a_row(|result| result != 0);
        let silences = self.in_a_row(|result| result == 2);
        if !self.is_fit && passes >= times.rise {
            (self.is_fit, self.was_fit) = (true, true);
            return Some("fit");
        }
        if self.was_fit && silences == times.fall {
            self.is_fit = false;
            return Some("hung");
        }
        if self.is_fit && failures >= times.fall {
            self.is_fit = false;
            return Some("unhealthy");
        }
        None
    }
}

impl World {
    fn take(&mut self, happening: &Happening) {
        match happening {
            Happening::Restart => {
                self.given_up.extend(self.running.take().map(|(check, _)| check));
                self.watch.restarted(self.now);
                self.account = Account::default();
                self.ended = None;
            }
            Happening::Hasten => self.watch.hasten(self.now),
            Happening::Late { result } => {
                if let Some(check) = self.given_up.pop() {
                    assert_eq!(self.watch.step(self.now, check, &outcome(*result)), None);
                }
            }
            Happening::Step { result, after } => match self.running.take() {
                Some((check, begun)) => self.end(check, begun, *result, *after),
                None => self.begin(*after),
            },
        }
        assert_eq!(self.watch.is_fit(), self.account.is_fit);
        assert_eq!(self.watch.next_check().is_none(), self.running.is_some());
    }

    fn begin(&mut self, late: Duration) {
        let due = self.watch.next_check().expect("no check is in progress");
        if let Some(ended) = self.ended {
            assert!(due >= ended + PAUSE_MIN, "checks are apart");
        }
        self.now = self.now.max(due) + late;
        self.running = Some((self.watch.begin(self.now), self.now));
    }

    fn end(&mut self, check: CheckNo, begun: Instant, result: u8, after: Duration) {
        self.now += after;
        let shift = self.watch.step(self.now, check, &outcome(result));
        let told = shift.map(|shift| match shift {
            ProbeShift::Fit => "fit",
            ProbeShift::Unhealthy { .. } => "unhealthy",
            ProbeShift::Hung { .. } => "hung",
        });
        assert_eq!(told, self.account.expect(self.times, result));
        self.ended = Some(self.now);
        let due = self.watch.next_check().expect("the check has ended");
        let period = match self.account.is_fit && result == 0 {
            true => self.times.period,
            false => self.times.waiting_period,
        };
        assert!(due <= (begun + period).max(self.now + Duration::from_millis(500)), "never late");
    }
}

fn happening() -> impl Strategy<Value = Happening> {
    let step = (0_u8..3, 0_u64..12_000).prop_map(|(result, after)| Happening::Step {
        result,
        after: Duration::from_millis(after),
    });
    prop_oneof![
        12 => step,
        1 => Just(Happening::Restart),
        2 => Just(Happening::Hasten),
        1 => (0_u8..3).prop_map(|result| Happening::Late { result }),
    ]
}

proptest! {
    #[test]
    fn checks_never_pile_up_are_never_late_and_their_results_count_as_told(
        seed: u64,
        fall in 1_u32..5,
        rise in 1_u32..4,
        period in 1_u64..40_000,
        waiting_period in 1_u64..40_000,
        happenings in prop::collection::vec(happening(), 1..120),
    ) {
        let (period, waiting_period) =
            (Duration::from_millis(period), Duration::from_millis(waiting_period));
        let times = ProbeTimes { period, waiting_period, fall, rise };
        let now = Instant::now();
        let mut world = World {
            now,
            times,
            watch: ProbeWatch::new(now, times, Jitter::seeded(seed)),
            account: Account::default(),
            running: None,
            given_up: Vec::new(),
            ended: None,
        };
        for happening in &happenings {
            world.take(happening);
        }
    }
}
