use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use mainstay_telemetry::CorrelationId;

use super::{Access, Peer, Shown, Tokens, Visitor};

fn tokens() -> Tokens {
    Tokens::new(&[7; Tokens::BYTES])
}

fn visitor(peer: &str, headers: &[(&str, &str)]) -> Visitor {
    let peer = if peer == "socket" {
        Peer::Socket(Some(1000))
    } else {
        Peer::Address(peer.parse().unwrap())
    };
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| {
            (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
        })
        .collect();
    Visitor::of(peer, &headers, &tokens(), CorrelationId::next())
}

#[track_caller]
fn check(peer: &str, headers: &[(&str, &str)], expected: Access) {
    assert_eq!(visitor(peer, headers).access, expected, "{peer} {headers:?}");
}

#[test]
fn loopback_reads_the_socket_may_everything_and_others_see_little() {
    check("socket", &[], Access::Admin);
    for near in ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"] {
        check(near, &[], Access::Read);
    }
    for far in ["10.0.0.1", "::ffff:10.0.0.1", "fe80::1", "8.8.8.8"] {
        check(far, &[], Access::Bare);
    }
}

#[test]
fn behind_a_proxy_loopback_means_nothing() {
    for (name, value) in [
        ("x-forwarded-for", "8.8.8.8"),
        ("x-forwarded-proto", "https"),
        ("X-Forwarded-Anything", ""),
        ("forwarded", "for=8.8.8.8"),
        ("via", "1.1 proxy"),
        ("x-real-ip", "8.8.8.8"),
        ("cf-connecting-ip", "8.8.8.8"),
        ("true-client-ip", "8.8.8.8"),
        ("x-envoy-external-address", "8.8.8.8"),
    ] {
        check("127.0.0.1", &[(name, value)], Access::Bare);
        check("::1", &[(name, value)], Access::Bare);
    }
    check("127.0.0.1", &[("viable", "x"), ("x-request-id", "x")], Access::Read);
    check("socket", &[("x-real-ip", "8.8.8.8")], Access::Admin);
}

#[test]
fn each_token_opens_its_part_and_nothing_like_it_does() {
    let tokens = tokens();
    let (admin, read) = (tokens.admin().expose(), tokens.read().expose());
    for peer in ["10.0.0.1", "127.0.0.1"] {
        let nearby = if peer == "127.0.0.1" { Access::Read } else { Access::Bare };
        for scheme in ["Bearer ", "bearer ", "BEARER  "] {
            check(peer, &[("authorization", &format!("{scheme}{admin}"))], Access::Admin);
            check(peer, &[("authorization", &format!("{scheme}{read}"))], Access::Read);
        }
        let (shorter, longer) = (&admin[1..], format!("{admin}x"));
        let other = admin.to_uppercase();
        for bad in [shorter, &longer, &other, "", "x"] {
            let bad = format!("Bearer {bad}");
            check(peer, &[("authorization", &bad)], nearby);
            assert_eq!(visitor(peer, &[("authorization", &bad)]).shown, Shown::Unknown);
        }
        for bad in [admin.clone(), format!("Basic {admin}"), "Bearer".to_owned()] {
            check(peer, &[("authorization", &bad)], nearby);
        }
    }
    assert_ne!(admin, read);
}

#[test]
fn a_missing_token_is_another_thing_than_one_that_is_not_enough() {
    let read = format!("Bearer {}", tokens().read().expose());
    let refused = |visitor: Visitor, needed| {
        let refused = visitor.require(needed).err();
        refused.map(|refused| axum::response::IntoResponse::into_response(refused).status())
    };
    let (unauthorized, forbidden) = (Some(StatusCode::UNAUTHORIZED), Some(StatusCode::FORBIDDEN));
    for (peer, header, to_read, to_change) in [
        ("8.8.8.8", None, unauthorized, unauthorized),
        ("8.8.8.8", Some("Bearer x"), unauthorized, unauthorized),
        ("8.8.8.8", Some(read.as_str()), None, forbidden),
        ("127.0.0.1", None, None, unauthorized),
        ("127.0.0.1", Some("Bearer x"), None, unauthorized),
        ("127.0.0.1", Some(read.as_str()), None, forbidden),
        ("socket", None, None, None),
        // Whoever may use the socket may everything, whatever else is sent.
        ("socket", Some(read.as_str()), None, None),
    ] {
        let headers: Vec<_> = header.iter().map(|value| ("authorization", *value)).collect();
        let visitor = visitor(peer, &headers);
        assert_eq!(refused(visitor.clone(), Access::Read), to_read, "{peer} {header:?}");
        assert_eq!(refused(visitor, Access::Admin), to_change, "{peer} {header:?}");
    }
}

#[test]
fn the_tokens_of_a_secret_are_always_the_same() {
    let (one, again, other) = (tokens(), tokens(), Tokens::new(&[8; Tokens::BYTES]));
    assert_eq!((one.admin(), one.read()), (again.admin(), again.read()));
    assert_ne!(one.read(), other.read());
    assert!(!format!("{one:?}").contains(one.admin().expose()));
}
