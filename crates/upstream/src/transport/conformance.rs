//! The rules that every transport keeps, run against each with a real peer.
//!
//! A new transport adds a peer and a line at the end.

pub(crate) mod http;
mod pipes;
mod sse;
mod world;

use std::sync::atomic::Ordering;
use std::time::Duration;

use mainstay_model::Budget;
use mainstay_protocol::{Kind, Message, Revision, build};

pub(crate) use self::world::Ears;
use self::world::{Open, Order, Peer, Received, Waiting, World, until};
use crate::link::LinkLimits;
use crate::request::{Fate, Incoming, Outgoing, SessionNo};

/// Longest wait for something that must come true.
pub(crate) const CAP: Duration = Duration::from_secs(30);
/// The time in which a forbidden message would arrive.
pub(crate) const NEVER: Duration = Duration::from_millis(50);
const MESSAGE_BYTES_MAX: usize = 10_000;
pub(crate) const LIMITS: LinkLimits = LinkLimits {
    message_bytes_max: MESSAGE_BYTES_MAX,
    unread_bytes_max: 1 << 20,
    depth_max: 128,
    budget: Budget::UNLIMITED,
};
/// Messages in either direction that are not read yet.
const QUEUE: usize = 256;

// === what every transport promises ===

async fn a_request_goes_out_under_our_id_and_is_answered_once<T: Open>() {
    let mut world = World::open::<T>().await;
    let (mut waiting, received) = world.call(1, "one").await;
    assert_ne!(received.message.id_number(), Some(777), "the client's id");
    received.answer("yes").await;
    assert_eq!(waiting.answer().await, r#""yes""#);
    waiting.nothing_more().await;
    assert_eq!(world.link.in_flight(), 0);
    world.end().await;
}

async fn many_calls_at_once_get_their_own_answers_in_any_order<T: Open>() {
    let mut world = World::open::<T>().await;
    let mut open = Vec::new();
    for number in 0..20 {
        open.push(world.call(number % 3 + 1, &number.to_string()).await);
    }
    assert_eq!(world.link.in_flight(), 20);
    for (_, received) in open.iter().rev() {
        received.answer(&received.name()).await;
    }
    for (waiting, received) in &mut open {
        assert_eq!(waiting.answer().await, format!("\"{}\"", received.name()));
    }
    world.end().await;
}

async fn progress_belongs_to_the_call_whose_token_it_bears<T: Open>() {
    let mut world = World::open::<T>().await;
    let (mut first, of_first) = world.call(1, "first").await;
    let (mut second, of_second) = world.call(2, "second").await;
    for (received, step) in [(&of_second, 2), (&of_first, 1)] {
        let token = received.message.id_number().unwrap();
        let params = format!(r#"{{"progressToken":{token},"progress":{step}}}"#);
        let progress = build::notification("notifications/progress", Some(&params));
        received.say(String::from_utf8(progress.to_vec()).unwrap()).await;
    }
    for (waiting, step) in [(&mut first, "1}"), (&mut second, "2}")] {
        let Incoming::Notification(progress) = waiting.next().await else { panic!("no progress") };
        assert!(String::from_utf8_lossy(progress.bytes()).contains(step), "{progress:?}");
    }
    of_first.answer("done").await;
    of_second.answer("done").await;
    first.answer().await;
    second.answer().await;
    world.end().await;
}

async fn a_question_of_the_only_call_is_asked_there_and_answered_under_its_id<T: Open>() {
    let mut world = World::open::<T>().await;
    let (mut waiting, received) = world.call(1, "asks").await;
    for (id, refused) in [("\"q1\"", false), ("\"q2\"", true)] {
        received.say(format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"roots/list"}}"#)).await;
        let Incoming::Question(question) = waiting.next().await else { panic!("no question") };
        if refused {
            waiting.order(Order::Refuse(question)).await;
        } else {
            let answer = build::result(&question.id().unwrap(), "{}");
            waiting.order(Order::Answer(answer)).await;
        }
        let told = world.next().await.message;
        assert_eq!(told.kind(), if refused { Kind::Error } else { Kind::Result });
        assert!(String::from_utf8_lossy(told.bytes()).contains(id), "{told:?}");
    }
    received.answer("done").await;
    waiting.answer().await;
    world.end().await;
}

async fn a_cut_connection_loses_each_call_once_and_its_fate_is_unknown<T: Open>() {
    let mut world = World::open::<T>().await;
    let (first, _first) = world.call(1, "first").await;
    let (second, _second) = world.call(2, "second").await;
    world.peer.cut.cancel();
    for waiting in [first, second] {
        let lost = waiting.lost().await;
        assert_eq!(lost.fate, Fate::Unknown, "{lost:?}");
    }
    world.end().await;
}

async fn a_closed_link_takes_no_call_and_closes_once<T: Open>() {
    let mut world = World::open::<T>().await;
    let (waiting, _received) = world.call(1, "open").await;
    world.link.close("first reason");
    world.link.close("second reason");
    assert!(world.link.is_closed());
    let message = Message::parse(build::request(1, "m", None)).unwrap();
    let lost = world.link.call(&Outgoing::plain(&message), SessionNo(1)).unwrap_err();
    assert_eq!((lost.fate, lost.link_dead, &*lost.reason), (Fate::Unsent, true, "first reason"));
    if world.link.abilities().calls_apart {
        // The call's own exchange goes on and can still be answered.
        drop(waiting);
    } else {
        assert_eq!(waiting.lost().await.fate, Fate::Unknown);
    }
    world.end().await;
}

async fn a_cancelled_call_is_taken_back_at_the_server_and_forgotten<T: Open>() {
    let mut world = World::open::<T>().await;
    let (waiting, received) = world.call(1, "unwanted").await;
    let id = received.message.id_number().unwrap();
    waiting.order(Order::Cancel).await;
    let told = world.next().await.message;
    assert_eq!(told.method(), "notifications/cancelled");
    assert!(String::from_utf8_lossy(told.bytes()).contains(&format!("\"requestId\":{id}")));
    until(|| world.link.in_flight() == 0).await;
    world.end().await;
}

async fn a_late_answer_reaches_nobody<T: Open>() {
    let mut world = World::open::<T>().await;
    let (dropped, received) = world.call(1, "dropped").await;
    dropped.order(Order::Drop).await;
    until(|| world.link.in_flight() == 0).await;
    let late = format!(
        r#"{{"jsonrpc":"2.0","id":{},"result":"late"}}"#,
        received.message.id_number().unwrap()
    );
    if world.link.abilities().calls_apart {
        // The call's own exchange may be gone before this.
        let _ = received.say.try_send(late);
    } else {
        received.say(late).await;
        until(|| world.ears.late.load(Ordering::SeqCst) == 1).await;
    }
    let (mut next, received) = world.call(1, "next").await;
    received.answer("its own").await;
    assert_eq!(next.answer().await, r#""its own""#);
    world.end().await;
}

async fn an_oversized_answer_ends_its_call_and_no_other<T: Open>() {
    let mut world = World::open::<T>().await;
    let (big, of_big) = world.call(1, "big").await;
    let (mut small, of_small) = world.call(2, "small").await;
    of_big.answer(&"x".repeat(2 * MESSAGE_BYTES_MAX)).await;
    let lost = big.lost().await;
    assert_eq!((lost.fate, lost.link_dead), (Fate::Oversized, false));
    of_small.answer("fits").await;
    assert_eq!(small.answer().await, r#""fits""#);
    world.end().await;
}

async fn an_id_of_ours_is_known_in_any_spelling<T: Open>() {
    let mut world = World::open::<T>().await;
    for spelling in ["\"N\"", "N.0", "N.00e0", "0.Ne1", "\"N.0\""] {
        let (mut waiting, received) = world.call(1, "respelled").await;
        let (mut other, of_other) = world.call(2, "other").await;
        let id = received.message.id_number().unwrap();
        // One digit, so that each spelling is one of the number.
        let spelt = match spelling.strip_prefix("0.N") {
            Some(exponent) if id < 10 => format!("0.{id}{exponent}"),
            Some(_) => format!("{}.{}e1", id / 10, id % 10),
            None => spelling.replace('N', &id.to_string()),
        };
        let params = format!(r#"{{"progressToken":{spelt},"progress":1}}"#);
        let progress = build::notification("notifications/progress", Some(&params));
        received.say(String::from_utf8(progress.to_vec()).unwrap()).await;
        assert!(matches!(waiting.next().await, Incoming::Notification(_)), "{spelt}");
        received.say(format!(r#"{{"jsonrpc":"2.0","id":{spelt},"result":"mine"}}"#)).await;
        assert_eq!(waiting.answer().await, r#""mine""#, "{spelt}");
        of_other.answer("others").await;
        assert_eq!(other.answer().await, r#""others""#, "{spelt}");
    }
    assert_eq!(world.ears.late.load(Ordering::SeqCst), 0);
    world.end().await;
}

async fn an_answer_whose_meaning_is_clear_is_passed_on_as_a_valid_one<T: Open>() {
    let mut world = World::open::<T>().await;
    for answer in [
        r#"{"jsonrpc":"2.0","id":ID,"result":{"a":1.0},"error":null}"#,
        r#"{"id":ID,"result":{"a":1.0}}"#,
    ] {
        let (mut waiting, received) = world.call(1, "odd").await;
        let id = received.message.id_number().unwrap();
        received.say(answer.replace("ID", &id.to_string())).await;
        let Incoming::Answer(message) = waiting.next().await else { panic!("{answer}") };
        let valid = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"a":1.0}}}}"#);
        assert_eq!(message.bytes(), &valid);
    }
    world.end().await;
}

async fn an_answer_that_can_not_be_used_ends_its_call_and_no_other<T: Open>() {
    let mut world = World::open::<T>().await;
    let deep = "[".repeat(200) + &"]".repeat(200);
    let deep = format!(r#"{{"jsonrpc":"2.0","id":ID,"result":{deep}}}"#);
    let answers = [
        (r#"{"jsonrpc":"2.0","id":ID,"result":{"x":NaN}}"#, Fate::Unusable, "not JSON"),
        (r#"{"jsonrpc":"2.0","result":{"x":NaN},"id":"ID"}"#, Fate::Unusable, "not JSON"),
        (r#"{"jsonrpc":"2.0","id":ID,"result":{}} took 3 ms"#, Fate::Unusable, "trailing"),
        (r#"{"jsonrpc":"2.0","id":ID,"error":"no luck"}"#, Fate::Unusable, "no luck"),
        (r#"{"jsonrpc":"2.0","id":ID}"#, Fate::Unusable, "is missing"),
        (&*deep, Fate::TooDeep, "128 levels"),
    ];
    for (answer, fate, why) in answers {
        let (bad, of_bad) = world.call(1, "bad").await;
        let (mut good, of_good) = world.call(2, "good").await;
        let id = of_bad.message.id_number().unwrap();
        of_bad.say(answer.replace("ID", &id.to_string())).await;
        let lost = bad.lost().await;
        assert_eq!((lost.fate, lost.link_dead), (fate, false), "{answer}");
        assert!(lost.reason.contains(why), "{answer}: {}", lost.reason);
        of_good.answer("fine").await;
        assert_eq!(good.answer().await, r#""fine""#);
    }
    let told = world.ears.unusable.lock().len();
    assert_eq!(told, answers.len(), "each is told");
    world.end().await;
}

/// Servers of 2025-03-26 may send batches, and clients must be able to read them.
async fn the_messages_of_a_batch_are_used_one_by_one<T: Open>() {
    let mut world = World::open::<T>().await;
    let (mut waiting, received) = world.call(1, "batch").await;
    let id = received.message.id_number().unwrap();
    let progress = format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{id},"progress":1}}}}"#
    );
    let answer = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":"both"}}"#);
    received.say(format!("[{progress}, 7, {answer}]")).await;
    assert!(matches!(waiting.next().await, Incoming::Notification(_)));
    assert_eq!(waiting.answer().await, r#""both""#);
    assert_eq!(*world.ears.heard.lock(), ["7"], "what is no message");
    world.end().await;
}

async fn what_is_delivered_first_arrives_first<T: Open>() {
    let mut world = World::open::<T>().await;
    for _ in 0..10 {
        let first = build::notification("notifications/initialized", None);
        world.link.send_first(first).await;
        let message = Message::parse(build::request(1, "m", None)).unwrap();
        let waiting = world.link.call(&Outgoing::plain(&message), SessionNo(1)).unwrap();
        let waiting = Waiting::new(waiting);
        assert_eq!(world.next().await.message.kind(), Kind::Notification);
        assert_eq!(world.next().await.message.kind(), Kind::Request);
        drop(waiting);
    }
    world.end().await;
}

async fn an_idle_link_ends_with_nothing_left<T: Open>() {
    let world = World::open::<T>().await;
    let revision = Revision::LATEST_LEGACY;
    world.link.transport().settle(&world.link, revision);
    world.end().await;
}

macro_rules! conformance {
    ($promises:tt $($transport:ident: $open:ty)+) => {
        $(conformance!(@one $transport $open $promises);)+
    };
    (@one $transport:ident $open:ty { $($promise:ident)+ }) => {
        mod $transport {
            $(#[tokio::test]
            async fn $promise() {
                super::$promise::<$open>().await;
            })+
        }
    };
}

conformance! {
    {
        a_request_goes_out_under_our_id_and_is_answered_once
        many_calls_at_once_get_their_own_answers_in_any_order
        progress_belongs_to_the_call_whose_token_it_bears
        a_question_of_the_only_call_is_asked_there_and_answered_under_its_id
        a_cut_connection_loses_each_call_once_and_its_fate_is_unknown
        a_closed_link_takes_no_call_and_closes_once
        a_cancelled_call_is_taken_back_at_the_server_and_forgotten
        a_late_answer_reaches_nobody
        an_oversized_answer_ends_its_call_and_no_other
        an_id_of_ours_is_known_in_any_spelling
        an_answer_whose_meaning_is_clear_is_passed_on_as_a_valid_one
        an_answer_that_can_not_be_used_ends_its_call_and_no_other
        the_messages_of_a_batch_are_used_one_by_one
        what_is_delivered_first_arrives_first
        an_idle_link_ends_with_nothing_left
    }
    over_stdio: crate::transport::conformance::pipes::Pipes
    over_streamable_http: crate::transport::conformance::http::Http
    over_http_with_sse: crate::transport::conformance::sse::OldSse
}
