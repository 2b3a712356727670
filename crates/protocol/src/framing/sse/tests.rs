use std::time::Duration;

use proptest::prelude::*;

use super::{COMMENT, Event, EventTooLarge, SseDecoder, encode_event, encode_priming};
use crate::framing::Ends;

const MAX_BYTES: usize = 64;

type Decoded = Vec<Result<Event, EventTooLarge>>;

fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Decoded {
    let mut decoder = SseDecoder::new(MAX_BYTES);
    let mut out = Vec::new();
    for (at, piece) in pieces.into_iter().enumerate() {
        if at % 2 == 0 {
            decoder.push(piece);
        } else {
            decoder.buffer_mut().extend_from_slice(piece);
        }
        out.extend(std::iter::from_fn(|| decoder.next_event()));
        assert!(decoder.buffer.len() <= MAX_BYTES, "holds no more than an event");
    }
    out
}

fn message(data: &str) -> Event {
    Event { data: data.to_owned().into(), ..Event::default() }
}

fn named(name: &str, data: &str) -> Event {
    Event { event: Some(name.to_owned()), ..message(data) }
}

fn with_id(id: &str, data: &str) -> Event {
    Event { id: Some(id.to_owned()), ..message(data) }
}

fn check(stream: &str, events: &[Event]) {
    let expected: Decoded = events.iter().cloned().map(Ok).collect();
    for stream in [stream.to_owned(), stream.replace('\n', "\r\n"), stream.replace('\n', "\r")] {
        assert_eq!(decode([stream.as_bytes()]), expected, "whole: {stream:?}");
        assert_eq!(decode(stream.as_bytes().chunks(1)), expected, "byte by byte: {stream:?}");
    }
}

#[test]
fn events_end_at_a_blank_line() {
    check("data: {}\n\ndata: []\n\n", &[message("{}"), message("[]")]);
    check("\n\n\ndata: {}\n\n\n\n", &[message("{}")]);
    check("data: {}\n\ndata: cut off\n", &[message("{}")]);
    check("data: {}\n\ndata: cut off", &[message("{}")]);
    check("", &[]);
}

#[test]
fn an_event_without_a_name_is_a_message() {
    check("event: message\ndata: 1\n\n", &[message("1")]);
    check("event:\ndata: 1\n\n", &[message("1")]);
    check("event: endpoint\ndata: /m?s=1\n\n", &[named("endpoint", "/m?s=1")]);
    check("event: endpoint\ndata: 1\n\ndata: 2\n\n", &[named("endpoint", "1"), message("2")]);
}

#[test]
fn data_lines_are_joined_and_one_space_is_not_part_of_them() {
    check("data: {\ndata:   \"a\": 1\ndata: }\n\n", &[message("{\n  \"a\": 1\n}")]);
    check("data:1\n\n", &[message("1")]);
    check("data\ndata\n\n", &[message("\n")]);
    check("data:\ndata: x\n\n", &[message("\nx")]);
}

#[test]
fn comments_and_unknown_fields_say_nothing() {
    check(": hello\n\n:\n\n", &[]);
    check(":a\ndata: 1\n:b\nfoo: bar\nfoo\ndata : 2\n\n", &[message("1")]);
    check("foo: bar\n\n", &[]);
    assert_eq!(decode([COMMENT]), []);
}

#[test]
fn events_without_data_still_carry_their_id() {
    check("id: 1/1\n\n", &[with_id("1/1", "")]);
    check("id: a\ndata:\n\n", &[with_id("a", "")]);
    check("id\ndata: 1\n\n", &[with_id("", "1")]);
    check("id: x\0y\ndata: 1\n\n", &[message("1")]);
    check("id: 1\ndata: a\n\ndata: b\n\n", &[with_id("1", "a"), message("b")]);
}

#[test]
fn the_delay_is_digits_only() {
    let retry = Event { retry: Some(Duration::from_millis(1500)), ..Event::default() };
    check("retry: 1500\n\n", &[retry]);
    for wrong in ["-1", "+1", "1.5", "1s", "", "99999999999999999999999"] {
        check(&format!("retry: {wrong}\n\n"), &[]);
    }
}

#[test]
fn a_byte_order_mark_counts_only_at_the_start() {
    check("\u{feff}data: 1\n\n\u{feff}data: 2\n\n", &[message("1")]);
}

#[test]
fn text_is_not_broken_where_reads_are() {
    check("id: ü\ndata: 世界 🦀\n\n", &[with_id("ü", "世界 🦀")]);
}

#[test]
fn an_event_that_is_too_large_is_reported_once_and_the_next_one_is_whole() {
    let x70 = "x".repeat(70);
    let one_line = format!("event: message\nid: 1\ndata: {x70}\nretry: 1");
    let many_lines = vec!["data: 0123456789"; 20].join("\n");
    let without_space = format!("data:{x70}\ndata\n:{x70}\ndata:  1");
    let in_a_comment = format!(":{x70}");
    for (event, data) in [
        (one_line, x70.clone()),
        (many_lines, vec!["0123456789"; 20].join("\n")),
        (without_space, format!("{x70}\n 1")),
        (in_a_comment, String::new()),
    ] {
        let stream = format!("{event}\n\ndata: 1\n\n");
        let mut ends = Ends::default();
        ends.push(data.as_bytes());
        let too_large = || Err(EventTooLarge { max_event_bytes: MAX_BYTES, ends: ends.clone() });
        for stream in [stream.clone(), stream.replace('\n', "\r\n"), stream.replace('\n', "\r")] {
            let expected = [too_large(), Ok(message("1"))];
            assert_eq!(decode([stream.as_bytes()]), expected, "{stream:?}");
            assert_eq!(decode(stream.as_bytes().chunks(1)), expected, "{stream:?}");
        }
    }
}

#[test]
fn an_event_may_be_exactly_as_large_as_allowed() {
    let data = "x".repeat(MAX_BYTES - "data: ".len());
    check(&format!("data: {data}\n\ndata: 1\n\n"), &[message(&data), message("1")]);
}

#[test]
fn a_stream_of_comments_or_without_line_ends_is_not_held() {
    let mut decoder = SseDecoder::new(1 << 16);
    for _ in 0..1024 {
        decoder.push(&b": still here\n".repeat(100));
        assert_eq!(decoder.next_event(), None);
        assert!(decoder.buffer.capacity() <= 1 << 17);
    }
    for _ in 0..1024 {
        decoder.push(&[b'x'; 8192]);
        assert_eq!(decoder.next_event(), None);
        assert!(decoder.buffer.capacity() <= 1 << 19);
    }
    assert!(decoder.is_overflowing());
    decoder.push(b"\n\n");
    assert!(decoder.next_event().unwrap().is_err());
}

#[test]
fn events_are_written_as_the_standard_has_them() {
    let write = |event, id, data: &str| {
        let mut out = Vec::new();
        encode_event(event, id, data.as_bytes(), &mut out);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(write(None, None, "{}"), "data: {}\n\n");
    assert_eq!(
        write(Some("message"), Some("1.2"), "{\r\n}\r1\n"),
        "event: message\nid: 1.2\ndata: {\ndata: }\ndata: 1\ndata: \n\n"
    );
    assert_eq!(write(Some("a\nb\0"), Some("c\r\nd\0"), ""), "event: ab\0\nid: cd\ndata: \n\n");

    let mut priming = Vec::new();
    encode_priming("s.0", Some(Duration::from_secs(2)), &mut priming);
    assert_eq!(priming, b"retry: 2000\nid: s.0\ndata: \n\n");
}

fn piece() -> impl Strategy<Value = Vec<u8>> {
    let fixed = [
        "\n", "\n\n", "\r", "\r\n", ":", ": c", "data", "data:", "data: ", "event: ", "id: ",
        "retry: 9", "\u{feff}", "é",
    ];
    prop_oneof![
        4 => prop::sample::select(fixed.to_vec()).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..40),
    ]
}

proptest! {
    #[test]
    fn how_a_stream_is_cut_makes_no_difference(
        pieces in prop::collection::vec(piece(), 0..60),
        size in 1_usize..50,
    ) {
        let stream = pieces.concat();
        let whole = decode([stream.as_slice()]);
        prop_assert_eq!(&decode(pieces.iter().map(Vec::as_slice)), &whole);
        prop_assert_eq!(&decode(stream.chunks(size)), &whole);
    }

    #[test]
    fn what_is_encoded_is_decoded(
        texts in prop::collection::vec((".{0,40}", prop::option::of("[!-~]{0,9}")), 0..10),
    ) {
        let mut stream = Vec::new();
        let mut events = Vec::new();
        for (text, id) in texts {
            let data = serde_json::json!({ "text": text }).to_string();
            encode_event(None, id.as_deref(), data.as_bytes(), &mut stream);
            events.push(Event { id, ..message(&data) });
        }
        let mut decoder = SseDecoder::new(1024);
        decoder.push(&stream);
        for event in events {
            prop_assert_eq!(decoder.next_event(), Some(Ok(event)));
        }
        prop_assert_eq!(decoder.next_event(), None);
    }

    #[test]
    fn pretty_printed_messages_keep_their_meaning(text in ".{0,40}", number in any::<i64>()) {
        let value = serde_json::json!({ "text": text, "list": [number, { "deep": null }] });
        let mut stream = Vec::new();
        let pretty = serde_json::to_string_pretty(&value).unwrap();
        encode_event(Some("message"), None, pretty.as_bytes(), &mut stream);
        let mut decoder = SseDecoder::new(4096);
        decoder.push(&stream);
        let event = decoder.next_event().unwrap().unwrap();
        prop_assert_eq!(serde_json::from_slice::<serde_json::Value>(&event.data).unwrap(), value);
    }
}
