use mainstay_model::PublicUrl;
use mainstay_model::settings::GatewaySettings;

use super::{Clash, Environment, Page, WrongEnvironment, page};

fn gateway(url: &str, listen: &str, sse_listen: Option<&str>) -> GatewaySettings {
    GatewaySettings {
        public_url: PublicUrl::try_new(url).ok(),
        listen: listen.parse().unwrap(),
        sse_listen: sse_listen.map(|address| address.parse().unwrap()),
        ..GatewaySettings::default()
    }
}

fn text(gateways: &[GatewaySettings]) -> Result<String, Clash> {
    let environments: Vec<_> =
        gateways.iter().map(|gateway| Environment::new(gateway).unwrap()).collect();
    page(&Page { environments: &environments, certificate: None, ipv6: true })
}

/// The locations of a text, each with the address it passes to.
fn places(text: &str) -> Vec<(String, String)> {
    let mut places = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(place) = line.strip_prefix("location ") {
            places.push((place.trim_end_matches(" {").to_owned(), String::new()));
        } else if let Some(target) = line.strip_prefix("proxy_pass ") {
            target.trim_end_matches(';').clone_into(&mut places.last_mut().unwrap().1);
        }
    }
    places
}

#[test]
fn two_environments_share_a_host() {
    let text = text(&[
        gateway("https://x.example/mcp", "127.0.0.1:8000", None),
        gateway("https://x.example/mcp/dev", "0.0.0.0:8001", Some("127.0.0.1:8002")),
    ])
    .unwrap();
    let expected = [
        ("= /mcp", "http://mainstay_x_example_mcp/mcp"),
        ("/mcp/", "http://mainstay_x_example_mcp/mcp/"),
        ("= /mcp/sse", "http://mainstay_x_example_mcp/sse"),
        ("/mcp/sse/", "http://mainstay_x_example_mcp/sse/"),
        ("= /mcp/messages", "http://mainstay_x_example_mcp/messages"),
        ("= /mcp/health", "http://mainstay_x_example_mcp/health"),
        ("/mcp/health/", "http://mainstay_x_example_mcp/health/"),
        ("= /health", "http://mainstay_x_example_mcp/health"),
        ("/health/", "http://mainstay_x_example_mcp/health/"),
        ("= /mcp/dev", "http://mainstay_x_example_mcp_dev/mcp"),
        ("/mcp/dev/", "http://mainstay_x_example_mcp_dev/mcp/"),
        ("= /mcp/dev/sse", "http://mainstay_x_example_mcp_dev_sse/sse"),
        ("/mcp/dev/sse/", "http://mainstay_x_example_mcp_dev_sse/sse/"),
        ("= /mcp/dev/messages", "http://mainstay_x_example_mcp_dev_sse/messages"),
        ("= /mcp/dev/health", "http://mainstay_x_example_mcp_dev/health"),
        ("/mcp/dev/health/", "http://mainstay_x_example_mcp_dev/health/"),
    ];
    let expected: Vec<_> =
        expected.iter().map(|(place, to)| ((*place).to_owned(), (*to).to_owned())).collect();
    assert_eq!(places(&text), expected, "{text}");
    assert_eq!(text.matches("server_name x.example;").count(), 2, "one for http, one for https");
    for once in ["server 127.0.0.1:8000 ", "server 127.0.0.1:8001 ", "server 127.0.0.1:8002 "] {
        assert_eq!(text.matches(once).count(), 1, "{once}: {text}");
    }
    assert_eq!(text.matches("listen [::]:443 ssl;").count(), 1, "{text}");
    assert!(text.contains("/etc/letsencrypt/live/x.example/fullchain.pem"), "{text}");
}

#[test]
fn what_is_switched_off_has_no_place() {
    let base = gateway("http://x.example:8080/a", "127.0.0.1:8000", None);
    let http_only = GatewaySettings { sse: false, ..base.clone() };
    let sse_only = GatewaySettings { http: false, ..base };
    let of = |gateway: GatewaySettings| text(&[gateway]).unwrap();
    let (http_only, sse_only) = (of(http_only), of(sse_only));
    assert_eq!(places(&http_only).len(), 2 + 4, "{http_only}");
    assert_eq!(places(&sse_only).len(), 3 + 4, "{sse_only}");
    let at_root = of(gateway("http://x.example/health/tools", "127.0.0.1:8000", None));
    assert!(
        !at_root.contains(" /health {") && at_root.contains("/health/tools/health/ {"),
        "{at_root}"
    );
    assert!(http_only.contains("listen 8080;") && !http_only.contains("ssl"), "{http_only}");
}

#[test]
fn what_can_not_be_is_said() {
    let (a, b) = ("127.0.0.1:8000", "127.0.0.1:8001");
    for (gateway, why) in [
        (gateway("", a, None), WrongEnvironment::NoPublicUrl),
        (gateway("http://x", "127.0.0.1:0", None), WrongEnvironment::NoFixedPort("listen")),
        (gateway("http://x", a, Some("127.0.0.1:0")), WrongEnvironment::NoFixedPort("sse_listen")),
    ] {
        assert_eq!(Environment::new(&gateway).unwrap_err(), why);
    }
    let clash = text(&[gateway("http://x/mcp", a, None), gateway("http://x", b, None)]);
    assert_eq!(clash, Err(Clash::Url("http://x/mcp".to_owned())));
    let clash = text(&[gateway("http://x/mcp", a, None), gateway("http://x/mcp/dev", b, Some(a))]);
    assert_eq!(clash, Err(Clash::Listen(a.parse().unwrap())));
}
