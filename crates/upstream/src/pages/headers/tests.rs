use http::header::HeaderMap;
use http::{HeaderName, HeaderValue};
use mainstay_model::PublicUrl;

use super::super::target::PageTarget;
use super::{Forwarded, check, outgoing, returned};

fn headers(of: &[(&'static str, &str)]) -> HeaderMap {
    let mut all = HeaderMap::new();
    for (name, value) in of {
        all.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
    }
    all
}

fn shown(headers: &HeaderMap) -> Vec<String> {
    let line =
        |(name, value): (&HeaderName, &HeaderValue)| format!("{name}: {}", value.to_str().unwrap());
    let mut lines: Vec<_> = headers.iter().map(line).collect();
    lines.sort();
    lines
}

fn target() -> PageTarget {
    PageTarget::new("http://127.0.0.1:9200").unwrap()
}

#[test]
fn nothing_that_proves_who_the_client_is_reaches_a_target() {
    let given = headers(&[
        ("host", "gateway.example"),
        ("accept", "text/html"),
        ("authorization", "Bearer secret"),
        ("proxy-authorization", "Basic secret"),
        ("cookie", "session=secret"),
        ("mcp-session-id", "secret"),
        ("mcp-protocol-version", "2025-11-25"),
        ("origin", "https://app.example"),
        ("x-forwarded-for", "6.6.6.6"),
        ("x-forwarded-user", "root"),
        ("forwarded", "for=6.6.6.6"),
        ("x-real-ip", "6.6.6.6"),
        ("x-original-url", "/admin"),
        ("connection", "keep-alive, X-Hop, upgrade"),
        ("x-hop", "1"),
        ("keep-alive", "timeout=5"),
        ("te", "trailers"),
        ("transfer-encoding", "chunked"),
        ("content-length", "5"),
        ("upgrade", "h2c"),
        ("http2-settings", "AAMAAABkAAQCAAAAAAIAAAAA"),
        ("expect", "100-continue"),
        ("via", "1.1 nginx"),
        ("x-api-key", "for-the-target"),
    ]);
    let forwarded = Forwarded {
        client: Some("10.1.2.3".parse().unwrap()),
        host: Some(HeaderValue::from_static("gateway.example")),
        public: None,
    };
    let sent = outgoing(&given, &target(), &forwarded, "/services/search");
    assert_eq!(
        shown(&sent),
        [
            "accept: text/html",
            "host: 127.0.0.1:9200",
            "via: 1.1 mainstay-pages",
            "via: 1.1 nginx",
            "x-api-key: for-the-target",
            "x-forwarded-for: 10.1.2.3",
            "x-forwarded-host: gateway.example",
            "x-forwarded-prefix: /services/search",
            "x-forwarded-proto: http",
        ]
    );
    let public = PublicUrl::try_new("https://tools.example.org/mcp/dev").ok();
    let forwarded = Forwarded { public, ..forwarded };
    let sent = outgoing(&given, &target(), &forwarded, "/services/search");
    assert_eq!(sent["x-forwarded-host"], "tools.example.org");
    assert_eq!(sent["x-forwarded-proto"], "https");
    assert_eq!(sent["x-forwarded-prefix"], "/mcp/dev/services/search");
}

#[test]
fn a_target_sets_nothing_for_others() {
    let mut answer = headers(&[
        ("content-type", "text/html"),
        ("content-length", "5"),
        ("etag", "x"),
        ("connection", "close, x-hop"),
        ("x-hop", "1"),
        ("transfer-encoding", "chunked"),
        ("set-cookie", "a=b"),
        ("strict-transport-security", "max-age=1"),
        ("access-control-allow-origin", "*"),
        ("access-control-allow-credentials", "true"),
        ("alt-svc", "h3=\":443\""),
        ("clear-site-data", "\"*\""),
        ("service-worker-allowed", "/"),
        ("x-accel-redirect", "/internal"),
        ("x-accel-buffering", "no"),
        ("x-sendfile", "/etc/passwd"),
        ("mcp-session-id", "x"),
    ]);
    returned(&mut answer, &target(), "/services/search");
    assert_eq!(
        shown(&answer),
        ["content-length: 5", "content-type: text/html", "etag: x", "x-accel-buffering: no"]
    );
}

#[test]
fn addresses_of_the_target_lead_back() {
    for (location, led) in [
        ("/login", "/p/login"),
        ("/login?next=/a#b", "/p/login?next=/a#b"),
        ("http://127.0.0.1:9200/login?x", "/p/login?x"),
        ("http://127.0.0.1:9200", "/p/"),
        ("http://127.0.0.1:9200?x", "/p/?x"),
        ("//127.0.0.1:9200/a", "/p/a"),
        ("login", "login"),
        ("../a", "../a"),
        ("?page=2", "?page=2"),
        ("#a", "#a"),
        // Elsewhere.
        ("http://127.0.0.1:9201/a", "http://127.0.0.1:9201/a"),
        ("https://127.0.0.1:9200/a", "https://127.0.0.1:9200/a"),
        ("http://127.0.0.1:9200.example/a", "http://127.0.0.1:9200.example/a"),
        ("http://127.0.0.1:9200@x.example/a", "http://127.0.0.1:9200@x.example/a"),
        ("//x.example/a", "//x.example/a"),
        ("/\\x.example/a", "/\\x.example/a"),
        ("https://x.example/a", "https://x.example/a"),
    ] {
        let mut answer = headers(&[("location", location), ("content-location", location)]);
        returned(&mut answer, &target(), "/p");
        assert_eq!(
            (&answer["location"], &answer["content-location"]),
            (&led.parse().unwrap(), &led.parse().unwrap()),
            "{location}"
        );
    }
}

#[test]
fn upgrades_and_circles_are_refused() {
    for (given, refused) in [
        (headers(&[("connection", "upgrade"), ("upgrade", "websocket")]), true),
        (headers(&[("connection", "Upgrade"), ("upgrade", "WebSocket, h2c")]), true),
        (headers(&[("via", "1.1 nginx, 1.1 mainstay-pages")]), true),
        (headers(&[("via", "1.1 nginx"), ("via", "1.1 mainstay-pages")]), true),
        (headers(&[("connection", "upgrade"), ("upgrade", "h2c"), ("via", "1.1 nginx")]), false),
    ] {
        assert_eq!(check(&given).is_err(), refused, "{given:?}");
    }
}
