use bytes::Bytes;
use proptest::prelude::*;

use super::{Kind, Malformed, Message};
fn parse(text: &str) -> Result<Message, Malformed> {
    Message::parse(Bytes::copy_from_slice(text.as_bytes()))
}

#[test]
fn the_four_kinds_are_told_apart() {
    for (text, kind) in [
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#, Kind::Request),
        (r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#, Kind::Notification),
        (r#"{"jsonrpc":"2.0","id":"a","result":{}}"#, Kind::Result),
        (r#"{"jsonrpc":"2.0","id":1,"result":null}"#, Kind::Result),
        (r#"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":""}}"#, Kind::Error),
        (r#"{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":""}}"#, Kind::Error),
        (r#" { "error" : {} , "jsonrpc" : "2.0" } "#, Kind::Error),
    ] {
        assert_eq!(parse(text).unwrap().kind(), kind, "{text}");
    }
}

#[test]
fn what_is_wrong_is_said_with_the_right_code() {
    for (text, code, part) in [
        ("", -32700, "EOF"),
        ("{", -32700, "EOF"),
        ("<html>", -32700, "expected value"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping"} x"#, -32700, "trailing"),
        ("[]", -32600, "batch"),
        ("7", -32600, "object"),
        (r#"{"id":1,"method":"ping"}"#, -32600, "jsonrpc"),
        (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, -32600, "jsonrpc"),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, -32600, "null"),
        (r#"{"jsonrpc":"2.0","id":[1],"method":"ping"}"#, -32600, "string or a number"),
        (r#"{"jsonrpc":"2.0","id":true,"method":"ping"}"#, -32600, "string or a number"),
        (r#"{"jsonrpc":"2.0","id":1,"method":7}"#, -32600, "method"),
        (r#"{"jsonrpc":"2.0","id":1}"#, -32600, "missing"),
        (r#"{"jsonrpc":"2.0","id":1,"method":"a","result":1}"#, -32600, "only one"),
        (r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"a"}"#, -32600, "duplicate"),
    ] {
        let error = parse(text).unwrap_err();
        assert_eq!(error.code(), code, "{text}: {error}");
        assert!(error.to_string().contains(part), "{text}: {error}");
    }
}

#[test]
fn a_batch_is_taken_apart_and_its_messages_stay_as_they_are() {
    let batch = |text: &'static str| super::batch(&Bytes::from_static(text.as_bytes()));
    let messages = batch(r#" [ {"id": 1.0 } ,[], 7,"x" ] "#).unwrap();
    assert_eq!(messages, [r#"{"id": 1.0 }"#, "[]", "7", "\"x\""]);
    for (text, code) in [("[]", -32600), ("[1,]", -32700), ("[1] 2", -32700), ("{}", -32700)] {
        assert_eq!(batch(text).unwrap_err().code(), code, "{text}");
    }
}

#[test]
fn the_id_of_a_malformed_message_is_recovered_where_it_can_be() {
    let error = parse(r#"{"jsonrpc":"1.0","id":"x7","method":"ping"}"#).unwrap_err();
    assert_eq!(error.id().unwrap().as_bytes(), b"\"x7\"");
}

#[test]
fn members_are_found_with_escapes_and_unknown_neighbours() {
    let message = parse(
        r#"{"x":{"id":9},"params":{"a":[1,2]},"method":"tools\/call","id":1.0,"jsonrpc":"2.0"}"#,
    )
    .unwrap();
    assert_eq!(message.method(), "tools/call");
    assert_eq!(message.id().unwrap().as_bytes(), b"1.0");
    assert_eq!(message.body(), Some(r#"{"a":[1,2]}"#));
}

#[test]
fn nesting_does_not_recurse() {
    let deep = "[".repeat(1_000_000) + &"]".repeat(1_000_000);
    let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"a","params":{deep}}}"#);
    assert_eq!(parse(&text).unwrap().body().unwrap().len(), 2_000_000);
}

#[test]
fn another_id_leaves_every_other_byte() {
    let text = r#"{ "jsonrpc":"2.0", "zzz":1e400, "id" : "mine", "result":{"b":12345678901234567890123,"a":1.0} }"#;
    let message = parse(text).unwrap();
    let spliced = message.with_id(b"42");
    assert_eq!(spliced, text.replace("\"mine\"", "42"));
}

fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|b| b.to_string()),
        "-?[1-9][0-9]{0,40}",
        any::<String>().prop_map(|s| serde_json::to_string(&s).unwrap()),
    ];
    leaf.prop_recursive(6, 40, 6, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6)
                .prop_map(|items| format!("[{}]", items.join(", "))),
            proptest::collection::btree_map("[a-z\"\\\\]{0,8}", inner, 0..6).prop_map(|members| {
                let members: Vec<_> = members
                    .into_iter()
                    .map(|(k, v)| format!("{} : {v}", serde_json::to_string(&k).unwrap()))
                    .collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = Message::parse(bytes.into());
    }

    #[test]
    fn nothing_is_lost(params in json(), id in "[0-9]{1,30}|\"[a-z0-9]{0,9}\"", order in 0usize..3) {
        let members = [
            format!(r#""id": {id}"#),
            format!(r#""params" :{params}"#),
            r#""method":"tools/call", "jsonrpc":"2.0""#.to_owned(),
        ];
        let text = format!(
            "{{{},\n{},{}}}",
            members[order], members[(order + 1) % 3], members[(order + 2) % 3]
        );
        // A number with a leading zero is no JSON.
        prop_assume!(!(id.starts_with('0') && id.len() > 1));
        let message = parse(&text).unwrap();
        let read = message.id().unwrap();
        prop_assert_eq!(read.as_bytes(), id.as_bytes());
        prop_assert_eq!(message.body().unwrap(), params.as_str());
        let there = Message::parse(message.with_id(b"99")).unwrap();
        prop_assert_eq!(there.id_number(), Some(99));
        let back = there.with_id(id.as_bytes());
        prop_assert_eq!(&back[..], text.as_bytes());
    }
}
