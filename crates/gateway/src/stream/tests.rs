//! What a reader gets, however pushes, reads, cuts and returns fall together.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use mainstay_model::{Budget, MemoryKind};
use mainstay_protocol::Id;
use mainstay_protocol::framing::sse::{Event, SseDecoder};
use proptest::prelude::*;

use super::queue::{
    UNREAD_BYTES_MAX, UNREAD_EVENTS_MAX, UNREAD_QUESTION_BYTES_MAX, UNREAD_QUESTIONS_MAX,
};
use super::{
    EventStream, KEEP_FOR, KEEP_READ_FOR, KEPT_EVENT_BYTES_MAX, LEFT_AFTER, REPLAY_BYTES_MAX,
    Reader, StreamResume,
};
use crate::stream::event_id::StreamName;
use crate::stream::replay_budget::ReplayBudget;

fn resumable(primes: bool) -> Arc<EventStream> {
    let (number, share) = ReplayBudget::new(1, Budget::UNLIMITED).open();
    Arc::new(EventStream::resumable(StreamName::call(number, &Id::number(7)), primes, share))
}

/// What can be read now, and whether that is all there will be.
fn read(reader: &mut Reader) -> (Vec<Event>, bool) {
    let cx = Context::from_waker(Waker::noop());
    let mut decoder = SseDecoder::new(64 << 20);
    let over = loop {
        match reader.poll_next(&cx) {
            Poll::Ready(Some(bytes)) => decoder.push(&bytes),
            Poll::Ready(None) => break true,
            Poll::Pending => break false,
        }
    };
    let events = std::iter::from_fn(|| decoder.next_event()).map(Result::unwrap).collect();
    (events, over)
}

fn texts(events: &[Event]) -> Vec<String> {
    let said = events.iter().filter(|event| !event.data.is_empty());
    said.map(|event| String::from_utf8_lossy(&event.data).into_owned()).collect()
}

fn event(text: &str) -> Bytes {
    super::event(text.as_bytes())
}

fn resume(stream: &Arc<EventStream>, after: u64) -> Reader {
    match stream.resume_after(after) {
        StreamResume::Continues(reader) => reader,
        other => panic!("{other:?}"),
    }
}

#[test]
fn questions_have_room_of_their_own_and_no_more() {
    for stream in [Arc::default(), resumable(true)] {
        let mut reader = stream.clone().reader();
        // Unread notifications leave room for questions.
        while stream.try_push(event("word")) {}
        let asked = (0..).take_while(|_| stream.try_push_question(1, event("question"))).count();
        assert_eq!(asked, UNREAD_QUESTIONS_MAX);
        read(&mut reader);
        // One large message is accepted, and no other one until it is read.
        let large = "x".repeat(UNREAD_BYTES_MAX + UNREAD_QUESTION_BYTES_MAX);
        assert!(
            stream.try_push_question(1, event(&large))
                && !stream.try_push_question(1, event("question"))
        );
        read(&mut reader);
        assert!(stream.try_push_question(1, event("question")));
    }
    // A stream that can't be resumed carries no questions.
    let stream: Arc<EventStream> = Arc::default();
    drop(stream.clone().reader());
    assert!(!stream.try_push_question(1, event("question")));
    let stream = resumable(true);
    drop(stream.clone().reader());
    assert!(stream.try_push_question(1, event("question")), "the reader may be back");
}

#[test]
fn nobody_is_asked_more_while_all_streams_together_keep_too_much() {
    let kept = ReplayBudget::new(1, Budget::UNLIMITED);
    let of = |request| {
        let (number, share) = kept.open();
        Arc::new(EventStream::resumable(
            StreamName::call(number, &Id::number(request)),
            true,
            share,
        ))
    };
    let (away, asked) = (of(1), of(2));
    let mut reader = asked.clone().reader();
    away.push(event(&"x".repeat(65 << 20)));
    assert!(asked.try_push_question(1, event("question")), "who has read everything can be asked");
    assert!(!asked.try_push_question(1, event("question")));
    read(&mut reader);
    assert!(asked.try_push_question(1, event("question")));
}

#[test]
fn a_reader_that_reads_nothing_costs_a_bounded_amount() {
    for stream in [Arc::default(), resumable(true)] {
        let mut reader = stream.clone().reader();
        let taken = (0..10 * UNREAD_EVENTS_MAX).filter(|_| stream.try_push("x".into())).count();
        assert_eq!(taken, UNREAD_EVENTS_MAX);
        stream.finish(event("answer"));
        let (events, over) = read(&mut reader);
        assert!(over);
        assert_eq!(texts(&events).last().unwrap(), "answer");
    }
}

#[tokio::test]
async fn there_is_room_once_something_is_read_or_nothing_will_be() {
    let cx = Context::from_waker(Waker::noop());
    type End = fn(&EventStream, Reader) -> Option<Reader>;
    let ends: [End; 3] = [
        |_, mut reader| {
            let _ = reader.poll_next(&Context::from_waker(Waker::noop()));
            Some(reader)
        },
        |stream, reader| {
            stream.end();
            Some(reader)
        },
        |_, _| None,
    ];
    for end in ends {
        let stream = Arc::<EventStream>::default();
        let reader = stream.clone().reader();
        stream.wait_for_room().await;
        while stream.try_push("x".into()) {}
        let mut room = std::pin::pin!(stream.wait_for_room());
        assert!(room.as_mut().poll(&mut Context::from_waker(cx.waker())).is_pending());
        let _reader = end(&stream, reader);
        room.await;
    }
}

#[test]
fn a_reader_that_left_holds_nothing_unless_it_can_come_back() {
    let stream = Arc::<EventStream>::default();
    let reader = stream.clone().reader();
    assert!(stream.try_push("x".into()));
    drop(reader);
    assert!(!stream.try_push("y".into()));
    assert!(!stream.is_open() && !stream.may_be_read_within(Duration::MAX));
    assert_eq!(stream.bytes(), 0);

    let stream = resumable(false);
    drop(stream.clone().reader());
    assert!(stream.try_push(event("x")));
    assert!(
        !stream.is_open()
            && stream.may_be_read_within(Duration::MAX)
            && !stream.may_be_read_within(Duration::ZERO)
    );
    let (events, over) = read(&mut resume(&stream, 0));
    assert_eq!((texts(&events), over), (vec!["x".to_owned()], false));
}

#[test]
fn every_event_has_an_id_and_only_the_last_names_no_request() {
    for primes in [true, false] {
        let stream = resumable(primes);
        let mut reader = stream.clone().reader();
        for text in ["one", "two"] {
            stream.push(event(text));
        }
        stream.finish(event("answer"));
        let (events, _) = read(&mut reader);
        let ids: Vec<_> = events.iter().map(|event| event.id.clone().unwrap()).collect();
        let all = ["p100000000.0.Nw", "p100000000.1.Nw", "p100000000.2.Nw", "p100000000.3"];
        assert_eq!(ids, all[usize::from(!primes)..]);
        assert_eq!(events[0].retry.is_some(), primes);
        assert_eq!(texts(&events), ["one", "two", "answer"]);
    }
}

#[test]
fn one_reads_at_a_time() {
    let stream = resumable(false);
    let mut old = stream.clone().reader();
    stream.push(event("one"));
    assert_eq!(texts(&read(&mut old).0), ["one"]);
    let mut new = resume(&stream, 0);
    assert_eq!(read(&mut old), (vec![], true), "its stream ends");
    drop(old);
    assert!(stream.is_open(), "whoever was replaced takes nobody along");
    stream.push(event("two"));
    assert_eq!(texts(&read(&mut new).0), ["one", "two"]);
}

#[test]
fn a_stream_that_ended_says_what_it_still_has() {
    let stream = resumable(false);
    let mut reader = stream.clone().reader();
    stream.push(event("one"));
    stream.finish(event("answer"));
    assert!(read(&mut reader).1);
    drop(reader);
    assert_eq!(texts(&read(&mut resume(&stream, 1)).0), ["answer"]);
    assert!(matches!(stream.resume_after(2), StreamResume::Complete));
    assert!(matches!(stream.resume_after(u64::MAX), StreamResume::Complete));

    // The message is too large to be kept for a client that is away.
    let stream = resumable(false);
    drop(stream.clone().reader());
    stream.push(event("one"));
    stream.finish(Bytes::from(vec![b'x'; KEPT_EVENT_BYTES_MAX + 1]));
    assert!(matches!(stream.resume_after(0), StreamResume::AnswerLost));
    assert_eq!(stream.bytes(), 0);
    // The message is not kept after it was read either, but it is sent while the client reads.
    let stream = resumable(false);
    let mut reader = stream.clone().reader();
    stream.finish(event(&"x".repeat(KEPT_EVENT_BYTES_MAX)));
    assert_eq!(texts(&read(&mut reader).0)[0].len(), KEPT_EVENT_BYTES_MAX);
    assert!(matches!(stream.resume_after(0), StreamResume::AnswerLost));

    // A cancelled call has no answer, so none can be lost.
    let stream = resumable(false);
    stream.end();
    assert!(matches!(stream.resume_after(0), StreamResume::Complete));
}

#[test]
fn what_was_read_is_kept_within_bounds() {
    let stream = resumable(false);
    let mut reader = stream.clone().reader();
    let text = "x".repeat(1000);
    for _ in 0..1000 {
        stream.push(event(&text));
        read(&mut reader);
    }
    let kept = stream.bytes();
    assert!((REPLAY_BYTES_MAX / 2..=REPLAY_BYTES_MAX + 2000).contains(&kept), "{kept}");
    // A client that asks for more than was sent gets what there is.
    let events = read(&mut resume(&stream, 1)).0;
    assert!(events.len() > 200 && events.len() < 1000, "{}", events.len());
    assert_eq!(events.last().unwrap().id.as_deref(), Some("p100000000.1000.Nw"));
    let mut reader = resume(&stream, 1000);
    read(&mut reader);
    stream.drop_read_events(Instant::now(), true);
    assert_eq!(stream.bytes(), 0);
}

#[test]
fn streams_are_kept_for_a_time() {
    let later = |after: Duration| Instant::now() + after + Duration::from_secs(1);
    let stream = resumable(false);
    let mut reader = stream.clone().reader();
    stream.push(event("one"));
    read(&mut reader);
    assert!(!stream.is_stale(later(KEEP_FOR)), "somebody reads it");
    stream.finish(event("answer"));
    drop(reader);
    assert!(!stream.is_stale(later(KEEP_READ_FOR)), "the answer was not read");
    assert!(stream.is_stale(later(KEEP_FOR)));
    let mut reader = resume(&stream, 1);
    read(&mut reader);
    drop(reader);
    assert!(!stream.is_stale(Instant::now()));
    assert!(stream.is_stale(later(KEEP_READ_FOR)));
}

#[test]
fn a_stream_that_was_left_keeps_its_last_events_as_they_were() {
    let stream = resumable(false);
    drop(stream.clone().reader());
    let all: Vec<_> =
        (0..50).map(|number| format!("{number}:{}", "x".repeat(number * 10))).collect();
    for text in &all {
        stream.push(event(text));
    }
    let large = "y".repeat(20_000);
    stream.push(event(&large));
    let whole = stream.bytes();
    assert_eq!(stream.shrink_left(usize::MAX, Instant::now()), 0);
    let later = Instant::now() + LEFT_AFTER;
    assert_eq!((stream.shrink_left(usize::MAX, later), stream.bytes()), (0, whole));
    let dropped = stream.shrink_left(25_000, later);
    assert_eq!(whole - dropped, stream.bytes());
    assert!(stream.bytes() <= 25_000 && stream.bytes() > 24_000, "{}", stream.bytes());
    let kept = texts(&read(&mut resume(&stream, 0)).0);
    let expected: Vec<_> = all.iter().chain([&large]).map(String::as_str).collect();
    assert_eq!(kept, expected[expected.len() - kept.len()..]);
    // Somebody has returned.
    let back = resume(&stream, 0);
    assert_eq!(stream.shrink_left(0, later), 0);
    drop(back);
}

#[derive(Debug, Clone)]
enum Step {
    Push(usize),
    Read(usize),
    Cut,
    /// Comes back, having received all but this many of the events it was sent.
    Return(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => prop_oneof![9 => 1..200usize, 1 => 20_000..400_000usize].prop_map(Step::Push),
        4 => (1..20usize).prop_map(Step::Read),
        1 => Just(Step::Cut),
        2 => (0..6usize).prop_map(Step::Return),
    ];
    proptest::collection::vec(step, 1..120)
}

proptest! {
    /// A client that counts on nothing but ids gets everything that was taken, once and in order.
    #[test]
    fn nothing_is_lost_or_doubled(steps in steps(), primes: bool) {
        let stream = resumable(primes);
        let mut reader = Some(stream.clone().reader());
        let cx = Context::from_waker(Waker::noop());
        let mut decoder = SseDecoder::new(64 << 20);
        // The model: messages that were offered and accepted, that the client has, and that it was sent,
        // oldest first.
        let (mut taken, mut has) = (Vec::new(), Vec::<String>::new());
        let mut sent: Vec<Event> = Vec::new();
        let mut number = 0;
        let number_of = |event: &Event| -> u64 {
            event.id.as_deref().unwrap().split('.').nth(1).unwrap().parse().unwrap()
        };
        for step in steps {
            match step {
                Step::Push(size) => {
                    number += 1;
                    let text = format!("{number}:{}", "x".repeat(size));
                    if stream.try_push(event(&text)) {
                        taken.push(text);
                    }
                }
                Step::Read(times) => {
                    for _ in 0..times {
                        let Some(reader) = &mut reader else { break };
                        let Poll::Ready(Some(bytes)) = reader.poll_next(&cx) else { break };
                        decoder.push(&bytes);
                        while let Some(event) = decoder.next_event() {
                            sent.push(event.unwrap());
                        }
                    }
                }
                Step::Cut => reader = None,
                Step::Return(unreceived) => {
                    // Messages in transit are lost, and earlier ones stay with the client.
                    decoder = SseDecoder::new(64 << 20);
                    let bytes: usize = sent.iter().rev().take(unreceived).map(|it| it.data.len()).sum();
                    let unreceived = if bytes > REPLAY_BYTES_MAX / 2 { 0 } else { unreceived };
                    sent.truncate(sent.len().saturating_sub(unreceived));
                    has.extend(texts(&sent));
                    let after = sent.last().map_or(has.len() as u64, &number_of);
                    sent.clear();
                    reader = Some(resume(&stream, after));
                }
            }
            prop_assert!(stream.bytes() <= UNREAD_BYTES_MAX + REPLAY_BYTES_MAX + 900_000);
        }
        let after = sent.last().map_or(has.len() as u64, &number_of);
        has.extend(texts(&sent));
        stream.finish(event("answer"));
        taken.push("answer".into());
        let (rest, over) = read(&mut resume(&stream, after));
        prop_assert!(over);
        has.extend(texts(&rest));
        prop_assert_eq!(&has, &taken);
        let ids: BTreeSet<_> = rest.iter().map(|event| event.id.clone()).collect();
        prop_assert_eq!(ids.len(), rest.len());
    }
}

#[test]
fn a_closed_question_is_read_as_cancelled_and_takes_no_memory() {
    let budget = Budget::new(64 << 20);
    let used = || budget.of(MemoryKind::Streams).used_bytes;
    for bytes in [1000, 1_000_000] {
        let (number, share) = ReplayBudget::new(1, budget).open();
        let name = StreamName::call(number, &Id::number(7));
        let stream = Arc::new(EventStream::resumable(name, false, share));
        let mut reader = stream.clone().reader();
        let text = "x".repeat(bytes);
        assert!(stream.try_push(event("before")));
        assert!(stream.try_push_question(31, event(&text)));
        assert!(stream.try_push(event("after")));
        assert!(stream.try_push_question(32, event(&text)));
        let held = used();
        assert!(held > 2 * bytes, "{held}");
        // The first of both is read, and kept for a replay.
        let cx = Context::from_waker(Waker::noop());
        for _ in 0..3 {
            assert!(reader.poll_next(&cx).is_ready());
        }
        stream.take_back_questions();
        stream.take_back_questions();
        assert!(used() < 1000, "{}", used());
        assert_eq!(stream.bytes(), used());
        let StreamResume::Continues(mut again) = stream.resume_after(0) else { panic!() };
        let mut read = String::new();
        while let Poll::Ready(Some(bytes)) = again.poll_next(&cx) {
            read.push_str(std::str::from_utf8(&bytes).unwrap());
        }
        let data: Vec<_> = read.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
        let cancelled = |question| {
            format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{question}}}}}"#
            )
        };
        assert_eq!(data, ["before", &cancelled(31), "after", &cancelled(32)]);
        drop((reader, again, stream));
        assert_eq!(used(), 0);
    }
}

#[test]
fn a_large_event_is_charged_until_it_was_sent_and_has_no_room_beyond_the_budget() {
    let budget = Budget::new(4 << 20);
    let used = || budget.of(MemoryKind::Streams).used_bytes;
    let stream = Arc::new(EventStream::plain(budget));
    let mut reader = stream.clone().reader();
    let large = Bytes::from(vec![b'x'; 1_500_000]);
    stream.push_within_budget(large.clone()).unwrap();
    assert!(stream.push_within_budget(large.clone()).is_err());
    assert!(stream.try_finish(large.clone()).is_err() && !stream.has_ended());
    let cx = Context::from_waker(Waker::noop());
    let Poll::Ready(Some(sent)) = reader.poll_next(&cx) else { panic!() };
    assert_eq!((used(), stream.bytes()), (large.len(), 0), "it is on its way");
    drop(sent);
    assert_eq!(used(), 0);
    stream.try_finish(large.clone()).unwrap();
    assert!(stream.has_ended());
    drop(reader);
    assert_eq!(used(), 0, "nobody can come back for it");
}
