use http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;

use super::element::parse_elements;
use super::{ForwardedInfo, Proxies};

fn forwarded(peer: &str, lines: &[(&str, &str)]) -> ForwardedInfo {
    let trusted = ["10.0.0.0/8", "::1"].map(|network| network.parse().unwrap()).to_vec();
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
    }
    Proxies::new(trusted).read(Some(peer.parse().unwrap()), &headers)
}

/// Who asked, as it is found out from one header.
fn client(peer: &str, lines: &[(&str, &str)]) -> Option<String> {
    forwarded(peer, lines).client.map(|client| client.to_string())
}

const NEAR: &str = "10.0.0.1:4000";

#[test]
fn only_trusted_addresses_are_believed() {
    let lines = [
        ("x-forwarded-for", "203.0.113.9"),
        ("forwarded", "for=203.0.113.9;host=a.example"),
        ("x-forwarded-host", "a.example"),
        ("x-forwarded-prefix", "/a"),
    ];
    for stranger in ["11.0.0.1:1", "127.0.0.1:1", "[::2]:1", "203.0.113.9:1"] {
        assert_eq!(forwarded(stranger, &lines), ForwardedInfo::default(), "{stranger}");
    }
    for trusted in [NEAR, "[::1]:1", "[::ffff:10.1.2.3]:1"] {
        let forwarded = forwarded(trusted, &lines);
        assert_eq!(forwarded.client.unwrap().to_string(), "203.0.113.9:0", "{trusted}");
        assert_eq!(forwarded.hosts, ["a.example", "a.example"], "{trusted}");
        assert_eq!(forwarded.prefix.as_deref(), Some("/a"), "{trusted}");
    }
    let nobody = Proxies::new(Vec::new());
    let mut headers = HeaderMap::new();
    headers.insert("x-forwarded-for", HeaderValue::from_static("203.0.113.9"));
    assert_eq!(
        nobody.read(Some("127.0.0.1:1".parse().unwrap()), &headers),
        ForwardedInfo::default()
    );
    assert_eq!(nobody.read(None, &headers), ForwardedInfo::default());
}

#[test]
fn the_client_is_the_last_one_that_is_not_trusted() {
    for (list, expected) in [
        ("203.0.113.9", Some("203.0.113.9:0")),
        // Elements before the last untrusted address may be forged by it.
        ("198.51.100.1, 203.0.113.9", Some("203.0.113.9:0")),
        ("198.51.100.1, 203.0.113.9, 10.0.0.2, 10.0.0.3", Some("203.0.113.9:0")),
        ("10.0.0.2,10.0.0.3", Some("10.0.0.2:0")),
        ("203.0.113.9:51000", Some("203.0.113.9:51000")),
        ("2001:db8::9", Some("[2001:db8::9]:0")),
        ("[2001:db8::9]:51000, 10.0.0.2", Some("[2001:db8::9]:51000")),
        ("[2001:db8::9]", Some("[2001:db8::9]:0")),
        // An unreadable element hides everything before it, so the last known proxy is named.
        ("203.0.113.9, nonsense", None),
        ("203.0.113.9, nonsense, 10.0.0.2", Some("10.0.0.2:0")),
        ("unknown", None),
        ("", None),
        (",", None),
    ] {
        assert_eq!(client(NEAR, &[("x-forwarded-for", list)]).as_deref(), expected, "{list}");
    }
    let lines = [("x-forwarded-for", "198.51.100.1"), ("x-forwarded-for", "203.0.113.9")];
    assert_eq!(client(NEAR, &lines).as_deref(), Some("203.0.113.9:0"));
}

#[test]
fn the_standard_header_says_the_same() {
    for (text, expected) in [
        ("for=203.0.113.9", Some("203.0.113.9:0")),
        ("For=198.51.100.1, for=203.0.113.9;proto=https;by=10.0.0.1", Some("203.0.113.9:0")),
        ("for=\"[2001:db8::9]:4711\"", Some("[2001:db8::9]:4711")),
        (
            "proto=https; for=\"203.0.113.9:1\" , for=10.0.0.2;ext=\"a,b;c\\\"\"",
            Some("203.0.113.9:1"),
        ),
        ("for=unknown", None),
        ("for=_hidden", None),
        ("for=203.0.113.9, proto=https", None),
        // A header that is malformed anywhere is ignored.
        ("for=203.0.113.9, for=\"10.0.0.2", None),
        ("for=203.0.113.9;for=198.51.100.1", None),
        ("for 203.0.113.9", None),
        ("for=[2001:db8::9]", None),
    ] {
        assert_eq!(client(NEAR, &[("forwarded", text)]).as_deref(), expected, "{text}");
    }
}

#[test]
fn headers_that_contradict_each_other_say_nothing() {
    let list = ("x-forwarded-for", "203.0.113.9");
    assert_eq!(client(NEAR, &[list, ("forwarded", "for=198.51.100.1")]), None);
    let same = client(NEAR, &[list, ("forwarded", "for=203.0.113.9")]);
    assert_eq!(same.as_deref(), Some("203.0.113.9:0"));
}

#[test]
fn every_host_on_the_way_is_heard_of() {
    let lines = [
        ("x-forwarded-host", "a.example, b.example:8443"),
        ("forwarded", "host=\"c.example:80\", for=10.0.0.2;host=d.example"),
    ];
    let expected = ["a.example", "b.example:8443", "c.example:80", "d.example"];
    assert_eq!(forwarded(NEAR, &lines).hosts, expected);
}

#[test]
fn a_prefix_is_a_path() {
    for (text, expected) in [
        ("/mcp/dev", Some("/mcp/dev")),
        ("/mcp/dev/", Some("/mcp/dev")),
        ("/", None),
        ("mcp", None),
        ("//evil.example", None),
        ("/a?b", None),
        ("/a\tb", None),
        ("https://evil.example/", None),
    ] {
        let forwarded = forwarded(NEAR, &[("x-forwarded-prefix", text)]);
        assert_eq!(forwarded.prefix.as_deref(), expected, "{text}");
    }
}

proptest! {
    /// Whatever a stranger puts before what a trusted proxy wrote, the client stays the stranger.
    #[test]
    fn nobody_speaks_for_another(before in "[ -~]{0,60}") {
        let list = format!("{before}, 203.0.113.9");
        let found = client(NEAR, &[("x-forwarded-for", &list)]);
        prop_assert_eq!(found.as_deref(), Some("203.0.113.9:0"));
        // An unclosed quote makes the whole header invalid and gives no other header more weight.
        let elements = format!("{before}, for=203.0.113.9");
        let found = client(NEAR, &[("forwarded", &elements)]);
        prop_assert!(matches!(found.as_deref(), None | Some("203.0.113.9:0")), "{found:?}");
    }
}

#[test]
fn nothing_makes_the_reader_fall() {
    for text in ["\"", "\\", "for=\"\\", ";;,,=", "for=\"\\\"", "=x", "for=", "a=b;;c=d,", "é=é"]
    {
        let _ = parse_elements(text);
    }
}
