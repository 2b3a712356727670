use bytes::Bytes;
use proptest::prelude::*;

use super::{Meant, Unusable, Why, read};
use crate::{Malformed, Message};

fn of(text: impl Into<Bytes>) -> Result<Message, Unusable> {
    read(&text.into(), 16)
}

/// What comes of each text, as the text that is passed on.
#[track_caller]
fn check_read(cases: &[(&'static str, &str)]) {
    for (text, expected) in cases {
        let message = of(*text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(message.bytes(), expected, "{text}");
    }
}

#[test]
fn valid_messages_stay_as_they_are() {
    for text in [
        r#"{"id":2,"result":{"a":1.0},"jsonrpc":"2.0","more":[]}"#,
        r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"m","data":null}}"#,
        r#"{"jsonrpc":"2.0","id":"x","method":"ping"}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/message","params":{}}"#,
    ] {
        check_read(&[(text, text)]);
    }
}

#[test]
fn answers_whose_meaning_is_clear_are_written_anew() {
    let result = r#"{"jsonrpc":"2.0","id":2,"result":{"a":"é"}}"#;
    let error = r#"{"jsonrpc":"2.0","id":2,"error":{"code":1,"message":"m"}}"#;
    check_read(&[
        (r#"{"jsonrpc":"2.0","id":2,"result":{"a":"é"},"error":null}"#, result),
        (r#"{"error":null,"jsonrpc":"2.0","id":2,"result":{"a":"é"},"extra":1}"#, result),
        (r#" {"id": 2, "result": {"a":"é"}} "#, result),
        ("\u{feff}{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"a\":\"é\"}}", result),
        ("\u{feff}{\"id\":2,\"result\":{\"a\":\"é\"}}", result),
        (r#"{"result":{"a":"é"},"id":2,"jsonrpc":"1.0"}"#, result),
        (r#"{"result":{"a":"é"},"id":2,"jsonrpc":2.0}"#, result),
        (r#"{"id":2,"result":null,"error":{"code":1,"message":"m"}}"#, error),
        (r#"{"jsonrpc":"2.0","id":2,"result":null,"error":{"code":1,"message":"m"}}"#, error),
        (
            r#"{"jsonrpc":"2.0","id":"2","result":null,"error":null}"#,
            r#"{"jsonrpc":"2.0","id":"2","result":null}"#,
        ),
    ]);
}

#[test]
fn an_answer_that_can_not_be_used_says_why_and_whose_it_is() {
    for (text, id, why) in [
        (&br#"{"jsonrpc":"2.0","id":2,"result":{"x":NaN}}"#[..], Some(2), "not JSON: "),
        (br#"{"jsonrpc":"2.0","id":2,"result":{"x":-Infinity}}"#, Some(2), "not JSON: "),
        (br#"{"jsonrpc":"2.0","result":{"x":NaN},"id":"2"}"#, Some(2), "not JSON: "),
        (
            b"{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{\"x\":\"caf\xe9\"}}",
            Some(2),
            "UTF-8 at byte 42",
        ),
        (b"{\"jsonrpc\":\"2.0\",\"result\":{\"x\":\"caf\xe9\"},\"id\":2}", Some(2), "UTF-8"),
        (br#"{"jsonrpc":"2.0","id":2,"result":{}} took 3 ms"#, Some(2), "not JSON: trailing"),
        (br#"{"jsonrpc":"2.0","id":2,"result":{}}{"jsonrpc":"2.0""#, Some(2), "not JSON: trailing"),
        (br#"{"jsonrpc":"2.0","id":2,"result":{"x":"cut o"#, Some(2), "not JSON: EOF"),
        (br#"{"jsonrpc":"2.0","id":2,"result":{"x":'y'}}"#, Some(2), "not JSON: "),
        (br#"{"jsonrpc":"2.0","result":{"x":'y'},"id":2}"#, Some(2), "not JSON: "),
        (br#"{"jsonrpc":"2.0","id":2,"result":{},}"#, Some(2), "not JSON: "),
        (
            br#"{"jsonrpc":"2.0","id":2,"result":{},"error":{"code":1,"message":"m"}}"#,
            Some(2),
            "only one",
        ),
        (br#"{"jsonrpc":"2.0","id":2,"method":"m","result":{}}"#, Some(2), "only one"),
        (br#"{"jsonrpc":"2.0","id":2,"result":{},"result":{}}"#, Some(2), "duplicate"),
        (br#"{"jsonrpc":"2.0","id":2}"#, Some(2), "is missing"),
        (br#"{"jsonrpc":"2.0","id":2,"error":null}"#, Some(2), "not null"),
        (br#"{"jsonrpc":"2.0","id":2,"error":"it broke"}"#, Some(2), r#"not "it broke""#),
        (br#"{"jsonrpc":"2.0","id":2,"error":[1,"m"]}"#, Some(2), "not [1"),
        (br#"{"jsonrpc":"2.0","id":2,"error":{"code":1}}"#, Some(2), "a string `message`"),
        (
            br#"{"jsonrpc":"2.0","id":2,"error":{"code":"E1","message":"m"}}"#,
            Some(2),
            "an integer `code`",
        ),
        (br#"{"id":2,"result":{"x":NaN}}"#, Some(2), "not JSON: "),
        (br#"{"jsonrpc":"2.0","id":2.0,"result":{"x":NaN}}"#, Some(2), "not JSON: "),
        (br#"{"jsonrpc":"2.0","id":2,"id":3,"result":{}}"#, None, "duplicate"),
        (br#"{"jsonrpc":"2.0","id":"a","error":{"code":1,"message":NaN}}"#, None, "not JSON: "),
        (br#"{"jsonrpc":"2.0","id":null,"error":"it broke"}"#, None, "not \"it broke\""),
        (br#"{"jsonrpc":"2.0","result":{"x":NaN}}"#, None, "not JSON: "),
        (br#"{"jsonrpc":"2.0","result":{"x":1}}"#, None, "must have an `id`"),
    ] {
        let shown = String::from_utf8_lossy(text);
        let error = of(Bytes::copy_from_slice(text)).expect_err(&shown);
        assert_eq!(error.meant, Meant::Answer(id), "{shown}");
        assert!(error.to_string().contains(why), "{shown}: {error}");
    }
}

#[test]
fn a_result_with_an_id_that_is_not_ours_answers_none_of_our_requests() {
    for text in [
        r#"{"jsonrpc":"2.0","id":"a","result":{"x":NaN}}"#,
        r#"{"jsonrpc":"2.0","id":null,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":[2],"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":-2,"result":{"content":["#,
    ] {
        let error = of(text).expect_err(text);
        assert_eq!(error.meant, Meant::ForeignResult, "{text}");
        assert_eq!(error.meant.answered_id(), None);
    }
}

#[test]
fn what_is_no_answer_ends_no_call() {
    for text in [
        "Starting server",
        "",
        "{",
        "{}",
        "null",
        "[]",
        r#""text""#,
        r#"INFO answered {"jsonrpc":"2.0","id":2,"result":{}}"#,
        // Lines of a log in JSON.
        r#"{"level":"info","msg":"done","id":2,"result":{"ok":true}}"#,
        r#"{"id":2,"result":"done","time":"12:00"}"#,
        r#"{"id":2,"error":null,"level":"info"}"#,
        r#"{"id":2}"#,
        r#"{"jsonrpc":"2.0"}"#,
        // Messages of other kinds.
        r#"{"jsonrpc":"2.0","id":2,"method":"m","params":{"x":NaN}}"#,
        r#"{"jsonrpc":"2.0","id":2,"params":{"x":NaN},"method":"m"}"#,
        r#"{"jsonrpc":"2.0","id":2,"method":"m","#,
        r#"{"id":2,"method":"m"}"#,
        r#"[{"jsonrpc":"2.0","id":2,"result":{}}]"#,
    ] {
        let error = of(text).expect_err(text);
        assert_eq!(error.meant, Meant::NoAnswer, "{text}");
    }
    assert!(matches!(of("[{}]").unwrap_err().why, Why::Malformed(Malformed::Batch)));
    let marked = Bytes::from("\u{feff}[{}]");
    assert_eq!(read(&marked, 16).unwrap_err().parts(&marked), ["{}"]);
}

#[test]
fn an_answer_too_deep_is_told_without_parsing_it() {
    for (levels, fits) in [(14, true), (15, false), (100_000, false)] {
        let nested = "[".repeat(levels) + &"]".repeat(levels);
        for text in [
            format!(r#"{{"jsonrpc":"2.0","id":2,"result":{{"x":{nested}}}}}"#),
            format!(r#"{{"jsonrpc":"2.0","result":{{"x":{nested}}},"id":2}}"#),
        ] {
            match of(text) {
                Ok(_) => assert!(fits, "{levels}"),
                Err(error) => {
                    assert!(!fits, "{levels}");
                    assert_eq!(error.why, Why::TooDeep(16));
                    assert_eq!(error.meant, Meant::Answer(Some(2)));
                }
            }
        }
    }
}

#[test]
fn a_long_error_is_cut() {
    let text = format!(r#"{{"jsonrpc":"2.0","id":2,"error":"{}"}}"#, "é".repeat(10_000));
    let error = of(text).unwrap_err().to_string();
    assert!(error.len() < 600 && error.ends_with('…'), "{error}");
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(bytes in prop::collection::vec(
        prop::sample::select(br#"{}[]":,\idresult0179 x"#.to_vec()), 0..80))
    {
        let _ = of(bytes);
    }

    /// Wherever an answer is cut or one byte of it is wrong, no other call gets it.
    #[test]
    fn a_broken_answer_is_nobody_elses(
        id in 1..u64::MAX, last: bool, at in 0_usize..200, byte: u8, cut: bool,
    ) {
        let result = r#"{"content":[{"type":"text","text":"id \"id\":7,"}]}"#;
        let text = match last {
            true => format!(r#"{{"result":{result},"jsonrpc":"2.0","id":{id}}}"#),
            false => format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#),
        };
        let mut bytes = text.into_bytes();
        let at = at % bytes.len();
        let digits = id.to_string();
        match cut {
            true => bytes.truncate(at),
            false => bytes[at] = byte,
        }
        // A changed id is another id.
        let digits_stay = bytes.windows(digits.len()).any(|part| part == digits.as_bytes());
        if let (Err(error), true) = (of(bytes), digits_stay)
            && let Some(told) = error.meant.answered_id()
        {
            prop_assert_eq!(told, id);
        }
    }
}
