//! Who may knock: the `Host` and `Origin` of a request, before anything else is looked at.
//!
//! A page in a browser can be made to send requests to loopback addresses (DNS rebinding); what it
//! can't do is choose these two headers.

use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Uri, header};
use mainstay_model::settings::GatewaySettings;

/// What is let in.
#[derive(Debug)]
pub(crate) struct Gate {
    hosts: Vec<String>,
    origins: Vec<String>,
}

/// Why a request is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Foreign {
    Host,
    Origin,
}

impl Gate {
    pub(crate) fn new(settings: &GatewaySettings) -> Self {
        let mut hosts: Vec<_> = settings.allowed_hosts.iter().map(|host| lower(host)).collect();
        let mut origins: Vec<_> = settings
            .allowed_origins
            .iter()
            .map(|origin| lower(origin.trim_end_matches('/')))
            .collect();
        let listening = [Some(settings.listen), settings.sse_listen];
        for ip in listening.into_iter().flatten().map(|address| address.ip()) {
            if !ip.is_unspecified() {
                hosts.push(match ip {
                    std::net::IpAddr::V4(ip) => ip.to_string(),
                    std::net::IpAddr::V6(ip) => format!("[{ip}]"),
                });
            }
        }
        if let Some(uri) = settings.public_url.as_ref().and_then(|url| url.parse::<Uri>().ok())
            && let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority())
        {
            hosts.push(lower(authority.host()));
            origins.push(lower(&format!("{scheme}://{authority}")));
        }
        Self { hosts, origins }
    }

    /// # Errors
    /// Which of the two headers is foreign.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<(), Foreign> {
        let host = headers.get(header::HOST).map(HeaderValue::as_bytes);
        // A request without a host (HTTP/1.0) can't come from a browser.
        if let Some(host) = host
            && !is_plain_loopback(host)
            && !self.host_allowed(host)
        {
            return Err(Foreign::Host);
        }
        match headers.get(header::ORIGIN) {
            Some(origin) if !self.origin_allowed(origin.as_bytes()) => Err(Foreign::Origin),
            _ => Ok(()),
        }
    }

    fn host_allowed(&self, host: &[u8]) -> bool {
        let Ok(authority) = Authority::try_from(host) else { return false };
        let host = lower(authority.host());
        is_loopback(&host)
            || self.hosts.contains(&host)
            || self.hosts.iter().any(|allowed| *allowed == lower(authority.as_str()))
    }

    fn origin_allowed(&self, origin: &[u8]) -> bool {
        let Ok(origin) = std::str::from_utf8(origin) else { return false };
        let origin = lower(origin);
        if self.origins.contains(&origin) {
            return true;
        }
        origin.parse::<Uri>().is_ok_and(|uri| {
            matches!(uri.scheme_str(), Some("http" | "https"))
                && uri.host().is_some_and(is_loopback)
        })
    }
}

pub(crate) fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// `127.0.0.1` or `localhost` with a port: what nearly every request says.
fn is_plain_loopback(host: &[u8]) -> bool {
    host.strip_prefix(b"127.0.0.1:")
        .or_else(|| host.strip_prefix(b"localhost:"))
        .is_some_and(|port| port.iter().all(u8::is_ascii_digit))
}

fn lower(text: &str) -> String {
    text.to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, header};
    use mainstay_model::settings::GatewaySettings;

    use super::{Foreign, Gate};

    #[test]
    fn only_our_own_names_are_let_in() {
        let gate = Gate::new(&GatewaySettings {
            public_url: Some("https://tools.example.com/mcp".into()),
            allowed_hosts: vec!["inner.example.com".into()],
            allowed_origins: vec!["https://app.example.com".into()],
            ..GatewaySettings::default()
        });
        for (host, origin, expected) in [
            ("127.0.0.1:8000", None, Ok(())),
            ("localhost", None, Ok(())),
            ("[::1]:8000", None, Ok(())),
            ("LOCALHOST:1", Some("http://localhost:5173"), Ok(())),
            ("tools.example.com", Some("https://tools.example.com"), Ok(())),
            ("inner.example.com:9", Some("https://app.example.com"), Ok(())),
            ("evil.com", None, Err(Foreign::Host)),
            ("127.0.0.1.evil.com:8000", None, Err(Foreign::Host)),
            ("localhost:x@evil.com", None, Err(Foreign::Host)),
            ("127.0.0.1:8000", Some("http://evil.com"), Err(Foreign::Origin)),
            ("127.0.0.1:8000", Some("null"), Err(Foreign::Origin)),
            ("127.0.0.1:8000", Some("http://localhost.evil.com"), Err(Foreign::Origin)),
            ("127.0.0.1:8000", Some("file://"), Err(Foreign::Origin)),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static(host));
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            }
            assert_eq!(gate.check(&headers), expected, "{host} {origin:?}");
        }
    }
}
