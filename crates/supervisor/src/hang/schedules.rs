//! Random schedules: servers that work, one request after the other or all at once, are never taken for hung, and
//! those that froze are noticed in time.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::{Habit, HangDecision, HangPolicy, HangWatch, Question, Signs};

/// The deadline of calls, and the longest time that this server works on one.
const DEADLINE: u64 = 30_000;
const WORK_MAX: u64 = 25_000;
/// A step of the clock, in milliseconds.
const STEP: u64 = 250;

#[derive(Debug, Clone)]
struct Plan {
    /// When each call begins after the one before, and how long the server works on it, in milliseconds.
    calls: Vec<(u64, u64)>,
    /// Works on one request after the other, pings included.
    is_single: bool,
    answers_pings: bool,
    knows_pings: bool,
    /// When it freezes.
    frozen_at: Option<u64>,
    /// Clients take back every so many calls, after a third of their work.
    taken_back: usize,
    /// The daemon is held up every so many looks.
    held_up: usize,
    seed: u64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Asker {
    Client { is_taken_back: bool },
    Watch(Question),
}

#[derive(Debug, Clone, Copy)]
struct Request {
    number: u64,
    asker: Asker,
    sent_at: u64,
    work: u64,
    /// When the server began to work on it.
    begun_at: Option<u64>,
    is_given_up: bool,
}

/// The world around the watch, in milliseconds from the beginning.
struct World {
    plan: Plan,
    begin: Instant,
    watch: HangWatch,
    signs: Signs,
    requests: VecDeque<Request>,
    looks: usize,
    hung_at: Option<u64>,
    /// The last call of a client began, and the last sign of life came at these times.
    called_at: u64,
    lived_at: u64,
}

impl World {
    fn new(plan: Plan) -> Self {
        let begin = Instant::now();
        let signs = Signs { next_number: 1, ..Signs::default() };
        let ping = if plan.knows_pings { Habit::Answers } else { Habit::Unknown };
        let watch =
            HangWatch::new(HangPolicy::process(plan.seed), ping, Habit::Answers, begin, signs);
        Self {
            plan,
            begin,
            watch,
            signs,
            requests: VecDeque::new(),
            looks: 0,
            hung_at: None,
            called_at: 0,
            lived_at: 0,
        }
    }

    fn run(&mut self, until: u64) {
        let mut calls = VecDeque::from(self.plan.calls.clone());
        let mut next_call = calls.front().map_or(u64::MAX, |call| call.0);
        let mut now = 0;
        while now < until && self.hung_at.is_none() {
            now += STEP;
            while next_call <= now {
                let (_, work) = calls.pop_front().expect("it is the next");
                let count = self.signs.calls_begun as usize + 1;
                let is_taken_back =
                    self.plan.taken_back > 0 && count.is_multiple_of(self.plan.taken_back);
                self.send(now, Asker::Client { is_taken_back }, work);
                next_call = calls.front().map_or(u64::MAX, |call| now + call.0);
            }
            self.work(now);
            self.give_up(now);
            self.look(now);
        }
    }

    fn send(&mut self, now: u64, asker: Asker, work: u64) {
        let number = self.signs.next_number;
        self.signs.next_number += 1;
        if let Asker::Client { .. } = asker {
            self.signs.calls += 1;
            self.signs.calls_begun += 1;
            self.called_at = now;
        }
        self.requests.push_back(Request {
            number,
            asker,
            sent_at: now,
            work,
            begun_at: None,
            is_given_up: false,
        });
    }

    fn work(&mut self, now: u64) {
        if self.plan.frozen_at.is_some_and(|at| at <= now) {
            return;
        }
        let mut answered = Vec::new();
        let mut at = 0;
        while at < self.requests.len() {
            let request = &mut self.requests[at];
            let begun = *request.begun_at.get_or_insert(now);
            if begun + request.work > now {
                if self.plan.is_single {
                    break;
                }
                at += 1;
                continue;
            }
            if let Some(done) = self.requests.remove(at) {
                answered.push(done);
            }
        }
        for request in answered {
            match request.asker {
                Asker::Client { .. } => {
                    self.signs.calls -= usize::from(!request.is_given_up);
                    (self.signs.heard, self.signs.answered) = (true, true);
                    self.lived_at = now;
                }
                Asker::Watch(Question::Ping) if !self.plan.answers_pings => {}
                Asker::Watch(_) => {
                    self.lived_at = now;
                    // An answer after a later question is only noticed as a message.
                    if request.is_given_up {
                        (self.signs.heard, self.signs.answered) = (true, true);
                    } else {
                        self.watch.note_answer(self.begin + Duration::from_millis(now), self.signs);
                    }
                }
            }
        }
    }

    fn give_up(&mut self, now: u64) {
        for request in &mut self.requests {
            let Asker::Client { is_taken_back } = request.asker else { continue };
            if request.is_given_up {
                continue;
            }
            let is_overdue = request.sent_at + DEADLINE <= now;
            if is_overdue {
                self.signs.overdue = self.signs.overdue.max(request.number);
            }
            if is_overdue || (is_taken_back && request.sent_at + request.work / 3 <= now) {
                request.is_given_up = true;
                self.signs.calls -= 1;
            }
        }
    }

    fn look(&mut self, now: u64) {
        if self.begin + Duration::from_millis(now) < self.watch.next_look() {
            return;
        }
        self.looks += 1;
        let held_up = self.plan.held_up;
        let late = if held_up > 0 && self.looks.is_multiple_of(held_up) { 7_000 } else { 0 };
        let at = self.begin + Duration::from_millis(now + late);
        let decision = self.watch.look(at, self.signs);
        (self.signs.heard, self.signs.answered) = (false, false);
        match decision {
            HangDecision::Wait => {}
            HangDecision::Ask(question) => {
                for request in &mut self.requests {
                    if let Asker::Watch(_) = request.asker {
                        request.is_given_up = true;
                    }
                }
                self.send(now, Asker::Watch(question), 0);
            }
            HangDecision::Hung(evidence) => {
                assert_eq!(late, 0, "a late look concludes nothing");
                assert!(evidence.misses >= 2);
                self.hung_at = Some(now);
            }
        }
    }
}

fn plan() -> impl Strategy<Value = Plan> {
    let call = (0_u64..40_000, 0..WORK_MAX);
    (
        proptest::collection::vec(call, 0..40),
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        0_usize..4,
        any::<u64>(),
    )
        .prop_map(|(calls, is_single, answers_pings, knows_pings, taken_back, seed)| Plan {
            calls,
            is_single,
            answers_pings,
            knows_pings: knows_pings && answers_pings,
            frozen_at: None,
            taken_back,
            held_up: 0,
            seed,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_server_that_works_is_never_taken_for_hung(plan in plan(), held_up in 0_usize..9) {
        let mut world = World::new(Plan { held_up, ..plan });
        world.run(1_500_000);
        prop_assert_eq!(world.hung_at, None);
    }

    #[test]
    fn a_frozen_server_without_calls_is_noticed_within_a_minute(
        plan in plan(),
        frozen_at in 0_u64..300_000,
    ) {
        let calls = Vec::new();
        let mut world = World::new(Plan { calls, frozen_at: Some(frozen_at), ..plan });
        world.run(1_000_000);
        let hung_at = world.hung_at.expect("it is noticed");
        prop_assert!(hung_at >= frozen_at);
        prop_assert!(hung_at - frozen_at <= 60_000, "{} ms", hung_at - frozen_at);
    }

    /// However often it is called: the first call after the last sign of life ends at its deadline.
    #[test]
    fn a_frozen_server_is_noticed_while_clients_call_it(
        plan in plan(),
        frozen_at in 0_u64..200_000,
        every in 500_u64..20_000,
    ) {
        let calls = vec![(every, 1000); 1000];
        let plan = Plan { calls, taken_back: 0, is_single: false, frozen_at: Some(frozen_at), ..plan };
        let mut world = World::new(plan);
        world.run(1_000_000);
        let hung_at = world.hung_at.expect("it is noticed");
        // The next call and the look that notices silence come first, and the questions last.
        let most = every + 10_000 + DEADLINE + 25_000 + 1_000;
        prop_assert!(hung_at - frozen_at <= most, "{} of {most} ms", hung_at - frozen_at);
    }
}
