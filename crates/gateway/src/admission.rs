//! Decides who may send requests, before the path of a request is looked at, so that a refused
//! caller learns from no response which servers there are. The order:
//!
//! 1. the address of the caller, as trusted proxies name it ([`forwarded`]);
//! 2. the host that the request is for ([`target`]) and `Origin`, unless the request comes over the
//!    command socket ([`gate`]);
//! 3. the login: who the user is.

pub(crate) mod forwarded;
pub(crate) mod gate;
pub(crate) mod target;

use http::HeaderMap;
use mainstay_model::Principal;
use mainstay_model::settings::{GatewaySettings, Login};

use self::forwarded::{ForwardedInfo, Proxies};
use self::gate::{ForeignHeader, Gate};
use crate::caller::Peer;

/// The rules of the configuration about who may send requests.
#[derive(Debug)]
pub(crate) struct Admission {
    proxies: Proxies,
    gate: Gate,
    login: Login,
}

// === impl Admission ===

impl Admission {
    pub(crate) fn new(settings: &GatewaySettings) -> Self {
        let proxies = Proxies::new(settings.trusted_proxies.clone());
        Self { proxies, gate: Gate::new(settings), login: settings.login }
    }

    /// Returns what trusted proxies say about a request, and its user or why it is refused. `host` is
    /// the host that the request is for.
    pub(crate) fn decide(
        &self,
        peer: &Peer,
        host: Option<&[u8]>,
        headers: &HeaderMap,
    ) -> (ForwardedInfo, Result<Principal, ForeignHeader>) {
        let forwarded = self.proxies.read(peer.address, headers);
        let decision = self.check(peer.operator, host, headers, &forwarded.hosts);
        (forwarded, decision)
    }

    /// Checks the host and `Origin`, and returns the user. `forwarded` are the hosts that trusted
    /// proxies name.
    fn check(
        &self,
        operator: bool,
        host: Option<&[u8]>,
        headers: &HeaderMap,
        forwarded: &[String],
    ) -> Result<Principal, ForeignHeader> {
        if !operator {
            self.gate.check(host, headers, forwarded)?;
        }
        match self.login {
            Login::None => Ok(Principal::anonymous()),
        }
    }
}

/// Whether requests for this host are accepted by these settings. They are refused with 421 otherwise.
pub fn allows_host(settings: &GatewaySettings, host: &str) -> bool {
    Gate::new(settings).check(Some(host.as_bytes()), &HeaderMap::new(), &[]).is_ok()
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};
    use mainstay_model::Principal;
    use mainstay_model::settings::GatewaySettings;

    use super::Admission;
    use super::gate::ForeignHeader;

    #[test]
    fn the_gate_stands_before_everything_and_not_before_the_operator() {
        let admission = Admission::new(&GatewaySettings::default());
        let anonymous = || Ok(Principal::anonymous());
        for (operator, host, origin, forwarded, expected) in [
            (false, "localhost", None, None, anonymous()),
            (false, "evil.example", None, None, Err(ForeignHeader::Host)),
            (false, "localhost", Some("https://evil.example"), None, Err(ForeignHeader::Origin)),
            (false, "localhost", None, Some("evil.example"), Err(ForeignHeader::ForwardedHost)),
            (true, "evil.example", None, None, anonymous()),
            (true, "localhost", Some("https://evil.example"), None, anonymous()),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(origin) = origin {
                headers.insert("origin", HeaderValue::from_static(origin));
            }
            let forwarded: Vec<_> = forwarded.into_iter().map(str::to_owned).collect();
            let decided = admission.check(operator, Some(host.as_bytes()), &headers, &forwarded);
            assert_eq!(decided, expected, "{operator} {host} {origin:?} {forwarded:?}");
        }
    }
}
