//! Ids of events, and what becomes of streams a session had.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use mainstay_protocol::Id;

use super::{ENDED_BYTES_MAX, ENDED_MAX, Resumed, STANDING_MAX, Streams};
use crate::stream::event_id::{EventId, StreamName};
use crate::stream::replay_budget::ReplayBudget;
use crate::stream::{EventStream, KEEP_FOR, event};

fn standing(budget: &Arc<ReplayBudget>) -> Arc<EventStream> {
    let (number, share) = budget.open();
    Arc::new(EventStream::resumable(StreamName::standing(number), false, share))
}

fn of_call(budget: &Arc<ReplayBudget>) -> Arc<EventStream> {
    let (number, share) = budget.open();
    Arc::new(EventStream::resumable(StreamName::call(number, &Id::number(3)), false, share))
}

fn id(stream: &EventStream, after: u64) -> EventId {
    EventId::parse(&stream.name().unwrap().id(after)).unwrap()
}

#[test]
fn ids_are_read_back_and_anything_else_is_none() {
    let long = format!("\"{}\"", "x".repeat(500));
    for raw in ["7", "\"7\"", "\"a.b\\n\"", "1.0", "12345678901234567890123", &long] {
        let body = format!(r#"{{"jsonrpc":"2.0","id":{raw},"method":"x"}}"#);
        let request = mainstay_protocol::Message::parse(body.into()).unwrap().id().unwrap();
        let name = StreamName::call(0xab, &request);
        let parsed = EventId::parse(&name.id(5)).unwrap();
        assert_eq!((parsed.name.number, parsed.after), (0xab, 5));
        match Resumed::without(&parsed) {
            Resumed::Lost(id) => assert_eq!(id.as_bytes(), raw.as_bytes()),
            Resumed::Over => assert_eq!(raw, long),
            other => panic!("{raw}: {other:?}"),
        }
        let last = EventId::parse(&name.last_id(6)).unwrap();
        assert!(matches!(Resumed::without(&last), Resumed::Over), "{raw}");
        assert!(name.id(5).bytes().all(|byte| byte.is_ascii_graphic()));
    }
    let standing = EventId::parse(&StreamName::standing(u64::MAX).id(u64::MAX)).unwrap();
    assert!(matches!(Resumed::without(&standing), Resumed::Fresh));
    for text in [
        "", "g", "p", "g1", "g1.", "g1.x", "g1.1.", "g1.1.1", "x1.1", "p1.1.a.b", "é1.1", "-1.1",
        "g-1.1",
    ] {
        assert_eq!(EventId::parse(text), None, "{text}");
    }
}

#[test]
fn only_an_id_comes_out_of_an_id() {
    for text in ["1,\"id\":2", "{}", "null", "1}", "[1]", "\"a", "", "1\n", "true"] {
        use base64::Engine;
        let part = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
        let event = EventId::parse(&format!("p1.0.{part}")).unwrap();
        match Resumed::without(&event) {
            Resumed::Fresh => {}
            Resumed::Lost(id) => assert!(["1", "2"].contains(&id.to_string().as_str()), "{text}"),
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn a_client_gets_its_stream_back_and_no_other() {
    let budget = ReplayBudget::new(0);
    let mut streams = Streams::default();
    let (first, second, call) = (standing(&budget), standing(&budget), of_call(&budget));
    streams.stand(first.clone());
    streams.stand(second.clone());
    streams.begin(call.clone());
    for (stream, text) in [(&first, "first"), (&second, "second"), (&call, "call")] {
        drop(stream.clone().reader());
        stream.push(event(text.as_bytes()));
        let Resumed::Goes(mut reader) = streams.resume(&id(stream, 0)) else { panic!("{text}") };
        let Poll::Ready(Some(said)) = reader.poll_next(&Context::from_waker(Waker::noop())) else {
            panic!("{text}")
        };
        assert!(String::from_utf8_lossy(&said).contains(&format!("data: {text}\n")), "{said:?}");
        assert!(reader.poll_next(&Context::from_waker(Waker::noop())).is_pending());
    }
    // The number of one kind is no number of the other.
    let number = call.name().unwrap().number;
    let other = EventId::parse(&StreamName::standing(number).id(0)).unwrap();
    assert!(matches!(streams.resume(&other), Resumed::Fresh));
    call.finish(event(b"answer"));
    assert!(matches!(streams.resume(&id(&call, 2)), Resumed::Over));
    assert!(matches!(streams.resume(&id(&call, 1)), Resumed::Goes(_)));
    first.end();
    assert!(matches!(streams.resume(&id(&first, 9)), Resumed::Fresh));
    streams.prune(Instant::now() + KEEP_FOR + Duration::from_secs(1));
    assert!(matches!(streams.resume(&id(&call, 1)), Resumed::Lost(_)));
    let last = standing(&budget);
    streams.stand(last.clone());
    streams.end();
    assert!(matches!(streams.resume(&id(&last, 0)), Resumed::Fresh));
    assert!(last.has_ended());
}

#[test]
fn messages_go_to_streams_that_are_read_and_words_are_left_on_others() {
    let budget = ReplayBudget::new(0);
    let mut streams = Streams::default();
    let event = event(b"x");
    assert!(!streams.say(&event) && !streams.leave_word(&event) && !streams.is_read());
    let (old, new) = (standing(&budget), standing(&budget));
    streams.stand(old.clone());
    streams.stand(new.clone());
    let readers = (old.clone().reader(), new.clone().reader());
    assert!(streams.say(&event));
    assert_eq!((old.bytes(), new.bytes()), (0, event.len()));
    drop(readers.1);
    assert!(streams.leave_word(&event));
    assert_eq!(old.bytes(), event.len(), "one that is read comes first");
    drop(readers.0);
    assert!(!streams.say(&event) && streams.leave_word(&event) && !streams.is_read());
    assert_eq!((old.bytes(), new.bytes()), (event.len(), 2 * event.len()));
}

#[test]
fn the_oldest_give_way() {
    let budget = ReplayBudget::new(0);
    let mut streams = Streams::default();
    let all: Vec<_> = (0..STANDING_MAX).map(|_| standing(&budget)).collect();
    for stream in &all {
        streams.stand(stream.clone());
    }
    let mut readers: Vec<_> = all.iter().cloned().map(EventStream::reader).collect();
    readers.remove(3);
    streams.stand(standing(&budget));
    assert!(all[3].has_ended(), "one that nobody reads goes first");
    streams.stand(standing(&budget));
    assert!(all[0].has_ended());

    for _ in 0..2 * ENDED_MAX {
        let stream = of_call(&budget);
        stream.finish(event(b"answer"));
        streams.begin(stream);
    }
    let running = of_call(&budget);
    streams.begin(running.clone());
    streams.bound();
    assert_eq!(streams.ended().len(), ENDED_MAX);
    assert!(matches!(streams.resume(&id(&running, 0)), Resumed::Goes(_)));
    for _ in 0..4 {
        let stream = of_call(&budget);
        stream.finish(Bytes::from(vec![b'x'; ENDED_BYTES_MAX / 2 - 10]));
        streams.begin(stream);
    }
    streams.bound();
    assert_eq!(streams.ended().len(), 2);
}
