//! Who sends a request, and whether it is let in.
//!
//! This is decided before the path of the request is looked at: whoever is refused learns from no answer
//! which servers there are. The order:
//!
//! 1. the address of the caller, as trusted proxies tell it;
//! 2. the gate: `Host` and `Origin`, unless the request comes over the command socket;
//! 3. the login: who the user is.
//!
//! Limits, audit and logs take who called from [`Caller`], and from nowhere else.

use std::net::SocketAddr;
use std::sync::Arc;

use http::HeaderMap;
use http::request::Parts;
use mainstay_model::Principal;
use mainstay_model::settings::Login;
use mainstay_telemetry::events::RefusedRequest;
use mainstay_telemetry::{CorrelationId, Refused};

use super::gate::{Foreign, Gate};
use super::refuse;
use crate::answer::HttpAnswer;
use crate::gateway::Gateway;

/// The other end of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// None: the command socket.
    pub address: Option<SocketAddr>,
    /// It came over the command socket: the file's permissions have decided who may.
    pub operator: bool,
    pub serves: Serves,
    /// The number of the connection, which no other connection of this daemon has.
    pub connection: u64,
}

/// Which of the two remote transports an address serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Serves {
    /// Streamable HTTP, `/mcp`.
    pub http: bool,
    /// HTTP+SSE of 2024-11-05, `/sse`.
    pub sse: bool,
}

/// Who sends a request that was let in.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The address of the client: behind trusted proxies, the one they name. None: the command socket, where
    /// no proxy names one.
    pub address: Option<SocketAddr>,
    /// The operator of the daemon, who may do everything.
    pub operator: bool,
    /// What the address serves that the request came to.
    pub serves: Serves,
    /// The number of the connection. Where there is neither a login nor a session, limits count by it.
    pub connection: u64,
    /// The user. Without login everybody is the same one.
    pub principal: Principal,
    /// Finds the request in logs and refusals.
    pub request_id: CorrelationId,
}

/// A request that was let in, without its body.
#[derive(Debug)]
pub(crate) struct Admitted<'a> {
    pub(crate) gateway: &'a Arc<Gateway>,
    pub(crate) parts: &'a Parts,
    pub(crate) caller: Caller,
    /// What a trusted proxy took away from the beginning of the path.
    pub(crate) prefix: Option<String>,
}

/// Lets a request in, or answers it with a refusal that names nothing of what is here.
pub(super) fn admit<'a>(
    gateway: &'a Arc<Gateway>,
    parts: &'a Parts,
    peer: Peer,
    request_id: CorrelationId,
) -> Result<Admitted<'a>, Box<HttpAnswer>> {
    let said = gateway.proxies.said(peer.address, &parts.headers);
    let Peer { address, operator, serves, connection } = peer;
    let mut admitted = Admitted {
        gateway,
        parts,
        caller: Caller {
            address: said.client.or(address),
            operator,
            serves,
            connection,
            principal: Principal::anonymous(),
            request_id,
        },
        prefix: said.prefix,
    };
    let login = gateway.settings.login;
    match decide(&gateway.gate, login, operator, &parts.headers, &said.hosts) {
        Ok(principal) => {
            admitted.caller.principal = principal;
            Ok(admitted)
        }
        Err(foreign) => Err(Box::new(refuse::turn_away(foreign, &admitted))),
    }
}

/// Decides who the user of a request is, or why it is refused; `forwarded` are the hosts that trusted
/// proxies name.
fn decide(
    gate: &Gate,
    login: Login,
    operator: bool,
    headers: &HeaderMap,
    forwarded: &[String],
) -> Result<Principal, Foreign> {
    if !operator {
        gate.check(headers, forwarded)?;
    }
    match login {
        Login::None => Ok(Principal::anonymous()),
    }
}

// === impl Admitted ===

impl Admitted<'_> {
    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// Counts and logs why the request is refused; `detail` is the offending value, if it is no secret.
    pub(crate) fn refused(&self, reason: Refused, detail: &str) {
        let (peer, request_id) = (self.caller.address, Some(&self.caller.request_id));
        RefusedRequest { reason, peer, request_id, detail }.emit(&self.gateway.metrics);
    }
}

// === impl Caller ===

impl Caller {
    /// The other end of the connection, with the address that trusted proxies name.
    pub(crate) fn peer(&self) -> Peer {
        let Self { address, operator, serves, connection, .. } = *self;
        Peer { address, operator, serves, connection }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};
    use mainstay_model::Principal;
    use mainstay_model::settings::{GatewaySettings, Login};

    use super::super::gate::{Foreign, Gate};
    use super::decide;

    #[test]
    fn the_gate_stands_before_everything_and_not_before_the_operator() {
        let gate = Gate::new(&GatewaySettings::default());
        let anonymous = || Ok(Principal::anonymous());
        for (operator, host, origin, forwarded, expected) in [
            (false, "localhost", None, None, anonymous()),
            (false, "evil.example", None, None, Err(Foreign::Host)),
            (false, "localhost", Some("https://evil.example"), None, Err(Foreign::Origin)),
            (false, "localhost", None, Some("evil.example"), Err(Foreign::ForwardedHost)),
            (true, "evil.example", None, None, anonymous()),
            (true, "localhost", Some("https://evil.example"), None, anonymous()),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("host", HeaderValue::from_static(host));
            if let Some(origin) = origin {
                headers.insert("origin", HeaderValue::from_static(origin));
            }
            let forwarded: Vec<_> = forwarded.into_iter().map(str::to_owned).collect();
            let decided = decide(&gate, Login::None, operator, &headers, &forwarded);
            assert_eq!(decided, expected, "{operator} {host} {origin:?} {forwarded:?}");
        }
    }
}
