//! Admits requests or refuses them: [`crate::admission`] decides, this module responds.

use std::sync::Arc;

use http::request::Parts;
use mainstay_model::Principal;
use mainstay_telemetry::CorrelationId;

use super::admitted::Admitted;
use super::refuse;
use crate::admission::target;
use crate::answer::HttpAnswer;
use crate::caller::{Caller, Peer};
use crate::gateway::Gateway;

/// Admits a request, or returns a response that reveals nothing about the daemon.
pub(super) fn admit<'a>(
    gateway: &'a Arc<Gateway>,
    parts: &'a Parts,
    peer: Peer,
    request_id: CorrelationId,
) -> Result<Admitted<'a>, Box<HttpAnswer>> {
    let target = target::host(parts);
    let host = target.unwrap_or_default();
    let (forwarded, decision) = gateway.admission().decide(&peer, host, &parts.headers);
    let Peer { address, operator, uid, serves, connection } = peer;
    let mut admitted = Admitted {
        gateway,
        parts,
        caller: Caller {
            address: forwarded.client.or(address),
            operator,
            uid,
            serves,
            connection,
            principal: Principal::anonymous(),
            request_id,
        },
        prefix: forwarded.prefix,
    };
    let refused = match (target, decision) {
        (Err(bad), _) => refuse::bad_target(bad, &admitted),
        (Ok(_), Ok(principal)) => {
            admitted.caller.principal = principal;
            return Ok(admitted);
        }
        (Ok(host), Err(foreign)) => {
            let host = str::from_utf8(host.unwrap_or_default()).unwrap_or_default();
            refuse::foreign_header(foreign, host, &admitted)
        }
    };
    Err(Box::new(refused))
}
