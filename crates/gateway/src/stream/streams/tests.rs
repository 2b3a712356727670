//! Ids of events, and what becomes of streams a session had.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use mainstay_model::Budget;
use mainstay_protocol::Id;

use super::{BACKGROUND_STREAMS_MAX, FINISHED_BYTES_MAX, FINISHED_MAX, Resumed, SessionStreams};
use crate::stream::event_id::{EventId, StreamName};
use crate::stream::replay_budget::ReplayBudget;
use crate::stream::{EventStream, KEEP_FOR, event};

fn background(budget: &Arc<ReplayBudget>) -> Arc<EventStream> {
    let (number, share) = budget.open();
    Arc::new(EventStream::resumable(StreamName::background(number), false, share))
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
        match Resumed::for_lost_stream(&parsed) {
            Resumed::AnswerLost(id) => assert_eq!(id.as_bytes(), raw.as_bytes()),
            Resumed::Complete => assert_eq!(raw, long),
            other => panic!("{raw}: {other:?}"),
        }
        let last = EventId::parse(&name.last_id(6)).unwrap();
        assert!(matches!(Resumed::for_lost_stream(&last), Resumed::Complete), "{raw}");
        assert!(name.id(5).bytes().all(|byte| byte.is_ascii_graphic()));
    }
    let standing = EventId::parse(&StreamName::background(u64::MAX).id(u64::MAX)).unwrap();
    assert!(matches!(Resumed::for_lost_stream(&standing), Resumed::NewStream));
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
        match Resumed::for_lost_stream(&event) {
            Resumed::NewStream => {}
            Resumed::AnswerLost(id) => {
                assert!(["1", "2"].contains(&id.to_string().as_str()), "{text}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn a_client_gets_its_stream_back_and_no_other() {
    let budget = ReplayBudget::new(0, Budget::UNLIMITED);
    let mut streams = SessionStreams::default();
    let (first, second, call) = (background(&budget), background(&budget), of_call(&budget));
    streams.add_background(first.clone());
    streams.add_background(second.clone());
    streams.add_call(call.clone());
    for (stream, text) in [(&first, "first"), (&second, "second"), (&call, "call")] {
        drop(stream.clone().reader());
        stream.push(event(text.as_bytes()));
        let Resumed::Continues(mut reader) = streams.resume(&id(stream, 0)) else {
            panic!("{text}")
        };
        let Poll::Ready(Some(said)) = reader.poll_next(&Context::from_waker(Waker::noop())) else {
            panic!("{text}")
        };
        assert!(String::from_utf8_lossy(&said).contains(&format!("data: {text}\n")), "{said:?}");
        assert!(reader.poll_next(&Context::from_waker(Waker::noop())).is_pending());
    }
    // The two kinds of streams are numbered separately.
    let number = call.name().unwrap().number;
    let other = EventId::parse(&StreamName::background(number).id(0)).unwrap();
    assert!(matches!(streams.resume(&other), Resumed::NewStream));
    call.finish(event(b"answer"));
    assert!(matches!(streams.resume(&id(&call, 2)), Resumed::Complete));
    assert!(matches!(streams.resume(&id(&call, 1)), Resumed::Continues(_)));
    first.end();
    assert!(matches!(streams.resume(&id(&first, 9)), Resumed::NewStream));
    streams.prune(Instant::now() + KEEP_FOR + Duration::from_secs(1));
    assert!(matches!(streams.resume(&id(&call, 1)), Resumed::AnswerLost(_)));
    let last = background(&budget);
    streams.add_background(last.clone());
    streams.end();
    assert!(matches!(streams.resume(&id(&last, 0)), Resumed::NewStream));
    assert!(last.has_ended());
}

#[test]
fn messages_go_to_streams_that_are_read_and_words_are_left_on_others() {
    let budget = ReplayBudget::new(0, Budget::UNLIMITED);
    let mut streams = SessionStreams::default();
    let event = event(b"x");
    assert!(
        !streams.send_background(&event)
            && !streams.queue_background(&event)
            && !streams.is_background_read()
    );
    let (old, new) = (background(&budget), background(&budget));
    streams.add_background(old.clone());
    streams.add_background(new.clone());
    let readers = (old.clone().reader(), new.clone().reader());
    assert!(streams.send_background(&event));
    assert_eq!((old.bytes(), new.bytes()), (0, event.len()));
    drop(readers.1);
    assert!(streams.queue_background(&event));
    assert_eq!(old.bytes(), event.len(), "one that is read comes first");
    drop(readers.0);
    assert!(
        !streams.send_background(&event)
            && streams.queue_background(&event)
            && !streams.is_background_read()
    );
    assert_eq!((old.bytes(), new.bytes()), (event.len(), 2 * event.len()));
}

#[test]
fn the_oldest_give_way() {
    let budget = ReplayBudget::new(0, Budget::UNLIMITED);
    let mut streams = SessionStreams::default();
    let all: Vec<_> = (0..BACKGROUND_STREAMS_MAX).map(|_| background(&budget)).collect();
    for stream in &all {
        streams.add_background(stream.clone());
    }
    let mut readers: Vec<_> = all.iter().cloned().map(EventStream::reader).collect();
    readers.remove(3);
    streams.add_background(background(&budget));
    assert!(all[3].has_ended(), "one that nobody reads goes first");
    streams.add_background(background(&budget));
    assert!(all[0].has_ended());

    for _ in 0..2 * FINISHED_MAX {
        let stream = of_call(&budget);
        stream.finish(event(b"answer"));
        streams.add_call(stream);
    }
    let running = of_call(&budget);
    streams.add_call(running.clone());
    streams.drop_excess_answers();
    assert_eq!(streams.finished().len(), FINISHED_MAX);
    assert!(matches!(streams.resume(&id(&running, 0)), Resumed::Continues(_)));
    for _ in 0..4 {
        let stream = of_call(&budget);
        stream.finish(Bytes::from(vec![b'x'; FINISHED_BYTES_MAX / 2 - 10]));
        streams.add_call(stream);
    }
    streams.drop_excess_answers();
    assert_eq!(streams.finished().len(), 2);
}
