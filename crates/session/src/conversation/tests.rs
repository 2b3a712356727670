use std::time::{Duration, Instant};

use mainstay_model::Fate;

use super::{Conversation, Decision, End, Event, REPEAT_AFTER, SENDS_MAX, Terms};
use crate::CallTime;

const ORDINARY: Duration = Duration::from_secs(30);
const MOST: Duration = Duration::from_secs(300);

/// A call that was sent, with the time it began at.
fn call(may_repeat: bool, has_mirrors: bool) -> (Conversation, Instant) {
    let now = Instant::now();
    let time = CallTime::new(now, ORDINARY, MOST);
    let mut call = Conversation::new(Terms { may_repeat, can_ask: true, has_mirrors }, time);
    assert_eq!(call.on(now, Event::Sent), Decision::Wait);
    (call, now)
}

const ASKED: Event = Event::Question { is_heard: true };
const ANSWER: Event = Event::Answer { header_mismatch: false };
const MISMATCH: Event = Event::Answer { header_mismatch: true };

fn again(pause: Duration) -> Decision {
    Decision::SendAgain { pause, new_headers: false }
}

#[test]
fn an_answer_ends_it_once() {
    let (mut call, now) = call(true, true);
    assert_eq!(call.on(now, ANSWER), Decision::Finish(End::Answered));
    for late in [ANSWER, ASKED, Event::Lost(Fate::Unknown), Event::Cancelled, Event::Deadline] {
        assert_eq!(call.on(now + MOST * 3, late), Decision::Wait, "{late:?}");
    }
}

#[test]
fn what_never_arrived_is_sent_three_times() {
    let (mut call, now) = call(false, false);
    for _ in 1..SENDS_MAX {
        assert_eq!(call.on(now, Event::Lost(Fate::Unsent)), again(Duration::ZERO));
        call.on(now, Event::Sent);
    }
    let end = Decision::Finish(End::Lost(Fate::Unsent));
    assert_eq!(call.on(now, Event::Lost(Fate::Unsent)), end);
}

#[test]
fn what_may_have_been_done_is_repeated_once_and_only_where_that_does_no_harm() {
    let (mut harmless, now) = call(true, false);
    assert_eq!(harmless.on(now, Event::Lost(Fate::Unknown)), again(REPEAT_AFTER));
    harmless.on(now, Event::Sent);
    let end = Decision::Finish(End::Lost(Fate::Unknown));
    assert_eq!(harmless.on(now, Event::Lost(Fate::Unknown)), end);
    let (mut harmful, now) = call(false, false);
    assert_eq!(harmful.on(now, Event::Lost(Fate::Unknown)), end);
    for final_fate in [Fate::Refused, Fate::Oversized] {
        let (mut call, now) = call(true, true);
        let end = Decision::Finish(End::Lost(final_fate));
        assert_eq!(call.on(now, Event::Lost(final_fate)), end);
    }
}

#[test]
fn headers_are_made_anew_once_and_only_where_there_are_any() {
    let (mut call_with, now) = call(false, true);
    let anew = Decision::SendAgain { pause: Duration::ZERO, new_headers: true };
    assert_eq!(call_with.on(now, MISMATCH), anew);
    call_with.on(now, Event::Sent);
    assert_eq!(call_with.on(now, MISMATCH), Decision::Finish(End::Answered));
    let (mut without, now) = call(false, false);
    assert_eq!(without.on(now, MISMATCH), Decision::Finish(End::Answered));
}

#[test]
fn the_time_of_people_is_not_the_servers() {
    let (mut call, begun) = call(false, false);
    assert_eq!(call.on(begun + Duration::from_secs(10), ASKED), Decision::Ask);
    assert!(call.is_suspended());
    let minutes_later = begun + Duration::from_secs(200);
    assert_eq!(call.on(minutes_later, Event::Deadline), Decision::Wait);
    assert_eq!(call.on(minutes_later, Event::QuestionsClosed { open: 1 }), Decision::Wait);
    assert!(call.is_suspended(), "one of two is still open");
    call.on(minutes_later, Event::QuestionsClosed { open: 0 });
    assert!(!call.is_suspended());
    assert_eq!(call.deadline(), minutes_later + Duration::from_secs(20));
    let end = Decision::Finish(End::TimedOut);
    assert_eq!(call.on(call.deadline(), Event::Deadline), end);
}

#[test]
fn a_suspended_call_waits_for_a_client_that_comes_back_and_not_for_one_that_is_gone() {
    let (mut call, now) = call(false, false);
    call.on(now, ASKED);
    // Its HTTP request may have ended by now: nothing here depends on one.
    assert_eq!(call.on(now, Event::ClientAway), Decision::RefuseOpenQuestions);
    assert!(!call.is_suspended());
    assert_eq!(call.on(now, ASKED), Decision::RefuseQuestion);
    assert_eq!(call.on(now, Event::ClientBack), Decision::Wait);
    assert_eq!(call.on(now, ASKED), Decision::Ask);
    assert_eq!(call.on(now, Event::ClientGone), Decision::RefuseOpenQuestions);
    for event in [Event::ClientBack, Event::ClientAway] {
        assert_eq!(call.on(now, event), Decision::Wait);
    }
    assert_eq!(call.on(now, ASKED), Decision::RefuseQuestion);
    let heard = Event::Notification { is_progress: false, wanted: true };
    assert_eq!(call.on(now, heard), Decision::Wait);
    assert_eq!(call.on(now, ANSWER), Decision::Finish(End::Answered));
}

#[test]
fn who_cannot_be_asked_hears_everything_else() {
    let now = Instant::now();
    let terms = Terms { may_repeat: false, can_ask: false, has_mirrors: false };
    let mut call = Conversation::new(terms, CallTime::new(now, ORDINARY, MOST));
    call.on(now, Event::Sent);
    assert_eq!(call.on(now, ASKED), Decision::RefuseQuestion);
    let heard = Event::Notification { is_progress: false, wanted: true };
    assert_eq!(call.on(now, heard), Decision::Forward);
}

#[test]
fn a_loss_ends_what_the_attempt_had_asked() {
    let (mut call, now) = call(true, false);
    call.on(now, ASKED);
    assert_eq!(call.on(now, Event::Lost(Fate::Unknown)), again(REPEAT_AFTER));
    assert!(!call.is_suspended());
    assert_eq!(call.deadline(), now + ORDINARY);
}

#[test]
fn notifications_go_to_whoever_wants_them_and_progress_brings_time() {
    let (mut call, now) = call(false, false);
    let said = |is_progress, wanted| Event::Notification { is_progress, wanted };
    assert_eq!(call.on(now, said(false, true)), Decision::Forward);
    assert_eq!(call.on(now, said(false, false)), Decision::Wait);
    assert_eq!(call.deadline(), now + ORDINARY);
    let later = now + Duration::from_secs(20);
    assert_eq!(call.on(later, said(true, false)), Decision::Wait);
    assert_eq!(call.deadline(), later + ORDINARY);
}

#[test]
fn a_client_takes_its_call_back_before_during_and_between_attempts() {
    let now = Instant::now();
    let terms = Terms { may_repeat: true, can_ask: true, has_mirrors: false };
    let mut unsent = Conversation::new(terms, CallTime::new(now, ORDINARY, MOST));
    let end = Decision::Finish(End::Cancelled);
    assert_eq!(unsent.on(now, Event::Cancelled), end);
    let (mut under_way, now) = call(true, false);
    assert_eq!(under_way.on(now, Event::Cancelled), end);
    let (mut between, now) = call(true, false);
    between.on(now, Event::Lost(Fate::Unknown));
    assert_eq!(between.on(now, Event::Cancelled), end);
}
