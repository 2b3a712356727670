//! The URL of the gateway as clients see it through a reverse proxy.
//!
//! The public URL maps to the daemon's own `/mcp`. All other paths are below it: `/mcp/NAME` is
//! `URL/NAME`, `/sse` is `URL/sse`, the address that HTTP+SSE clients post to is `URL/messages`, and
//! `/health` is `URL/health`. Pages are at `URL/services/NAME/…` and `URL/pages/NAME/…`.
//! Two daemons can share a host if one has the path `/mcp` and the other `/mcp/dev`.

use std::fmt;

use serde::{Serialize, Serializer};

/// A URL with the scheme `http` or `https`, a host, an optional port and a path. The path defaults to
/// `/mcp`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl {
    https: bool,
    authority: String,
    /// The path: starts with `/`, does not end with `/`, and is never just `/`.
    path: String,
}

/// The error for a text that is not a valid [`PublicUrl`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPublicUrl {
    #[error("it must start with http:// or https:// and name a host")]
    Host,
    #[error("it can't have a `?` or `#` part, because other addresses are built on it")]
    End,
    #[error("its path may contain only letters, digits, `-`, `.`, `_`, `~` and single slashes")]
    Path,
}

/// The daemon's own path that the public URL maps to.
const ROOT: &str = "/mcp";
/// Paths of the daemon that keep their name below the public URL.
const BESIDE: [&str; 5] = ["/sse", "/messages", "/health", "/services", "/pages"];

// === impl PublicUrl ===

impl PublicUrl {
    /// Parses a public URL.
    ///
    /// # Errors
    /// [`InvalidPublicUrl`] names the part of the URL that is wrong.
    pub fn try_new(text: &str) -> Result<Self, InvalidPublicUrl> {
        let (https, rest) = match (text.strip_prefix("https://"), text.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (None, Some(rest)) => (false, rest),
            (None, None) => return Err(InvalidPublicUrl::Host),
        };
        if rest.contains(['?', '#']) {
            return Err(InvalidPublicUrl::End);
        }
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let is_authority = |b: u8| b.is_ascii_alphanumeric() || b".-_:[]".contains(&b);
        if authority.is_empty() || !authority.bytes().all(is_authority) {
            return Err(InvalidPublicUrl::Host);
        }
        let path = match path.trim_end_matches('/') {
            "" => ROOT,
            path => path,
        };
        let is_path = |b: u8| b.is_ascii_alphanumeric() || b"-._~/".contains(&b);
        if !path.bytes().all(is_path) || path.contains("//") {
            return Err(InvalidPublicUrl::Path);
        }
        Ok(Self { https, authority: authority.to_ascii_lowercase(), path: path.to_owned() })
    }

    pub fn is_https(&self) -> bool {
        self.https
    }

    /// The host, and the port if the URL has one.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The host without a port; an IPv6 address in brackets.
    pub fn host(&self) -> &str {
        match self.authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => host,
            _ => &self.authority,
        }
    }

    /// The port, or the default port of the scheme.
    pub fn port(&self) -> Option<u16> {
        match self.authority.rsplit_once(':') {
            Some((_, port)) if !port.ends_with(']') => port.parse().ok(),
            _ => Some(if self.https { 443 } else { 80 }),
        }
    }

    /// The origin (scheme, host, port) as browsers send it in `Origin`.
    pub fn origin(&self) -> String {
        format!("{}://{}", if self.https { "https" } else { "http" }, self.authority)
    }

    /// The public path that maps to `/mcp`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The public URL of one of the daemon's own paths (`/mcp…`, `/sse…` or `/messages`).
    pub fn url_for(&self, own: &str) -> String {
        format!("{}{}", self.origin(), self.public_path(own))
    }

    /// The public path of one of the daemon's own paths.
    pub fn public_path(&self, own: &str) -> String {
        format!("{}{}", self.path, own.strip_prefix(ROOT).unwrap_or(own))
    }

    /// The daemon's own path for a public path. `None` if the path is not below the public URL. Serves
    /// proxies that forward paths unchanged.
    pub fn own_path(&self, path: &str) -> Option<String> {
        let below = path.strip_prefix(&self.path)?;
        let is =
            |own: &str| below.strip_prefix(own).is_some_and(|b| b.is_empty() || b.starts_with('/'));
        match below {
            _ if BESIDE.iter().any(|own| is(own)) => Some(below.to_owned()),
            _ if below.is_empty() || below.starts_with('/') => Some(format!("{ROOT}{below}")),
            _ => None,
        }
    }
}

impl fmt::Display for PublicUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin(), self.path)
    }
}

impl Serialize for PublicUrl {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::{InvalidPublicUrl, PublicUrl};

    #[test]
    fn it_is_taken_apart() {
        for (text, origin, host, port, path) in [
            ("https://x.example", "https://x.example", "x.example", 443, "/mcp"),
            ("http://x.example/", "http://x.example", "x.example", 80, "/mcp"),
            (
                "https://X.example:8443/mcp/dev/",
                "https://x.example:8443",
                "x.example",
                8443,
                "/mcp/dev",
            ),
            ("http://[::1]:9/a", "http://[::1]:9", "[::1]", 9, "/a"),
            ("http://[::1]/a", "http://[::1]", "[::1]", 80, "/a"),
        ] {
            let url = PublicUrl::try_new(text).unwrap();
            assert_eq!(
                (&*url.origin(), url.host(), url.port(), url.path()),
                (origin, host, Some(port), path),
                "{text}"
            );
            assert_eq!(url.to_string(), format!("{origin}{path}"));
        }
    }

    #[test]
    fn what_is_none() {
        for (text, why) in [
            ("", InvalidPublicUrl::Host),
            ("ftp://x/", InvalidPublicUrl::Host),
            ("https:///mcp", InvalidPublicUrl::Host),
            ("https://u@x/mcp", InvalidPublicUrl::Host),
            ("https://x/mcp?a", InvalidPublicUrl::End),
            ("https://x/#a", InvalidPublicUrl::End),
            ("https://x/a b", InvalidPublicUrl::Path),
            ("https://x/a;b", InvalidPublicUrl::Path),
            ("https://x/a%2fb", InvalidPublicUrl::Path),
            ("https://x/a//b", InvalidPublicUrl::Path),
        ] {
            assert_eq!(PublicUrl::try_new(text), Err(why), "{text}");
        }
    }

    #[test]
    fn there_and_back() {
        for (url, own, public) in [
            ("https://x", "/mcp", "/mcp"),
            ("https://x", "/mcp/files", "/mcp/files"),
            ("https://x", "/sse", "/mcp/sse"),
            ("https://x/mcp/dev", "/mcp", "/mcp/dev"),
            ("https://x/mcp/dev", "/mcp/files", "/mcp/dev/files"),
            ("https://x/mcp/dev", "/sse/files", "/mcp/dev/sse/files"),
            ("https://x/mcp/dev", "/messages", "/mcp/dev/messages"),
            ("https://x/mcp/dev", "/health/live", "/mcp/dev/health/live"),
            ("https://x/mcp/dev", "/services/db/health", "/mcp/dev/services/db/health"),
            ("https://x/mcp/dev", "/pages/a/web-ui/", "/mcp/dev/pages/a/web-ui/"),
            ("https://x/tools", "/mcp", "/tools"),
        ] {
            let url = PublicUrl::try_new(url).unwrap();
            assert_eq!(url.public_path(own), public, "{url} {own}");
            assert_eq!(url.own_path(public).as_deref(), Some(own), "{url} {public}");
        }
        let url = PublicUrl::try_new("https://x/mcp/dev").unwrap();
        assert_eq!(url.own_path("/mcp/devices"), None);
        assert_eq!(url.own_path("/mcp"), None);
        assert_eq!(url.own_path("/mcp/dev/ssex").as_deref(), Some("/mcp/ssex"));
    }
}
