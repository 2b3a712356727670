//! The address of a remote server, and the headers of every request to it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use mainstay_model::settings::RemoteSpec;
use rustls::pki_types::ServerName;
use url::Url;

use crate::tls;

/// A checked address with the headers that every request carries.
#[derive(Debug)]
pub struct Target {
    pub(super) host: String,
    pub(super) port: u16,
    /// Path and query.
    pub(super) path: Uri,
    pub(super) headers: HeaderMap,
    pub(super) tls: Option<Tls>,
    /// The base of relative addresses that the server names.
    base: Url,
    /// The transport that the server was last found to speak, as a [`KnownTransport`].
    known: AtomicU8,
}

/// The known transport of the server at an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum KnownTransport {
    Unknown,
    StreamableHttp,
    /// HTTP+SSE of 2024-11-05, and nothing later.
    Sse,
}

pub(super) struct Tls {
    pub(super) name: ServerName<'static>,
    pub(super) config: Arc<rustls::ClientConfig>,
}

/// Why a configured URL or header can't be used. Never holds a header's value.
#[derive(Debug, thiserror::Error)]
pub enum InvalidTarget {
    #[error("{url:?} is not a URL: {source}")]
    Url { url: String, source: http::uri::InvalidUri },
    #[error("{0:?} is not http:// or https:// with a host")]
    Incomplete(String),
    #[error("header {0:?} is not a header name, or its value has characters a header can't have")]
    Header(String),
    #[error("{0:?} is not a host name TLS can check")]
    Host(String),
    #[error("TLS can't be set up")]
    Tls(#[source] rustls::Error),
}

impl Target {
    /// # Errors
    /// When the URL or a header can't be used; nothing is opened yet.
    pub fn new(spec: &RemoteSpec) -> Result<Self, InvalidTarget> {
        let uri: Uri = spec
            .url
            .parse()
            .map_err(|source| InvalidTarget::Url { url: spec.url.clone(), source })?;
        let incomplete = || InvalidTarget::Incomplete(spec.url.clone());
        let host = uri.host().ok_or_else(incomplete)?;
        let secure = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(incomplete()),
        };
        let bare_host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let path =
            path.parse().map_err(|source| InvalidTarget::Url { url: spec.url.clone(), source })?;
        let mut headers = HeaderMap::with_capacity(8);
        for (name, value) in &spec.headers {
            let invalid = || InvalidTarget::Header(name.clone());
            let key: HeaderName = name.parse().map_err(|_| invalid())?;
            let mut secret = HeaderValue::from_str(value.expose()).map_err(|_| invalid())?;
            secret.set_sensitive(true);
            headers.insert(key, secret);
        }
        let authority = uri.authority().ok_or_else(incomplete)?.as_str();
        let host_header = HeaderValue::from_str(authority).map_err(|_| incomplete())?;
        headers.insert(header::HOST, host_header);
        let tls = if secure {
            let name = ServerName::try_from(bare_host.clone())
                .map_err(|_| InvalidTarget::Host(bare_host.clone()))?;
            Some(Tls { name, config: tls::client().map_err(InvalidTarget::Tls)? })
        } else {
            None
        };
        let base = Url::parse(&spec.url).map_err(|_| incomplete())?;
        let known = AtomicU8::new(KnownTransport::Unknown as u8);
        Ok(Self { host: bare_host, port, path, headers, tls, base, known })
    }

    /// The transport that the server was last found to speak.
    pub(crate) fn known_transport(&self) -> KnownTransport {
        match self.known.load(Ordering::Relaxed) {
            known if known == KnownTransport::StreamableHttp as u8 => {
                KnownTransport::StreamableHttp
            }
            known if known == KnownTransport::Sse as u8 => KnownTransport::Sse,
            _ => KnownTransport::Unknown,
        }
    }

    /// Keeps a detected transport, so that the next link needs no detection.
    pub(crate) fn remember(&self, transport: KnownTransport) {
        self.known.store(transport as u8, Ordering::Relaxed);
    }

    /// Path and query of the address that a stream names for messages, or why the address is
    /// refused: messages carry credentials meant for this server and no other.
    pub(super) fn posts_to(&self, named: &[u8]) -> Result<Uri, String> {
        let named = std::str::from_utf8(named).unwrap_or_default().trim();
        let unusable = || "the stream names no usable address to post to".to_owned();
        let address = self.base.join(named).map_err(|_| unusable())?;
        if address.origin() != self.base.origin() {
            return Err(format!(
                "the stream names an address at {} to post to, which is not where it comes from ({})",
                address.origin().ascii_serialization(),
                self.base.origin().ascii_serialization(),
            ));
        }
        let query = address.query().map(|query| format!("?{query}")).unwrap_or_default();
        format!("{}{query}", address.path()).parse().map_err(|_| unusable())
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tls({:?})", self.name)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use mainstay_model::settings::RemoteSpec;

    use super::Target;

    #[test]
    fn messages_are_posted_only_to_where_the_stream_comes_from() {
        let url = "https://example.com/tools/sse?key=1".to_owned();
        let target = Target::new(&RemoteSpec { url, headers: BTreeMap::new() }).unwrap();
        for (named, expected) in [
            ("/messages?sessionId=1", Some("/messages?sessionId=1")),
            ("messages/?session_id=1", Some("/tools/messages/?session_id=1")),
            ("?sessionId=1", Some("/tools/sse?sessionId=1")),
            ("https://example.com/m", Some("/m")),
            ("https://example.com:443/m", Some("/m")),
            ("//example.com/m", Some("/m")),
            (" /m#part ", Some("/m")),
            ("/a b", Some("/a%20b")),
            ("http://example.com/m", None),
            ("https://example.com:8443/m", None),
            ("//evil.example/m", None),
            ("https://example.com@evil.example/m", None),
            ("file:///etc/passwd", None),
            ("data:,x", None),
        ] {
            let address = target.posts_to(named.as_bytes()).ok();
            assert_eq!(address.map(|uri| uri.to_string()).as_deref(), expected, "{named}");
        }
        let refused = target.posts_to(b"https://evil.example/m?token=secret").unwrap_err();
        assert!(refused.contains("https://evil.example"), "{refused}");
        assert!(!refused.contains("secret"), "{refused}");
    }
}
