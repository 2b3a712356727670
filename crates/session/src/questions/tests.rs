use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use mainstay_protocol::{Id, Message};
use proptest::prelude::*;

use super::{
    CallNo, OPEN_BYTES_MAX, OPEN_PER_CALL_MAX, OPEN_PER_SESSION_MAX, OUTSIDE_CALLS_FOR, Question,
    QuestionNumbers, Questions, TooMany,
};

fn question(call: Option<u64>, bytes: usize) -> Question<u64> {
    let (id, asked_at) = (Id::number(7), Instant::now());
    Question { asker: 0, id, call: call.map(CallNo), bytes, asked_at }
}

/// The id of an answer as a client spells it.
fn spelt(id: &str) -> Id {
    let answer = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#);
    Message::parse(answer.into()).unwrap().id().unwrap()
}

#[test]
fn an_answer_is_taken_once() {
    let mut questions = Questions::default();
    questions.ask(5, question(Some(1), 10)).unwrap();
    assert!(questions.close(4).is_none());
    assert_eq!(questions.close(5).map(|question| question.id), Some(Id::number(7)));
    assert!(questions.close(5).is_none());
}

#[test]
fn a_call_that_asks_too_much_takes_no_place_of_others() {
    let mut questions = Questions::default();
    for number in 0..OPEN_PER_CALL_MAX as u64 {
        questions.ask(number, question(Some(1), 10)).unwrap();
    }
    assert_eq!(questions.ask(100, question(Some(1), 10)), Err(TooMany::InCall));
    questions.ask(101, question(Some(2), 10)).unwrap();
    questions.ask(102, question(None, 10)).unwrap();
    assert!(questions.close(3).is_some());
    questions.ask(103, question(Some(1), 10)).unwrap();
    assert_eq!(questions.close_call(CallNo(1)).len(), OPEN_PER_CALL_MAX);
    assert_eq!((questions.open_in(CallNo(1)), questions.open_in(CallNo(2))), (0, 1));
}

#[test]
fn a_large_question_is_let_through_and_the_next_waits_for_its_answer() {
    let mut questions = Questions::default();
    questions.ask(1, question(Some(1), 3 * OPEN_BYTES_MAX)).unwrap();
    assert_eq!(questions.ask(2, question(Some(2), 1)), Err(TooMany::Bytes));
    assert!(questions.close(1).is_some());
    questions.ask(2, question(Some(2), 1)).unwrap();
}

#[test]
fn questions_outside_of_calls_give_way_in_the_end() {
    let mut questions = Questions::default();
    questions.ask(1, question(None, 10)).unwrap();
    questions.ask(2, question(Some(1), 10)).unwrap();
    let now = Instant::now();
    assert!(questions.close_lapsed(now + OUTSIDE_CALLS_FOR - Duration::from_secs(1)).is_empty());
    assert_eq!(questions.close_lapsed(now + OUTSIDE_CALLS_FOR).len(), 1);
    assert_eq!(questions.open_in(CallNo(1)), 1, "that goes with its call");
}

#[test]
fn what_a_server_takes_back_is_closed() {
    let mut questions = Questions::default();
    questions.ask(1, question(Some(1), 10)).unwrap();
    let other = Id::number(8);
    assert_eq!(questions.take_back(|question| question.id == other), None);
    assert_eq!(questions.take_back(|question| question.id == Id::number(7)), Some(1));
    assert!(questions.close(1).is_none());
}

#[test]
fn numbers_are_found_in_any_spelling() {
    for spelling in ["42", "\"42\"", "42.0", "4.2e1", "420E-1"] {
        assert_eq!(spelt(spelling).as_number(), Some(42), "{spelling}");
    }
    for spelling in ["-42", "42.5", "\"x42\"", "\"042\"", "\"\"", "1e300"] {
        assert_eq!(spelt(spelling).as_number(), None, "{spelling}");
    }
}

#[test]
fn runs_begin_elsewhere_and_numbers_stay_small() {
    let first: HashSet<u64> =
        (0..1000u32).map(|run| QuestionNumbers::beginning_at(run * 4_000_037).next()).collect();
    assert!(first.len() > 990, "{} beginnings", first.len());
    assert!(first.iter().all(|number| *number <= 1 << 30));
    let numbers = QuestionNumbers::beginning_at(u32::MAX);
    assert_eq!((numbers.next(), numbers.next()), (1 << 30, (1 << 30) + 1));
}

#[derive(Debug, Clone)]
enum Happening {
    Asked {
        call: Option<u64>,
        bytes: usize,
    },
    /// By the client, of the questions open and closed the one at this place.
    Answered {
        which: usize,
    },
    CallEnded {
        call: u64,
    },
    Later {
        seconds: u64,
    },
    Gone,
}

fn happening() -> impl Strategy<Value = Happening> {
    let bytes = prop_oneof![9 => 1..2_000usize, 1 => 1..3 * OPEN_BYTES_MAX];
    prop_oneof![
        20 => (prop::option::of(0..6u64), bytes)
            .prop_map(|(call, bytes)| Happening::Asked { call, bytes }),
        8 => any::<usize>().prop_map(|which| Happening::Answered { which }),
        1 => (0..6u64).prop_map(|call| Happening::CallEnded { call }),
        1 => (0..400u64).prop_map(|seconds| Happening::Later { seconds }),
        1 => Just(Happening::Gone).boxed(),
    ]
}

proptest! {
    /// Whatever happens: what is open is bounded, each answer reaches the asker of its question and no
    /// other, once, and nothing is refused while there is room.
    #[test]
    fn whatever_happens_the_bounds_hold_and_no_answer_goes_astray(
        random in any::<u32>(),
        story in prop::collection::vec(happening(), 0..300),
    ) {
        let numbers = QuestionNumbers::beginning_at(random);
        let mut questions = Questions::default();
        let mut now = Instant::now();
        // What is open by our own account: by number, the asker, its call, its bytes.
        let mut open: BTreeMap<u64, (u64, Option<u64>, usize, Instant)> = BTreeMap::new();
        let mut given: Vec<u64> = Vec::new();
        for (asker, happening) in (0u64..).zip(story) {
            match happening {
                Happening::Asked { call, bytes } => {
                    let number = numbers.next();
                    prop_assert!(given.last().is_none_or(|last| *last < number));
                    given.push(number);
                    let of_call = open.values().filter(|(_, of, ..)| *of == call).count();
                    let all: usize = open.values().map(|(.., bytes, _)| bytes).sum();
                    let fits = (call.is_none() || of_call < OPEN_PER_CALL_MAX)
                        && open.len() < OPEN_PER_SESSION_MAX
                        && all < OPEN_BYTES_MAX;
                    let id = Id::number(asker);
                    let call_no = call.map(CallNo);
                    let question = Question { asker, id, call: call_no, bytes, asked_at: now };
                    prop_assert_eq!(questions.ask(number, question).is_ok(), fits);
                    if fits {
                        open.insert(number, (asker, call, bytes, now));
                    }
                }
                Happening::Answered { which } if !given.is_empty() => {
                    let number = given[which % given.len()];
                    let asker = questions.close(number).map(|question| question.asker);
                    prop_assert_eq!(asker, open.remove(&number).map(|(asker, ..)| asker));
                }
                Happening::Answered { .. } => {}
                Happening::CallEnded { call } => {
                    let closed = questions.close_call(CallNo(call)).len();
                    let before = open.len();
                    open.retain(|_, (_, of, ..)| *of != Some(call));
                    prop_assert_eq!(closed, before - open.len());
                }
                Happening::Later { seconds } => {
                    now += Duration::from_secs(seconds);
                    questions.close_lapsed(now);
                    open.retain(|_, (_, of, _, at)| of.is_some() || now - *at < OUTSIDE_CALLS_FOR);
                }
                Happening::Gone => {
                    prop_assert_eq!(questions.close_everything().len(), open.len());
                    open.clear();
                }
            }
            prop_assert_eq!(questions.iter().count(), open.len());
            prop_assert!(open.len() <= OPEN_PER_SESSION_MAX);
        }
    }
}
