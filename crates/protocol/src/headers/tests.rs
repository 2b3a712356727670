use proptest::prelude::*;

use super::{
    BadValue, HeaderMismatch, METHOD, NAME, SESSION_ID_BYTES_MAX, check_method, check_name,
    decode_value, encode_value, for_request, is_session_id,
};
use crate::Message;

#[test]
fn values_are_encoded_as_the_specification_shows() {
    let table = [
        ("us-west1", "us-west1"),
        ("two words", "two words"),
        ("", ""),
        ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
        (" padded ", "=?base64?IHBhZGRlZCA=?="),
        ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
        ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
        ("a\tb", "=?base64?YQli?="),
    ];
    for (value, header) in table {
        assert_eq!(encode_value(value), header);
        assert_eq!(decode_value(header.as_bytes()).unwrap(), value);
    }
}

#[test]
fn the_marks_are_exact() {
    for literal in ["=?BASE64?YQ==?=", "=?base64?YQ==", "base64?YQ==?=", "=?base64?="] {
        assert_eq!(decode_value(literal.as_bytes()).unwrap(), literal);
    }
    assert_eq!(decode_value(b"=?base64??=").unwrap(), "");
}

#[test]
fn what_can_not_be_read_is_refused() {
    let table: [(&[u8], _); 6] = [
        (b"=?base64?!!?=", BadValue::NotBase64),
        (b"=?base64?YQ?=", BadValue::NotBase64),
        (b"=?base64?/w==?=", BadValue::NotUtf8),
        ("é".as_bytes(), BadValue::NotText),
        (b"\xff", BadValue::NotText),
        (b"a\nb", BadValue::NotText),
    ];
    for (header, error) in table {
        assert_eq!(decode_value(header), Err(error), "{header:?}");
    }
}

#[test]
fn space_around_a_value_is_not_part_of_it() {
    assert_eq!(decode_value(b" \tcall\t ").unwrap(), "call");
}

#[test]
fn headers_must_repeat_the_body() {
    let name = |values: &[&str], body| check_name(values.iter().map(|v| v.as_bytes()), body);
    assert_eq!(name(&["add"], "add"), Ok(()));
    assert_eq!(name(&["=?base64?YWRk?="], "add"), Ok(()));
    assert_eq!(name(&["=?base64?5LiW?="], "世"), Ok(()));
    assert_eq!(name(&["Add"], "add"), Err(HeaderMismatch::Different { header: NAME.into() }));
    assert_eq!(name(&[], "add"), Err(HeaderMismatch::Missing { header: NAME.into() }));
    assert_eq!(name(&["add", "add"], "add"), Err(HeaderMismatch::Repeated { header: NAME.into() }));
    let reason = BadValue::NotText;
    assert_eq!(
        name(&["世"], "世"),
        Err(HeaderMismatch::Unreadable { header: NAME.into(), reason })
    );

    let method = |value: &str, body| check_method([value.as_bytes()], body);
    assert_eq!(method("tools/call", "tools/call"), Ok(()));
    // Only names may be encoded.
    let encoded = encode_value("tööls/call").into_owned();
    let different = Err(HeaderMismatch::Different { header: METHOD.into() });
    assert_eq!(method(&encoded, "tööls/call"), different);
    assert_eq!(method("Tools/Call", "tools/call"), different);
}

#[test]
fn session_ids_are_visible_ascii() {
    let longest = "x".repeat(SESSION_ID_BYTES_MAX);
    for good in ["a", "!~", "1868a90c-0c5f", &longest] {
        assert!(is_session_id(good.as_bytes()), "{good}");
    }
    let too_long = "x".repeat(SESSION_ID_BYTES_MAX + 1);
    for bad in ["", " ", "a b", "a\n", "é", "\u{7f}", &too_long] {
        assert!(!is_session_id(bad.as_bytes()), "{bad}");
    }
}

proptest! {
    #[test]
    fn every_value_survives(value in any::<String>()) {
        let header = encode_value(&value).into_owned();
        prop_assert!(header.bytes().all(|byte| matches!(byte, b' '..=b'~')));
        prop_assert_eq!(decode_value(header.as_bytes()).unwrap(), value.as_str());
        prop_assert_eq!(check_name([header.as_bytes()], &value), Ok(()));
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = decode_value(&bytes);
        let _ = check_name([bytes.as_slice()], "name");
        let _ = is_session_id(&bytes);
    }
}

#[test]
fn requests_are_repeated_as_far_as_they_say_what_they_are_about() {
    let meta = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2027-01-01"}"#;
    for (method, params, expected) in [
        (
            "tools/call",
            format!(r#"{{"name":"l\u00e4n",{meta}}}"#),
            "2027-01-01 tools/call =?base64?bMOkbg==?=",
        ),
        (
            "resources/read",
            format!(r#"{{"uri":"a://b",{meta}}}"#),
            "2027-01-01 resources/read a://b",
        ),
        ("tasks/get", format!(r#"{{"taskId":"7",{meta}}}"#), "2027-01-01 tasks/get 7"),
        ("tools/list", "{}".to_owned(), "2026-07-28 tools/list"),
        ("tools/call", r#"{"name":7}"#.to_owned(), "2026-07-28 tools/call"),
        ("x/y", "[]".to_owned(), "2026-07-28 x/y"),
    ] {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#);
        let message = Message::parse(text.into()).unwrap();
        let values: Vec<_> = for_request(&message).into_iter().map(|(_, value)| value).collect();
        assert_eq!(values.join(" "), expected);
    }
}
