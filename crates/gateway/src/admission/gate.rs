//! Checks the `Host` and `Origin` of a request before anything else.
//!
//! A page in a browser can be made to send requests to loopback addresses (DNS rebinding), but it
//! can't choose these two headers.

use http::uri::Authority;
use http::{HeaderMap, Uri, header};
use mainstay_model::settings::GatewaySettings;

/// The allowed hosts and origins.
#[derive(Debug)]
pub(crate) struct Gate {
    hosts: Vec<String>,
    origins: Vec<String>,
}

/// The header that is not allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ForeignHeader {
    Host,
    /// The host that a trusted proxy forwards.
    ForwardedHost,
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
        if let Some(url) = &settings.public_url {
            hosts.push(url.host().to_owned());
            origins.push(url.origin());
        }
        Self { hosts, origins }
    }

    /// Checks a request by the host that it is for and its headers. `forwarded` are the hosts that
    /// trusted proxies name. They count besides the host, not in its place: a page in a browser on a
    /// trusted machine can write the headers of a proxy, but not `Host`.
    ///
    /// # Errors
    /// Which of the headers is not allowed.
    pub(crate) fn check(
        &self,
        host: Option<&[u8]>,
        headers: &HeaderMap,
        forwarded: &[String],
    ) -> Result<(), ForeignHeader> {
        // A request without a host (HTTP/1.0) can't come from a browser.
        if let Some(host) = host
            && !is_plain_loopback(host)
            && !self.host_allowed(host)
        {
            return Err(ForeignHeader::Host);
        }
        if !forwarded.iter().all(|host| self.host_allowed(host.as_bytes())) {
            return Err(ForeignHeader::ForwardedHost);
        }
        match headers.get(header::ORIGIN) {
            Some(origin) if !self.origin_allowed(origin.as_bytes()) => Err(ForeignHeader::Origin),
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

/// Whether the host is `127.0.0.1` or `localhost` with a port, as in nearly every request.
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
    use mainstay_model::PublicUrl;
    use mainstay_model::settings::GatewaySettings;

    use super::{ForeignHeader, Gate};

    #[test]
    fn only_our_own_names_are_let_in() {
        let gate = Gate::new(&GatewaySettings {
            public_url: PublicUrl::try_new("https://tools.example.com/mcp").ok(),
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
            ("evil.com", None, Err(ForeignHeader::Host)),
            ("127.0.0.1.evil.com:8000", None, Err(ForeignHeader::Host)),
            ("localhost:x@evil.com", None, Err(ForeignHeader::Host)),
            ("127.0.0.1:8000", Some("http://evil.com"), Err(ForeignHeader::Origin)),
            ("127.0.0.1:8000", Some("null"), Err(ForeignHeader::Origin)),
            ("127.0.0.1:8000", Some("http://localhost.evil.com"), Err(ForeignHeader::Origin)),
            ("127.0.0.1:8000", Some("file://"), Err(ForeignHeader::Origin)),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            }
            assert_eq!(
                gate.check(Some(host.as_bytes()), &headers, &[]),
                expected,
                "{host} {origin:?}"
            );
        }
    }

    #[test]
    fn a_forwarded_host_counts_beside_the_host() {
        let gate = Gate::new(&GatewaySettings {
            public_url: PublicUrl::try_new("https://tools.example.com/mcp").ok(),
            ..GatewaySettings::default()
        });
        for (host, forwarded, expected) in [
            ("127.0.0.1:8000", &["tools.example.com"][..], Ok(())),
            ("tools.example.com", &["tools.example.com:443", "localhost"], Ok(())),
            (
                "127.0.0.1:8000",
                &["tools.example.com", "evil.com"],
                Err(ForeignHeader::ForwardedHost),
            ),
            ("127.0.0.1:8000", &["not a host"], Err(ForeignHeader::ForwardedHost)),
            ("evil.com", &["tools.example.com"], Err(ForeignHeader::Host)),
        ] {
            let forwarded: Vec<_> = forwarded.iter().map(|&host| host.to_owned()).collect();
            let decided = gate.check(Some(host.as_bytes()), &HeaderMap::new(), &forwarded);
            assert_eq!(decided, expected, "{host} {forwarded:?}");
        }
    }
}
