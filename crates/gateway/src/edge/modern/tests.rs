use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue};
use mainstay_protocol::Message;

use super::{InvalidRequest, check_request, is_modern_request, is_modern_version};

const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

fn message(method: &str, params: &str) -> Message {
    let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params}}}}}"#);
    Message::parse(Bytes::from(text)).unwrap()
}

fn headers(all: &[(&'static str, &'static str)]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &'static str)| {
        (HeaderName::from_static(name), HeaderValue::from_static(value))
    };
    let mut map = HeaderMap::new();
    for (name, value) in all.iter().map(pair) {
        map.append(name, value);
    }
    map
}

const VERSION: (&str, &str) = ("mcp-protocol-version", "2026-07-28");
const LIST: (&str, &str) = ("mcp-method", "tools/list");
const CALL: (&str, &str) = ("mcp-method", "tools/call");

#[test]
fn a_request_is_told_by_its_header_or_its_body() {
    for (method, params, header, expected) in [
        ("tools/list", META, None, true),
        ("tools/list", "", Some("2026-07-28"), true),
        ("tools/list", "", Some("2031-01-01"), true),
        ("tools/list", META, Some("2025-11-25"), true),
        // Only `protocolVersion` claims the modern era.
        ("tools/list", r#""_meta":{"io.modelcontextprotocol/clientCapabilities":{}}"#, None, false),
        ("tools/list", r#""_meta":{"io.modelcontextprotocol/logLevel":"info"}"#, None, false),
        ("tools/list", r#""_meta":{"io.modelcontextprotocol/protocolVersion":null}"#, None, false),
        ("tools/list", "", None, false),
        ("tools/list", "", Some("2025-11-25"), false),
        ("tools/list", "", Some("latest"), false),
        // Text that only mentions the field.
        ("tools/call", r#""arguments":{"a":"\"io.modelcontextprotocol/"}"#, None, false),
        ("tools/call", r#""_meta":{"io.modelcontextprotocol/related-task":{}}"#, None, false),
        ("initialize", r#""protocolVersion":"2026-07-28""#, Some("2026-07-28"), false),
        ("initialize", META, None, true),
        (
            "initialize",
            r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2025-11-25"}"#,
            None,
            false,
        ),
    ] {
        let headers = match header {
            Some(version) => headers(&[("mcp-protocol-version", version)]),
            None => HeaderMap::new(),
        };
        let is_modern = is_modern_request(&headers, &message(method, params));
        assert_eq!(is_modern, expected, "{method} {params} {header:?}");
    }
}

#[test]
fn in_a_session_only_the_header_is_a_claim() {
    let session = ("mcp-session-id", "x");
    let list = message("tools/list", META);
    assert!(!is_modern_request(&headers(&[session]), &list));
    assert!(!is_modern_request(
        &headers(&[session, ("mcp-protocol-version", "2025-11-25")]),
        &list
    ));
    assert!(is_modern_request(&headers(&[session, VERSION]), &list));
}

#[test]
fn only_a_date_can_be_a_later_revision() {
    for (version, expected) in [
        ("2026-07-28", true),
        ("2027-01-01", true),
        ("2026-07-27", false),
        ("9999", false),
        ("zzzz-zz-zz", false),
        ("", false),
    ] {
        assert_eq!(is_modern_version(version.as_bytes()), expected, "{version}");
    }
}

#[test]
fn what_is_wrong_with_a_request_is_said_by_code() {
    let version = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2027-01-01","io.modelcontextprotocol/clientCapabilities":{}}"#;
    let bare = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#;
    let level = &META.replace("{}", r#"{},"io.modelcontextprotocol/logLevel":"loud""#);
    let named = &format!(r#""name":"a b",{META}"#);
    for (method, params, given, code) in [
        ("tools/list", "", vec![VERSION, LIST], -32602),
        ("tools/list", bare, vec![VERSION, LIST], -32602),
        ("tools/list", level, vec![VERSION, LIST], -32602),
        ("tools/list", META, vec![LIST], -32020),
        ("tools/list", META, vec![("mcp-protocol-version", "2025-11-25"), LIST], -32020),
        ("tools/list", META, vec![VERSION, VERSION, LIST], -32020),
        ("tools/list", META, vec![VERSION], -32020),
        ("tools/list", META, vec![VERSION, CALL], -32020),
        ("tools/list", META, vec![VERSION, ("mcp-method", "Tools/List")], -32020),
        ("tools/call", named, vec![VERSION, CALL], -32020),
        ("tools/call", named, vec![VERSION, CALL, ("mcp-name", "a")], -32020),
        ("tools/list", version, vec![("mcp-protocol-version", "2027-01-01"), LIST], -32022),
        ("ping", META, vec![VERSION, ("mcp-method", "ping")], -32601),
        ("initialize", META, vec![VERSION, ("mcp-method", "initialize")], -32601),
        ("logging/setLevel", META, vec![VERSION, ("mcp-method", "logging/setLevel")], -32601),
        (
            "sampling/createMessage",
            META,
            vec![VERSION, ("mcp-method", "sampling/createMessage")],
            -32601,
        ),
    ] {
        let headers = headers(&given);
        let invalid = check_request(&headers, &message(method, params)).unwrap_err();
        assert_eq!(invalid.code(), code, "{method} {params} {given:?}: {invalid}");
    }
}

#[test]
fn a_good_request_passes_with_what_it_says_of_itself() {
    let params = format!(
        r#""name":"a b",{}"#,
        META.replace("{}", r#"{"sampling":{}},"io.modelcontextprotocol/logLevel":"warning""#)
    );
    for name in ["a b", " a b ", "=?base64?YSBi?="] {
        let given = [VERSION, CALL, ("mcp-name", name), ("mcp-session-id", "ignored")];
        let headers = headers(&given);
        let request = check_request(&headers, &message("tools/call", &params)).unwrap().unwrap();
        assert!(request.capabilities.sampling && !request.capabilities.roots);
        assert!(request.log_level.is_some());
    }
    // An unknown method may belong to an extension.
    let headers = headers(&[VERSION, ("mcp-method", "x/y")]);
    assert!(check_request(&headers, &message("x/y", META)).unwrap().unwrap().method.is_none());
}

#[test]
fn answers_are_not_taken_and_notifications_are() {
    let headers = headers(&[VERSION]);
    let answer = Bytes::from_static(br#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
    let answer = Message::parse(answer).unwrap();
    assert_eq!(check_request(&headers, &answer).unwrap_err(), InvalidRequest::NotARequest);
    let note = Bytes::from_static(br#"{"jsonrpc":"2.0","method":"notifications/cancelled"}"#);
    assert!(check_request(&headers, &Message::parse(note).unwrap()).unwrap().is_none());
}
