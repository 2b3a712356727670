use proptest::prelude::*;

use super::{LineDecoder, LineTooLong, encode_line};
use crate::framing::Ends;

const MAX_BYTES: usize = 16;

type Decoded = Vec<Result<Vec<u8>, LineTooLong>>;

/// Feeds the pieces one after another and collects what comes out, to the end of the stream.
fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Decoded {
    let mut decoder = LineDecoder::new(MAX_BYTES);
    let mut out = Vec::new();
    for (at, piece) in pieces.into_iter().enumerate() {
        if at % 2 == 0 {
            decoder.push(piece);
        } else {
            decoder.buffer_mut().extend_from_slice(piece);
        }
        while let Some(line) = decoder.next_line() {
            out.push(line.map(|line| line.to_vec()));
        }
        assert!(decoder.buffer.len() <= MAX_BYTES + 1, "holds no more than a line");
    }
    while let Some(line) = decoder.finish() {
        out.push(line.map(|line| line.to_vec()));
    }
    out
}

fn check(stream: &[u8], lines: &[&str]) {
    let expected: Decoded = lines
        .iter()
        .map(|line| match *line {
            line if line.len() > MAX_BYTES => {
                let mut ends = Ends::default();
                ends.push(line.as_bytes());
                Err(LineTooLong { max_bytes: MAX_BYTES, ends })
            }
            line => Ok(line.as_bytes().to_vec()),
        })
        .collect();
    let text = String::from_utf8_lossy(stream);
    assert_eq!(decode([stream]), expected, "whole: {text:?}");
    assert_eq!(decode(stream.chunks(1)), expected, "byte by byte: {text:?}");
}

#[test]
fn a_line_ends_in_lf_or_crlf_or_with_the_stream() {
    check(b"{}\n[]\n", &["{}", "[]"]);
    check(b"{}\r\n[]\r\n", &["{}", "[]"]);
    check(b"{}\n[]", &["{}", "[]"]);
    check(b"{}\n[]\r", &["{}", "[]"]);
    check(b"a\rb\n", &["a\rb"]);
    check(b"", &[]);
}

#[test]
fn blank_lines_are_skipped() {
    check(b"\n\r\n  \n\t\n{}\n\n\n", &["{}"]);
    check(b"{}\n  ", &["{}"]);
}

#[test]
fn a_byte_order_mark_counts_only_at_the_start() {
    check(b"\xEF\xBB\xBF{}\n", &["{}"]);
    check(b"\xEF\xBB\xBF", &[]);
    check(b"\xEF\xBB\xBF\n{}", &["{}"]);
    check("{}\n\u{feff}{}\n".as_bytes(), &["{}", "\u{feff}{}"]);
    check("\u{feff}0123456789abcdef\n".as_bytes(), &["0123456789abcdef"]);
}

#[test]
fn a_line_that_is_too_long_is_reported_once_and_the_next_one_is_whole() {
    let thrice = "0123456789abcdef".repeat(3);
    check(b"0123456789abcdef\r\n", &["0123456789abcdef"]);
    check(b"0123456789abcdefg\n{}\n", &["0123456789abcdefg", "{}"]);
    check(b"0123456789abcdefg\r\n{}\n", &["0123456789abcdefg\r", "{}"]);
    check(b"0123456789abcdef\rg\n{}\n", &["0123456789abcdef\rg", "{}"]);
    check(format!("{thrice}\n{{}}").as_bytes(), &[&thrice, "{}"]);
    check(format!("{{}}\n{thrice}").as_bytes(), &["{}", &thrice]);
    check(format!("{thrice}\n{thrice}\n").as_bytes(), &[&thrice, &thrice]);
    check(b"0123456789abcdef\r", &["0123456789abcdef"]);
}

#[test]
fn a_line_without_end_is_not_held() {
    let mut decoder = LineDecoder::new(1 << 16);
    for at in 0..1024 {
        let byte = if at == 0 { b'a' } else { b'x' };
        decoder.buffer_mut().extend_from_slice(&[byte; 8192]);
        assert_eq!(decoder.next_line(), None);
        assert!(decoder.buffer.capacity() <= 1 << 19, "{}", decoder.buffer.capacity());
    }
    decoder.push(b"z\n{}\n");
    let too_long = decoder.next_line().unwrap().unwrap_err();
    assert_eq!(too_long.ends.head(), [b'a'; 512]);
    assert_eq!(too_long.ends.tail()[510..], *b"xz");
    assert_eq!(decoder.next_line().unwrap().unwrap(), "{}");
}

#[test]
fn a_message_goes_out_on_one_line() {
    let mut out = Vec::new();
    encode_line(b"{\r\n  \"a\": \"b\\n\"\n}", &mut out);
    assert_eq!(out, b"{    \"a\": \"b\\n\" }\n");
}

fn piece() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(b"\n".to_vec()),
        Just(b"\r".to_vec()),
        Just(b"\r\n".to_vec()),
        Just(b"\xEF\xBB\xBF".to_vec()),
        Just(b" ".to_vec()),
        Just("é".as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..24),
    ]
}

proptest! {
    #[test]
    fn how_a_stream_is_cut_makes_no_difference(
        pieces in prop::collection::vec(piece(), 0..40),
        size in 1_usize..50,
    ) {
        let stream = pieces.concat();
        let whole = decode([stream.as_slice()]);
        prop_assert_eq!(&decode(pieces.iter().map(Vec::as_slice)), &whole);
        prop_assert_eq!(&decode(stream.chunks(size)), &whole);
    }

    #[test]
    fn what_is_encoded_is_decoded(texts in prop::collection::vec(".{0,40}", 0..10)) {
        let messages: Vec<String> =
            texts.iter().map(|text| serde_json::json!({ "text": text }).to_string()).collect();
        let mut stream = Vec::new();
        for message in &messages {
            encode_line(message.as_bytes(), &mut stream);
        }
        let mut decoder = LineDecoder::new(stream.len());
        decoder.push(&stream);
        for message in &messages {
            prop_assert_eq!(&decoder.next_line().unwrap().unwrap()[..], message.as_bytes());
        }
        prop_assert!(decoder.next_line().is_none());
    }

    #[test]
    fn pretty_printed_messages_keep_their_meaning(text in ".{0,40}", number in any::<i64>()) {
        let value = serde_json::json!({ "text": text, "list": [number, { "deep": null }] });
        let mut line = Vec::new();
        encode_line(serde_json::to_string_pretty(&value).unwrap().as_bytes(), &mut line);
        prop_assert_eq!(memchr::memchr(b'\n', &line), Some(line.len() - 1));
        prop_assert_eq!(serde_json::from_slice::<serde_json::Value>(&line).unwrap(), value);
    }
}
