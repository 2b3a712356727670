use super::*;

fn text_of(reply: Reply) -> String {
    match reply {
        Reply::Now(bytes) | Reply::Welcome(bytes) | Reply::Later(_, bytes) => {
            String::from_utf8(bytes).expect("answers are text")
        }
        other => panic!("no answer but {other:?}"),
    }
}

#[test]
fn members_are_found_whatever_is_around_them() {
    let cases = [
        (r#"{"a":1}"#, Some("1")),
        (r#" { "b" : {"a":2} , "a" : [1,{"a":3},"]"] } "#, Some(r#"[1,{"a":3},"]"]"#)),
        (r#"{"x":"\"a\":9","a":"q\"\\"}"#, Some(r#""q\"\\""#)),
        (r#"{"b":{"a":2}}"#, None),
        (r#"{"a":"#, None),
        (r#"{"a":"unfinished"#, None),
        (r#"["a"]"#, None),
        (r#"{"x":"\"#, None),
        ("", None),
    ];
    for (text, wanted) in cases {
        assert_eq!(member(text.as_bytes(), "a"), wanted.map(str::as_bytes), "{text}");
    }
}

#[test]
fn answers_are_json_with_the_callers_id() {
    let cases = [
        (
            r#"{"id":7,"method":"tools/call","params":{"name":"echo","arguments":{"text":"a\"b"}}}"#,
            "a\"b",
        ),
        (
            r#"{"method":"tools/call","params":{"arguments":{"ms":3,"text":"x"},"name":"slow"},"id":7}"#,
            "x",
        ),
        (
            r#"{"id":7,"method":"tools/call","params":{"name":"big","arguments":{"bytes":5}}}"#,
            "xxxxx",
        ),
    ];
    for (message, wanted) in cases {
        let value: serde_json::Value =
            serde_json::from_str(&text_of(answer(message.as_bytes(), TOOLS))).expect("JSON");
        assert_eq!(value["id"], 7, "{message}");
        assert_eq!(value["result"]["content"][0]["text"], wanted, "{message}");
    }
}

#[test]
fn the_handshake_answers_with_a_revision_both_know() {
    for (asked, wanted) in [("2025-06-18", "2025-06-18"), ("2026-07-28", "2025-11-25")] {
        let message = format!(
            r#"{{"id":"a","method":"initialize","params":{{"protocolVersion":"{asked}","capabilities":{{}}}}}}"#
        );
        let value: serde_json::Value =
            serde_json::from_str(&text_of(answer(message.as_bytes(), TOOLS))).expect("JSON");
        assert_eq!(value["result"]["protocolVersion"], wanted);
        assert_eq!(value["id"], "a");
    }
}

#[test]
fn other_messages_get_what_they_deserve() {
    let tools: serde_json::Value =
        serde_json::from_str(&text_of(answer(br#"{"id":1,"method":"tools/list"}"#, TOOLS)))
            .expect("JSON");
    assert_eq!(tools["result"]["tools"].as_array().map(Vec::len), Some(5));
    let many: serde_json::Value = serde_json::from_str(&many_tools("s", 100)).expect("JSON");
    assert_eq!(many["tools"][99]["name"], "s_00099");
    assert_eq!(answer(br#"{"method":"notifications/initialized"}"#, TOOLS), Reply::Nothing);
    assert_eq!(answer(br#"{"id":1,"result":{}}"#, TOOLS), Reply::Nothing);
    assert_eq!(
        answer(br#"{"id":1,"method":"tools/call","params":{"name":"hang"}}"#, TOOLS),
        Reply::Never
    );
    assert_eq!(
        answer(br#"{"id":1,"method":"tools/call","params":{"name":"crash"}}"#, TOOLS),
        Reply::Crash
    );
    assert!(text_of(answer(br#"{"id":1,"method":"server/discover"}"#, TOOLS)).contains("-32601"));
    assert!(text_of(answer(b"nonsense", TOOLS)).contains("-32600"));
}
