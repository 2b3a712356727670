//! The sender of a request, and what that sender may do.
//!
//! Health, numbers and lists are open on loopback. From anywhere else only `/health/live` and the state at
//! `/health` are, unless a token comes along. What changes the daemon, and what shows arguments, results or
//! logs, needs the `admin` token. On the command socket everything is open: the permissions of its file
//! have decided who may use it.

use std::fmt;
use std::net::IpAddr;

use axum::extract::FromRequestParts;
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::{HeaderMap, HeaderName};
use mainstay_telemetry::CorrelationId;

use crate::api::problem::Rejection;
use crate::source::View;

#[cfg(test)]
mod tests;
mod tokens;

pub use tokens::Tokens;

/// Where a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// The command socket in the state folder, with the user of the process at its other end where the
    /// system says it.
    Socket(Option<u32>),
    Address(IpAddr),
}

/// What a caller may do. Each includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Access {
    /// See that the process works, and its state in one word.
    Bare,
    /// See health, numbers and lists.
    Read,
    /// Change the daemon, and see command lines, addresses, output, results and logs.
    Admin,
}

/// What the `Authorization` header shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    Nothing,
    Admin,
    Read,
    /// A token that is none of ours, or another scheme.
    Unknown,
}

/// Who sends a request.
#[derive(Debug, Clone)]
pub(crate) struct Visitor {
    pub(crate) peer: Peer,
    pub(crate) shown: Shown,
    pub(crate) access: Access,
    pub(crate) request_id: CorrelationId,
}

/// Headers that a proxy adds: those of RFC 9110 and RFC 7239, and those of common proxies and networks.
const PROXY_HEADERS: [&str; 12] = [
    "forwarded",
    "via",
    "x-real-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "cf-connecting-ipv6",
    "fastly-client-ip",
    "fly-client-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-original-forwarded-for",
    "x-original-host",
];

/// Beginnings of the names of headers that proxies add.
const PROXY_PREFIXES: [&str; 2] = ["x-forwarded-", "x-envoy-"];

// === impl Visitor ===

impl Visitor {
    pub(crate) fn of(
        peer: Peer,
        headers: &HeaderMap,
        tokens: &Tokens,
        request_id: CorrelationId,
    ) -> Self {
        let shown = tokens.shown(headers);
        let near = match peer {
            Peer::Socket(_) => Access::Admin,
            Peer::Address(address) => {
                let local = address.to_canonical().is_loopback() && !came_through_proxy(headers);
                if local { Access::Read } else { Access::Bare }
            }
        };
        let by_token = match shown {
            Shown::Admin => Access::Admin,
            Shown::Read => Access::Read,
            Shown::Nothing | Shown::Unknown => Access::Bare,
        };
        Self { peer, shown, access: near.max(by_token), request_id }
    }

    /// How much of the servers the caller may see.
    pub(crate) fn view(&self) -> View {
        if self.access == Access::Admin { View::Operator } else { View::Open }
    }

    /// Whether the caller may do this.
    ///
    /// # Errors
    /// The refusal: 401 without a valid token, 403 with one that is not enough.
    pub(crate) fn require(&self, needed: Access) -> Result<(), Rejection> {
        if self.access >= needed {
            return Ok(());
        }
        let needs = match needed {
            Access::Admin => "the `admin` token",
            Access::Bare | Access::Read => {
                "a token, because the request comes from another machine or through a proxy"
            }
        };
        Err(match self.shown {
            Shown::Read | Shown::Admin => Rejection::insufficient(),
            Shown::Nothing => Rejection::unauthorized(needs, false),
            Shown::Unknown => Rejection::unauthorized(needs, true),
        })
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(Some(uid)) => write!(f, "socket (user {uid})"),
            Self::Socket(None) => f.write_str("socket"),
            Self::Address(address) => address.fmt(f),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Visitor {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        let visitor = parts.extensions.get::<Self>().cloned();
        visitor.ok_or_else(|| Rejection::unauthorized("to know who asks", false))
    }
}

/// Whether a proxy passed the request on. Then a loopback address is the proxy's and says nothing about who
/// asks.
fn came_through_proxy(headers: &HeaderMap) -> bool {
    headers.keys().map(HeaderName::as_str).any(|name| {
        PROXY_HEADERS.contains(&name)
            || PROXY_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
    })
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, given) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(given.trim())
}
