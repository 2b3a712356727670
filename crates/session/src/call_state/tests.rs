use std::time::{Duration, Instant};

use mainstay_model::Fate;

use super::{CallDecision, CallEnd, CallEvent, CallState, CallTerms, PAUSE_MIN, RETRIES_MAX};
use crate::CallTime;

const ORDINARY: Duration = Duration::from_secs(30);
const MOST: Duration = Duration::from_secs(300);

/// A call that was sent, with the time it began at.
fn call(may_retry: bool, has_mirrors: bool) -> (CallState, Instant) {
    let now = Instant::now();
    let time = CallTime::new(now, ORDINARY, MOST);
    let mut call = CallState::new(CallTerms { may_retry, can_ask: true, has_mirrors }, time);
    assert_eq!(call.on(now, CallEvent::Sent), CallDecision::Wait);
    (call, now)
}

const ASKED: CallEvent = CallEvent::Question { is_heard: true };
const ANSWER: CallEvent = CallEvent::Answer { header_mismatch: false };
const MISMATCH: CallEvent = CallEvent::Answer { header_mismatch: true };

fn again(pause_max: Duration) -> CallDecision {
    CallDecision::Retry { pause_max, at_least: Duration::ZERO }
}

fn lost(fate: Fate) -> CallEvent {
    CallEvent::Lost { fate, retry_after: None }
}

#[test]
fn an_answer_ends_it_once() {
    let (mut call, now) = call(true, true);
    assert_eq!(call.on(now, ANSWER), CallDecision::Finish(CallEnd::Answered));
    for late in [ANSWER, ASKED, lost(Fate::Unknown), CallEvent::Cancelled, CallEvent::Deadline] {
        assert_eq!(call.on(now + MOST * 3, late), CallDecision::Wait, "{late:?}");
    }
}

#[test]
fn what_never_arrived_is_sent_again_whatever_it_does_and_three_times_at_most() {
    let (mut call, now) = call(false, false);
    for pause_max in [Duration::ZERO, PAUSE_MIN * 2, PAUSE_MIN * 4] {
        assert_eq!(call.on(now, lost(Fate::Unsent)), again(pause_max));
        assert!(!call.may_be_done());
        call.on(now, CallEvent::Sent);
    }
    assert_eq!(call.on(now, lost(Fate::Unsent)), CallDecision::Finish(CallEnd::Lost(Fate::Unsent)));
}

#[test]
fn what_may_have_been_done_is_repeated_only_where_that_does_no_harm() {
    let (mut harmless, now) = call(true, false);
    for pause_max in [PAUSE_MIN, PAUSE_MIN * 2, PAUSE_MIN * 4] {
        assert_eq!(harmless.on(now, lost(Fate::Unknown)), again(pause_max));
        assert!(harmless.may_be_done());
        harmless.on(now, CallEvent::Sent);
    }
    assert_eq!(harmless.retries(), RETRIES_MAX);
    let end = CallDecision::Finish(CallEnd::Lost(Fate::Unknown));
    assert_eq!(harmless.on(now, lost(Fate::Unknown)), end);
    let (mut harmful, now) = call(false, false);
    assert_eq!(harmful.on(now, lost(Fate::Unknown)), end);
    for final_fate in
        [Fate::Refused, Fate::Oversized, Fate::TooDeep, Fate::Unusable, Fate::NoDescriptor]
    {
        let (mut call, now) = call(true, true);
        let end = CallDecision::Finish(CallEnd::Lost(final_fate));
        assert_eq!(call.on(now, lost(final_fate)), end);
    }
}

#[test]
fn a_server_is_left_alone_as_long_as_it_asks_for_if_the_call_has_that_much_time() {
    let seconds = Duration::from_secs;
    let asks_for = |fate, count| CallEvent::Lost { fate, retry_after: Some(seconds(count)) };
    let (mut call_, now) = call(true, false);
    let decision = call_.on(now, asks_for(Fate::Refused, 7));
    assert_eq!(decision, CallDecision::Retry { pause_max: PAUSE_MIN, at_least: seconds(7) });
    call_.on(now, CallEvent::Sent);
    let end = |fate| CallDecision::Finish(CallEnd::Lost(fate));
    assert_eq!(call_.on(now, asks_for(Fate::Refused, 30)), end(Fate::Refused), "its deadline");
    let (mut harmful, now) = call(false, false);
    assert_eq!(harmful.on(now, asks_for(Fate::Refused, 1)), end(Fate::Refused));
}

#[test]
fn a_call_without_a_place_in_the_budget_ends_as_it_was_lost() {
    let (mut call, now) = call(true, false);
    call.on(now, lost(Fate::Unknown));
    let end = CallDecision::Finish(CallEnd::Lost(Fate::Unknown));
    assert_eq!(call.on(now, CallEvent::NotRepeated), end);
    assert_eq!(call.retries(), 0);
    assert_eq!(call.on(now, CallEvent::NotRepeated), CallDecision::Wait);
}

#[test]
fn headers_are_made_anew_once_and_only_where_there_are_any() {
    let (mut call_with, now) = call(false, true);
    let anew = CallDecision::RenewHeaders;
    assert_eq!(call_with.on(now, MISMATCH), anew);
    call_with.on(now, CallEvent::Sent);
    assert_eq!(call_with.on(now, MISMATCH), CallDecision::Finish(CallEnd::Answered));
    let (mut without, now) = call(false, false);
    assert_eq!(without.on(now, MISMATCH), CallDecision::Finish(CallEnd::Answered));
}

#[test]
fn the_time_of_people_is_not_the_servers() {
    let (mut call, begun) = call(false, false);
    assert_eq!(call.on(begun + Duration::from_secs(10), ASKED), CallDecision::Ask);
    assert!(call.is_suspended());
    let minutes_later = begun + Duration::from_secs(200);
    assert_eq!(call.on(minutes_later, CallEvent::Deadline), CallDecision::Wait);
    assert_eq!(call.on(minutes_later, CallEvent::QuestionsClosed { open: 1 }), CallDecision::Wait);
    assert!(call.is_suspended(), "one of two is still open");
    call.on(minutes_later, CallEvent::QuestionsClosed { open: 0 });
    assert!(!call.is_suspended());
    assert_eq!(call.deadline(), minutes_later + Duration::from_secs(20));
    let end = CallDecision::Finish(CallEnd::TimedOut);
    assert_eq!(call.on(call.deadline(), CallEvent::Deadline), end);
}

#[test]
fn a_suspended_call_waits_for_a_client_that_comes_back_and_not_for_one_that_is_gone() {
    let (mut call, now) = call(false, false);
    call.on(now, ASKED);
    // Its HTTP request may have ended by now: nothing here depends on one.
    assert_eq!(call.on(now, CallEvent::ClientAway), CallDecision::RefuseOpenQuestions);
    assert!(!call.is_suspended());
    assert_eq!(call.on(now, ASKED), CallDecision::RefuseQuestion);
    assert_eq!(call.on(now, CallEvent::ClientBack), CallDecision::Wait);
    assert_eq!(call.on(now, ASKED), CallDecision::Ask);
    assert_eq!(call.on(now, CallEvent::ClientGone), CallDecision::RefuseOpenQuestions);
    for event in [CallEvent::ClientBack, CallEvent::ClientAway] {
        assert_eq!(call.on(now, event), CallDecision::Wait);
    }
    assert_eq!(call.on(now, ASKED), CallDecision::RefuseQuestion);
    let heard = CallEvent::Notification { is_progress: false, wanted: true };
    assert_eq!(call.on(now, heard), CallDecision::Wait);
    assert_eq!(call.on(now, ANSWER), CallDecision::Finish(CallEnd::Answered));
}

#[test]
fn who_cannot_be_asked_hears_everything_else() {
    let now = Instant::now();
    let terms = CallTerms { may_retry: false, can_ask: false, has_mirrors: false };
    let mut call = CallState::new(terms, CallTime::new(now, ORDINARY, MOST));
    call.on(now, CallEvent::Sent);
    assert_eq!(call.on(now, ASKED), CallDecision::RefuseQuestion);
    let heard = CallEvent::Notification { is_progress: false, wanted: true };
    assert_eq!(call.on(now, heard), CallDecision::Forward);
}

#[test]
fn a_loss_ends_what_the_attempt_had_asked() {
    let (mut call, now) = call(true, false);
    call.on(now, ASKED);
    assert_eq!(call.on(now, lost(Fate::Unknown)), again(PAUSE_MIN));
    assert!(!call.is_suspended());
    assert_eq!(call.deadline(), now + ORDINARY);
}

#[test]
fn notifications_go_to_whoever_wants_them_and_progress_brings_time() {
    let (mut call, now) = call(false, false);
    let said = |is_progress, wanted| CallEvent::Notification { is_progress, wanted };
    assert_eq!(call.on(now, said(false, true)), CallDecision::Forward);
    assert_eq!(call.on(now, said(false, false)), CallDecision::Wait);
    assert_eq!(call.deadline(), now + ORDINARY);
    let later = now + Duration::from_secs(20);
    assert_eq!(call.on(later, said(true, false)), CallDecision::Wait);
    assert_eq!(call.deadline(), later + ORDINARY);
}

#[test]
fn a_client_takes_its_call_back_before_during_and_between_attempts() {
    let now = Instant::now();
    let terms = CallTerms { may_retry: true, can_ask: true, has_mirrors: false };
    let mut unsent = CallState::new(terms, CallTime::new(now, ORDINARY, MOST));
    let end = CallDecision::Finish(CallEnd::Cancelled);
    assert_eq!(unsent.on(now, CallEvent::Cancelled), end);
    let (mut under_way, now) = call(true, false);
    assert_eq!(under_way.on(now, CallEvent::Cancelled), end);
    let (mut between, now) = call(true, false);
    between.on(now, lost(Fate::Unknown));
    assert_eq!(between.on(now, CallEvent::Cancelled), end);
}
