use std::time::{Duration, Instant};

use super::{Evidence, Habit, HangDecision, HangPolicy, HangWatch, Question, Signs};
use crate::backoff::Jitter;

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A watch, and the server that it sees.
struct Scene {
    watch: HangWatch,
    begin: Instant,
    signs: Signs,
}

impl Scene {
    fn new(ping: Habit, tools: Habit) -> Self {
        Self::with(HangPolicy { jitter: Jitter::none(), ..HangPolicy::process(0) }, ping, tools)
    }

    fn with(policy: HangPolicy, ping: Habit, tools: Habit) -> Self {
        let begin = Instant::now();
        let signs = Signs { next_number: 1, ..Signs::default() };
        Self { watch: HangWatch::new(policy, ping, tools, begin, signs), begin, signs }
    }

    /// A call of a client begins. Returns its number.
    fn call(&mut self) -> u64 {
        let number = self.signs.next_number;
        self.signs.next_number += 1;
        self.signs.calls += 1;
        self.signs.calls_begun += 1;
        number
    }

    /// A call gets no answer by its deadline.
    fn miss_deadline(&mut self, number: u64) {
        self.signs.calls -= 1;
        self.signs.overdue = self.signs.overdue.max(number);
    }

    /// A look so many seconds after the beginning.
    fn look(&mut self, at: u64) -> HangDecision {
        let decision = self.watch.look(self.begin + s(at), self.signs);
        (self.signs.heard, self.signs.answered) = (false, false);
        if let Ask(_) = decision {
            self.signs.next_number += 1;
        }
        decision
    }

    /// Looks when the watch wants to, until it decides something. Returns when, in seconds.
    fn until_decision(&mut self) -> (u64, HangDecision) {
        for _ in 0..1000 {
            let at = self.watch.next_look();
            let seconds = at.duration_since(self.begin).as_millis().div_ceil(1000) as u64;
            match self.look(seconds) {
                Wait => {}
                decision => return (seconds, decision),
            }
        }
        panic!("no decision after {:?}", self.watch.next_look() - self.begin);
    }

    fn answer(&mut self, at: u64) {
        self.watch.note_answer(self.begin + s(at), self.signs);
    }
}

fn evidence(decision: HangDecision) -> Evidence {
    match decision {
        HangDecision::Hung(evidence) => evidence,
        other => panic!("{other:?}"),
    }
}

use Habit::{Answers, Ignores, Unknown};
use HangDecision::{Ask, Wait};

#[test]
fn an_idle_server_is_asked_when_it_is_quiet_and_hangs_after_two_misses() {
    let mut scene = Scene::new(Answers, Answers);
    assert_eq!(scene.until_decision(), (20, Ask(Question::Ping)));
    assert_eq!(scene.until_decision(), (30, Ask(Question::Ping)));
    let (at, decision) = scene.until_decision();
    let evidence = evidence(decision);
    assert_eq!((at, evidence.silent_for, evidence.misses), (40, s(40), 2));
    assert!(!evidence.is_overdue && !evidence.is_input_stuck);
}

#[test]
fn a_server_that_answers_is_asked_again_and_again_and_lives() {
    let mut scene = Scene::new(Unknown, Answers);
    let mut at = 0;
    for _ in 0..100 {
        let (asked, decision) = scene.until_decision();
        assert_eq!((asked - at, decision), (20, Ask(Question::Ping)));
        at = asked + 1;
        scene.answer(at);
    }
    assert_eq!(scene.watch.ping_habit(), Answers);
}

#[test]
fn a_server_elsewhere_is_asked_less_and_less_until_somebody_calls_it() {
    let policy = HangPolicy { jitter: Jitter::none(), ..HangPolicy::remote(0) };
    let mut scene = Scene::with(policy, Answers, Answers);
    let mut asked_at = Vec::new();
    let mut at = 0;
    for _ in 0..7 {
        let (asked, _) = scene.until_decision();
        asked_at.push(asked - at);
        at = asked;
        scene.answer(at);
    }
    assert_eq!(asked_at, [10, 20, 40, 80, 160, 180, 180]);
    scene.call();
    scene.look(at + 1);
    scene.signs.calls = 0;
    (scene.signs.heard, scene.signs.answered) = (true, true);
    scene.look(at + 2);
    assert_eq!(scene.until_decision(), (at + 12, Ask(Question::Ping)));
}

#[test]
fn pings_that_were_never_answered_prove_nothing() {
    let mut scene = Scene::new(Unknown, Answers);
    assert_eq!(scene.until_decision(), (20, Ask(Question::Ping)));
    assert_eq!(scene.until_decision(), (25, Ask(Question::Tools)));
    scene.answer(26);
    assert_eq!(scene.watch.ping_habit(), Ignores);
    // From now on it is asked for its tools.
    assert_eq!(scene.until_decision(), (46, Ask(Question::Tools)));
    assert_eq!(scene.until_decision(), (56, Ask(Question::Tools)));
    assert_eq!(evidence(scene.until_decision().1).question, Question::Tools);
}

#[test]
fn a_frozen_server_whose_habit_with_pings_is_unknown_is_noticed_and_teaches_nothing() {
    let mut scene = Scene::new(Unknown, Answers);
    let asked = [(); 3].map(|()| scene.until_decision());
    let expected = [(20, Question::Ping), (25, Question::Tools), (35, Question::Tools)];
    assert_eq!(asked, expected.map(|(at, question)| (at, Ask(question))));
    assert_eq!(evidence(scene.until_decision().1).silent_for, s(45));
    assert_eq!(scene.watch.ping_habit(), Unknown);
}

#[test]
fn a_server_that_never_answered_any_question_is_never_hung() {
    let mut scene = Scene::new(Unknown, Unknown);
    for _ in 0..50 {
        let (_, decision) = scene.until_decision();
        assert!(matches!(decision, Ask(_)), "{decision:?}");
    }
    let mut scene = Scene::new(Ignores, Ignores);
    for at in (0..1000).step_by(10) {
        assert_eq!(scene.look(at), Wait);
    }
}

#[test]
fn a_server_that_computes_for_25_s_and_answers_no_ping_is_busy() {
    let mut scene = Scene::new(Answers, Answers);
    assert_eq!(scene.until_decision(), (20, Ask(Question::Ping)));
    // The call comes right after the ping.
    scene.call();
    for at in (22..46).step_by(2) {
        assert_eq!(scene.look(at), Wait);
    }
    scene.signs.calls -= 1;
    (scene.signs.heard, scene.signs.answered) = (true, true);
    assert_eq!(scene.look(46), Wait);
    assert_eq!(scene.until_decision().0, 66);
}

#[test]
fn a_call_that_its_client_takes_back_may_still_be_computed() {
    let mut scene = Scene::new(Answers, Answers);
    scene.call();
    assert_eq!(scene.look(2), Wait);
    scene.signs.calls = 0;
    // Nobody is asked before the time of a quiet server without calls has passed.
    assert_eq!(scene.until_decision(), (22, Ask(Question::Ping)));
    // Another one comes and goes between two looks.
    scene.call();
    scene.signs.calls = 0;
    assert_eq!(scene.look(30), Wait);
    assert_eq!(scene.until_decision(), (32, Ask(Question::Ping)));
    assert_eq!(evidence(scene.until_decision().1).misses, 2);
}

#[test]
fn a_call_without_an_answer_by_its_deadline_is_a_reason_to_ask_at_once() {
    let mut scene = Scene::new(Answers, Answers);
    let call = scene.call();
    for at in (2..30).step_by(2) {
        assert_eq!(scene.look(at), Wait);
    }
    scene.miss_deadline(call);
    assert_eq!(scene.look(30), Ask(Question::Ping));
    assert_eq!(scene.until_decision(), (40, Ask(Question::Ping)));
    let (at, decision) = scene.until_decision();
    assert!(evidence(decision).is_overdue);
    assert_eq!(at, 50);
}

#[test]
fn a_frozen_server_that_is_called_again_and_again_is_noticed() {
    let mut scene = Scene::new(Answers, Answers);
    let mut calls = Vec::new();
    for at in 0..60 {
        calls.push(scene.call());
        if at >= 30 {
            scene.miss_deadline(calls[at as usize - 30]);
        }
        if let HangDecision::Hung(evidence) = scene.look(at) {
            assert!(at <= 52 && evidence.is_overdue, "{at} s: {evidence:?}");
            return;
        }
    }
    panic!("not noticed");
}

#[test]
fn a_slow_call_beside_others_that_are_answered_is_no_hang() {
    let mut scene = Scene::new(Answers, Answers);
    let slow = scene.call();
    for at in (1..29).step_by(2) {
        scene.call();
        assert_eq!(scene.look(at), Wait);
        scene.signs.calls -= 1;
        (scene.signs.heard, scene.signs.answered) = (true, true);
        assert_eq!(scene.look(at + 1), Wait);
    }
    scene.miss_deadline(slow);
    assert_eq!(scene.look(30), Wait, "it began before the last answer");
}

#[test]
fn a_late_look_ends_all_doubts() {
    let mut scene = Scene::new(Answers, Answers);
    assert_eq!(scene.until_decision(), (20, Ask(Question::Ping)));
    assert_eq!(scene.until_decision(), (30, Ask(Question::Ping)));
    // The daemon itself was stopped for an hour.
    assert_eq!(scene.look(3630), Wait);
    assert_eq!(scene.until_decision(), (3650, Ask(Question::Ping)));
}

#[test]
fn words_are_no_answer_while_the_input_is_left_unread() {
    let mut scene = Scene::new(Answers, Answers);
    scene.signs.input_stuck_at = Some(65_536);
    scene.look(1);
    let mut asked = 0;
    for at in (2..60).step_by(2) {
        scene.signs.heard = true;
        match scene.look(at) {
            Wait => {}
            Ask(_) => asked += 1,
            HangDecision::Hung(evidence) => {
                assert!(evidence.is_input_stuck && asked == 2, "{evidence:?}");
                return;
            }
        }
    }
    panic!("not noticed");
}

#[test]
fn a_server_that_reads_slowly_lives() {
    let mut scene = Scene::new(Answers, Answers);
    for at in (0..600).step_by(2) {
        scene.signs.input_stuck_at = Some(at);
        scene.signs.heard = true;
        assert_eq!(scene.look(at), Wait);
    }
}
