//! Who may see what.
//!
//! Health, numbers and lists are open on loopback and on the command socket, whose file's
//! permissions have decided already. From anywhere else only `/health/live` is, unless the
//! daemon's token comes along.

use std::hint::black_box;
use std::net::IpAddr;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use mainstay_model::Redacted;

/// Where a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// The command socket in the state folder.
    Socket,
    Address(IpAddr),
}

/// What a request may see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Health, numbers and lists.
    Open,
    /// That the process is alive.
    LiveOnly,
}

/// Headers a reverse proxy adds. With one of them, a loopback address is the proxy's and says
/// nothing about who asks.
const FORWARDED: [&str; 4] = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip"];

// === impl Access ===

impl Access {
    /// Without a token nobody but loopback and the command socket sees more than liveness.
    pub fn of(peer: Peer, headers: &HeaderMap, token: Option<&Redacted<String>>) -> Self {
        let near = match peer {
            Peer::Socket => true,
            Peer::Address(address) => {
                let proxied = FORWARDED.iter().any(|name| headers.contains_key(*name));
                address.to_canonical().is_loopback() && !proxied
            }
        };
        let known = || token.is_some_and(|token| bears(headers, token));
        if near || known() { Self::Open } else { Self::LiveOnly }
    }
}

fn bears(headers: &HeaderMap, token: &Redacted<String>) -> bool {
    let Some((scheme, given)) = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
    else {
        return false;
    };
    let token = token.expose();
    scheme.eq_ignore_ascii_case("bearer") && !token.is_empty() && same(given.trim(), token)
}

/// Whether two texts are the same, in a time that depends on their lengths alone: an early end
/// would tell a guesser how much of a guess is right.
fn same(given: &str, token: &str) -> bool {
    let differing =
        given.bytes().zip(token.bytes()).fold(0, |all, (a, b)| black_box(all | (a ^ b)));
    given.len() == token.len() && differing == 0
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderName, HeaderValue};
    use mainstay_model::Redacted;

    use super::{Access, Peer};

    #[track_caller]
    fn check(peer: &str, headers: &[(&str, &str)], token: Option<&str>, expected: Access) {
        let peer =
            if peer == "socket" { Peer::Socket } else { Peer::Address(peer.parse().unwrap()) };
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| {
                (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap())
            })
            .collect();
        let token = token.map(|token| Redacted::new(token.to_owned()));
        assert_eq!(Access::of(peer, &headers, token.as_ref()), expected, "{peer:?} {headers:?}");
    }

    #[test]
    fn loopback_and_the_socket_are_near() {
        for near in ["socket", "127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"] {
            check(near, &[], None, Access::Open);
        }
        for far in ["10.0.0.1", "::ffff:10.0.0.1", "fe80::1", "8.8.8.8"] {
            check(far, &[], None, Access::LiveOnly);
        }
    }

    #[test]
    fn behind_a_proxy_loopback_means_nothing() {
        check("127.0.0.1", &[("x-forwarded-for", "8.8.8.8")], None, Access::LiveOnly);
        check("::1", &[("forwarded", "for=8.8.8.8")], Some("t"), Access::LiveOnly);
        check("socket", &[("x-real-ip", "8.8.8.8")], None, Access::Open);
    }

    #[test]
    fn the_token_opens_from_afar_and_nothing_like_it_does() {
        let far = "10.0.0.1";
        for good in ["Bearer s3cret", "bearer s3cret", "BEARER  s3cret"] {
            check(far, &[("authorization", good)], Some("s3cret"), Access::Open);
        }
        for bad in
            ["s3cret", "Basic s3cret", "Bearer", "Bearer s3cre", "Bearer s3crett", "Bearer s3creT"]
        {
            check(far, &[("authorization", bad)], Some("s3cret"), Access::LiveOnly);
        }
        check(far, &[("authorization", "Bearer s3cret")], None, Access::LiveOnly);
        check(far, &[("authorization", "Bearer ")], Some(""), Access::LiveOnly);
    }
}
