//! Messages: what is read agrees with a full parser, what is written back is what came.

use std::fmt;

use bytes::Bytes;
use mainstay_protocol::depth::within_depth;
use mainstay_protocol::{Kind, Message, Method, Notification, tolerant};
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

pub fn check(data: &[u8]) {
    let value: Option<Value> = serde_json::from_slice(data).ok();
    match serde_json::from_slice(data) {
        Ok(Depth(depth)) => check_depth(data, depth),
        Err(_) => _ = within_depth(data, 8),
    }
    check_tolerant(data);
    let Ok(message) = Message::parse(Bytes::copy_from_slice(data)) else { return };
    assert_eq!(message.bytes(), data, "a message is the bytes it came in");
    check_body(&message);
    check_id(&message);
    if let Some(value) = value {
        check_against(&message, &value);
    }
}

fn check_depth(data: &[u8], depth: usize) {
    assert!(within_depth(data, depth), "no deeper than it is");
    assert!(depth == 0 || !within_depth(data, depth - 1), "as deep as it is");
}

/// What is read tolerantly is a valid message, and the same one where it was valid already.
fn check_tolerant(data: &[u8]) {
    let bytes = Bytes::copy_from_slice(data);
    let strict = Message::parse(bytes.clone());
    match tolerant::read(&bytes, 64) {
        Ok(message) => {
            Message::parse(message.bytes().clone()).expect("valid");
            if strict.is_ok() {
                assert_eq!(message.bytes(), data, "a valid message stays as it is");
            } else {
                assert!(message.is_answer() && message.body().is_some());
            }
        }
        Err(unusable) => {
            if let (Some(id), Ok(message)) = (unusable.meant.answered_id(), strict) {
                assert_eq!(message.id_number(), Some(id), "the id is the message's own");
            }
        }
    }
}

fn check_body(message: &Message) {
    if let (Some(body), Some(span)) = (message.body(), message.body_span()) {
        assert_eq!(body.as_bytes(), &message.bytes()[span]);
    }
    if let Ok(params) = message.params() {
        for field in [params.name, params.uri, params.arguments, params.meta.progress_token] {
            let Some(field) = field else { continue };
            assert_eq!(field.raw.as_bytes(), &message.bytes()[field.span.clone()]);
            field.text();
        }
    }
    Method::parse(message.method());
    Notification::parse(message.method());
}

/// Another id and back again is the same message.
fn check_id(message: &Message) {
    let Some(id) = message.id() else { return };
    let ours = Message::parse(message.with_id(b"18446744073709551615")).expect("still a message");
    assert_eq!(ours.id_number(), Some(u64::MAX));
    assert_eq!(ours.method(), message.method());
    assert_eq!(ours.body(), message.body());
    assert_eq!(ours.with_id(id.as_bytes()), message.bytes());
}

fn check_against(message: &Message, value: &Value) {
    assert_eq!(value["jsonrpc"], "2.0");
    if let Some(method) = value["method"].as_str() {
        assert_eq!(method, message.method());
    }
    if let Some(body) = message.body() {
        let name = match message.kind() {
            Kind::Request | Kind::Notification => "params",
            Kind::Result => "result",
            Kind::Error => "error",
        };
        let body: Value = serde_json::from_str(body).expect("a part of JSON is JSON");
        assert_eq!(Some(&body), value.get(name));
    }
}

/// How deep a text nests, with members whose name comes again: a [`Value`] has only the last of them.
struct Depth(usize);

impl<'de> Deserialize<'de> for Depth {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Depths)
    }
}

struct Depths;

impl<'de> Visitor<'de> for Depths {
    type Value = Depth;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_unit<E>(self) -> Result<Depth, E> {
        Ok(Depth(0))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Depth, E> {
        Ok(Depth(0))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Depth, E> {
        Ok(Depth(0))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Depth, E> {
        Ok(Depth(0))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Depth, E> {
        Ok(Depth(0))
    }

    fn visit_str<E>(self, _: &str) -> Result<Depth, E> {
        Ok(Depth(0))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Depth, A::Error> {
        let mut deepest = 0;
        while let Some(Depth(depth)) = items.next_element()? {
            deepest = deepest.max(depth);
        }
        Ok(Depth(deepest + 1))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Depth, A::Error> {
        let mut deepest = 0;
        while let Some((IgnoredAny, Depth(depth))) = members.next_entry()? {
            deepest = deepest.max(depth);
        }
        Ok(Depth(deepest + 1))
    }
}
