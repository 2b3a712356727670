use proptest::prelude::*;

use super::{answered_id, asked_id};
use crate::framing::Ends;
use crate::id::Id;

/// The answer to `text` with everything gone but so many bytes at either end.
fn cut(text: &str, kept: usize) -> Option<u64> {
    let bytes = text.as_bytes();
    let head = &bytes[..kept.min(bytes.len())];
    let tail = &bytes[bytes.len().saturating_sub(kept).max(head.len())..];
    answered_id(head, tail)
}

#[test]
fn an_id_is_found_before_the_result_and_after_it() {
    let big = "x".repeat(1000);
    let object = format!(r#"{{"content":[{{"text":"{big}"}}],"id":9,"method":"m"}}"#);
    for (text, expected) in [
        (format!(r#"{{"jsonrpc":"2.0","id":7,"result":{object}}}"#), Some(7)),
        (format!(r#"{{"id":7,"jsonrpc":"2.0","result":{object}}}"#), Some(7)),
        (format!(r#"{{"result":{object},"jsonrpc":"2.0","id":7}}"#), Some(7)),
        (format!(r#"{{"result":{object},"id":7,"jsonrpc":"2.0"}}"#), Some(7)),
        (format!(r#"{{ "jsonrpc" : "2.0" , "result" : {object} , "id" : 7 }} "#), Some(7)),
        (format!(r#"{{"result":"{big}\"","id":7}}"#), Some(7)),
        (format!(r#"{{"result":"{big}\\","id":7}}"#), Some(7)),
        (format!(r#"{{"error":{{"code":1,"message":"{big}"}},"id":7}}"#), Some(7)),
        (format!(r#"{{"id":"7","result":"{big}"}}"#), Some(7)),
        (format!(r#"{{"result":"{big}","id":7.0}}"#), Some(7)),
        (format!(r#"{{"id":7,"_meta":{{"a":["}}",{{}}]}},"result":{object}}}"#), Some(7)),
        (format!(r#"{{"result":{object},"x":null,"y":"\",{{","z":-1.5e3,"id":7}}"#), Some(7)),
    ] {
        assert_eq!(cut(&text, 100), expected, "{text}");
        assert_eq!(cut(&text, 512), expected, "{text}");
    }
}

#[test]
fn what_can_not_be_told_for_sure_is_not_told() {
    let big = "x".repeat(1000);
    for text in [
        // A request of the server has an id of its own.
        format!(r#"{{"jsonrpc":"2.0","id":7,"method":"m","params":"{big}"}}"#),
        format!(r#"{{"id":7,"jsonrpc":"2.0","params":"{big}","method":"m"}}"#),
        format!(r#"{{"params":"{big}","method":"m","id":7}}"#),
        // Whose result is it?
        format!(r#"{{"id":7,"result":"{big}","id":8}}"#),
        format!(r#"{{"id":7,"id":7,"result":"{big}"}}"#),
        format!(r#"{{"result":"{big}","_meta":{{"id":7}}}}"#),
        format!(r#"{{"result":{{"text":"{big}","id":7}}}}"#),
        format!(r#"{{"result":["{big}",{{"id":7}}]}}"#),
        // No id of ours.
        format!(r#"{{"id":"seven","result":"{big}"}}"#),
        format!(r#"{{"id":-7,"result":"{big}"}}"#),
        format!(r#"{{"id":null,"result":"{big}"}}"#),
        // No message.
        format!("id:7 {big}"),
        format!(r#"["{big}",{{"id":7}}]"#),
        format!(r#"{{"result":"{big}"#),
        format!(r#"{{"result":"{big}","id":7"#),
        String::new(),
    ] {
        assert_eq!(cut(&text, 100), None, "{text}");
    }
}

#[test]
fn a_number_that_is_cut_is_no_number() {
    assert_eq!(answered_id(br#"{"result":1,"id":12"#, b""), None);
    assert_eq!(answered_id(br#"{"result":"x"#, br#"34}"#), None);
    assert_eq!(answered_id(br#"{"result":"x"#, br#":34}"#), None);
    assert_eq!(answered_id(br#"{"result":"x"#, br#"d":34}"#), None);
    assert_eq!(answered_id(br#"{"result":"x"#, br#"","id":34}"#), Some(34));
}

#[test]
fn a_whole_message_will_do() {
    assert_eq!(answered_id(br#"{"jsonrpc":"2.0","id":3,"result":{}}"#, b""), Some(3));
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(
        head in prop::collection::vec(prop::sample::select(br#"{}[]":,\idresult0179 x"#.to_vec()), 0..60),
        tail in prop::collection::vec(prop::sample::select(br#"{}[]":,\idresult0179 x"#.to_vec()), 0..60),
    ) {
        let _ = answered_id(&head, &tail);
    }

    #[test]
    fn whatever_the_text_the_id_is_found(text in ".{0,80}", id in 1..u64::MAX, last: bool) {
        let result = serde_json::json!({ "content": [{ "text": text }], "big": "x".repeat(600) });
        let message = if last {
            format!(r#"{{"result":{result},"jsonrpc":"2.0","id":{id}}}"#)
        } else {
            format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#)
        };
        prop_assert_eq!(cut(&message, 200), Some(id));
    }
}

#[test]
fn the_id_of_a_request_is_found_at_either_end() {
    let long = "a".repeat(2000);
    for (head, tail, expected) in [
        (r#"{"jsonrpc":"2.0","id":7,"method":"m","params":{"x":""#, r#""}}"#, Some("7")),
        (r#"{"method":"m","params":{"x":""#, r#""},"jsonrpc":"2.0","id":"a"}"#, Some("\"a\"")),
        (r#"{"method":"m","id":7,"params":{"x":""#, r#""},"id":8}"#, None),
        (r#"{"method":"notifications/m","params":{"x":""#, r#"","id":8}}"#, None),
        (r#"{"method":"m","id":null,"params":{"x":""#, r#""}}"#, None),
        (r#"{"result":{"x":""#, r#""},"id":8}"#, None),
        ("aaaa", r#""},"id":8}"#, None),
    ] {
        let message = format!("{head}{long}{tail}");
        let id = asked_id(&Ends::of(message.as_bytes()));
        assert_eq!(id.as_ref().map(Id::as_bytes), expected.map(str::as_bytes), "{head}");
    }
    let whole = Ends::of(br#"{"method":"m","params":[[[]]],"id":7}"#);
    assert_eq!(asked_id(&whole).unwrap().as_bytes(), b"7");
}
