//! The sender of a request, and what that sender may do.
//!
//! Health, numbers and lists are open on loopback. From anywhere else only `/health/live` and the state at
//! `/health` are, unless a token comes along. What changes the daemon, and what shows arguments, results or
//! logs, needs the `admin` token. On the command socket everything is open: the permissions of its file
//! have decided who may use it.

use std::fmt;
use std::net::IpAddr;

use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use http::request::Parts;
use mainstay_telemetry::CorrelationId;

use crate::api::problem::Rejection;

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
    /// Change the daemon, and see arguments, results and logs.
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

/// Headers that a reverse proxy adds. With one of them, a loopback address is the proxy's and says nothing
/// about who asks.
const FORWARDED: [&str; 4] = ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip"];

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
                let proxied = FORWARDED.iter().any(|name| headers.contains_key(*name));
                let local = address.to_canonical().is_loopback() && !proxied;
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
            Access::Bare | Access::Read => "a token, because it is asked from another machine",
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

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, given) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(given.trim())
}
