//! The host that a request is for (RFC 9112, section 3.2).

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Version, header};

/// Why it is unclear which host a request is for, or which page sends it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadTarget {
    #[error("a request of HTTP/1.1 must have a Host header")]
    NoHost,
    #[error("a request must not have two Host headers")]
    TwoHosts,
    #[error("a request must not have two Origin headers")]
    TwoOrigins,
}

/// Returns the host that a request is for: that of the address in its first line, otherwise that of
/// its `Host` header. None: an HTTP/1.0 request without either, which no browser sends.
///
/// # Errors
/// Where headers are missing or repeated. A proxy could read the other one.
pub(crate) fn host(parts: &Parts) -> Result<Option<&[u8]>, BadTarget> {
    let headers = &parts.headers;
    // Nearly all requests have no header twice.
    if headers.len() != headers.keys_len() {
        refuse_twice(headers, &header::HOST, BadTarget::TwoHosts)?;
        refuse_twice(headers, &header::ORIGIN, BadTarget::TwoOrigins)?;
    }
    let host = headers.get(header::HOST);
    if host.is_none() && parts.version >= Version::HTTP_11 {
        return Err(BadTarget::NoHost);
    }
    match parts.uri.authority() {
        Some(named) => Ok(Some(named.as_str().as_bytes())),
        None => Ok(host.map(HeaderValue::as_bytes)),
    }
}

fn refuse_twice(
    headers: &HeaderMap,
    name: &HeaderName,
    problem: BadTarget,
) -> Result<(), BadTarget> {
    if headers.get_all(name).iter().nth(1).is_some() { Err(problem) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use http::{Request, Version};

    use super::{BadTarget, host};

    #[test]
    fn the_address_of_the_first_line_counts_before_the_host_header() {
        let new = Version::HTTP_11;
        for (uri, version, headers, expected) in [
            ("/mcp", new, &[("host", "a:1")][..], Ok(Some("a:1"))),
            ("/mcp", new, &[], Err(BadTarget::NoHost)),
            ("/mcp", Version::HTTP_10, &[], Ok(None)),
            ("/mcp", new, &[("host", "a"), ("host", "a")], Err(BadTarget::TwoHosts)),
            ("/mcp", Version::HTTP_10, &[("host", "a"), ("host", "b")], Err(BadTarget::TwoHosts)),
            ("http://b:2/mcp", new, &[("host", "a")], Ok(Some("b:2"))),
            ("http://b/mcp", new, &[], Err(BadTarget::NoHost)),
            ("http://b/mcp", Version::HTTP_10, &[], Ok(Some("b"))),
            (
                "/mcp",
                new,
                &[("host", "a"), ("origin", "http://a"), ("origin", "http://b")],
                Err(BadTarget::TwoOrigins),
            ),
        ] {
            let mut request = Request::builder().uri(uri).version(version);
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let parts = request.body(()).unwrap().into_parts().0;
            let found = host(&parts).map(|host| host.map(|host| str::from_utf8(host).unwrap()));
            assert_eq!(found, expected, "{uri} {version:?} {headers:?}");
        }
    }
}
