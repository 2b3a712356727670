//! The address of a remote server, and the headers of every request to it.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use mainstay_model::settings::RemoteSpec;
use rustls::pki_types::ServerName;
use url::{Position, Url};

use super::proxy::Proxy;
use super::renewals::Renewals;
use super::retry_after::Rest;
use crate::secrets::Secrets;
use crate::tls;

/// A checked address with the headers that every request carries.
#[derive(Debug)]
pub struct Target {
    pub(super) host: String,
    pub(super) port: u16,
    /// The address of requests: path and query, or all of it for a proxy that is told where to.
    pub(super) address: Uri,
    pub(super) headers: HeaderMap,
    /// Whether the configuration gives credentials, as a header or in the URL.
    pub(super) has_credentials: bool,
    pub(super) tls: Option<Tls>,
    pub(super) proxy: Option<Proxy>,
    /// The base of relative addresses that the server names.
    pub(super) base: Url,
    /// The transport that the server was last found to speak, as a [`KnownTransport`].
    known: AtomicU8,
    secrets: Secrets,
    /// Until when the server wants to be left alone.
    pub(super) rest: Rest,
    pub(super) renewals: Renewals,
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

/// Why a configured URL or header can't be used. Never holds a header's value, nor more of the URL
/// than its host.
#[derive(Debug, thiserror::Error)]
pub enum InvalidTarget {
    #[error("`url` is not a URL: {0}")]
    Url(url::ParseError),
    #[error("`url` is not http:// or https:// with a host")]
    Incomplete,
    #[error("header {0:?} is not a header name, or its value has characters a header can't have")]
    Header(String),
    #[error("{0:?} is not a host name TLS can check")]
    Host(String),
    #[error("TLS can't be set up")]
    Tls(#[source] rustls::Error),
    #[error("{0}")]
    Proxy(String),
}

/// What Mainstay calls itself.
const USER_AGENT: &str = concat!("mainstay/", env!("CARGO_PKG_VERSION"));
/// Parts of the names of headers that carry credentials.
const CREDENTIALS: [&str; 7] =
    ["auth", "key", "token", "secret", "cookie", "password", "credential"];

impl Target {
    /// # Errors
    /// When the URL or a header can't be used; nothing is opened yet.
    pub fn new(spec: &RemoteSpec) -> Result<Self, InvalidTarget> {
        let base = Url::parse(spec.url.expose()).map_err(InvalidTarget::Url)?;
        let secure = match base.scheme() {
            "http" => false,
            "https" => true,
            _ => return Err(InvalidTarget::Incomplete),
        };
        let host = base.host_str().filter(|host| !host.is_empty());
        let host = host.ok_or(InvalidTarget::Incomplete)?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = base.port_or_known_default().ok_or(InvalidTarget::Incomplete)?;
        let proxy = match &spec.proxy {
            Some(proxy) => Some(Proxy::new(proxy).map_err(InvalidTarget::Proxy)?),
            None => None,
        };
        let tells_proxy = proxy.is_some() && !secure;
        let address = address(&base, tells_proxy).ok_or(InvalidTarget::Incomplete)?;
        let mut headers = HeaderMap::with_capacity(12);
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        for (name, value) in &spec.headers {
            let invalid = || InvalidTarget::Header(name.clone());
            let key: HeaderName = name.parse().map_err(|_| invalid())?;
            let mut secret = HeaderValue::from_str(value.expose()).map_err(|_| invalid())?;
            secret.set_sensitive(true);
            headers.insert(key, secret);
        }
        let authority = &base[Position::BeforeHost..Position::AfterPort];
        let host_header =
            HeaderValue::from_str(authority).map_err(|_| InvalidTarget::Incomplete)?;
        headers.insert(header::HOST, host_header);
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(authorization) = proxy.as_ref().and_then(|proxy| proxy.authorization.clone())
            && tells_proxy
        {
            headers.insert(header::PROXY_AUTHORIZATION, authorization);
        }
        let tls = if secure {
            let name = ServerName::try_from(host.clone())
                .map_err(|_| InvalidTarget::Host(host.clone()))?;
            Some(Tls { name, config: tls::client().map_err(InvalidTarget::Tls)? })
        } else {
            None
        };
        let named = |name: &str| CREDENTIALS.iter().any(|part| name.contains(part));
        let has_credentials = base.query().is_some()
            || spec.headers.keys().any(|name| named(&name.to_ascii_lowercase()));
        Ok(Self {
            host,
            port,
            address,
            headers,
            has_credentials,
            tls,
            proxy,
            secrets: Secrets::of_remote(spec, &base),
            base,
            known: AtomicU8::new(KnownTransport::Unknown as u8),
            rest: Rest::default(),
            renewals: Renewals::default(),
        })
    }

    /// Host and port, as a proxy is told.
    pub(super) fn authority(&self) -> String {
        let host = self.base.host_str().unwrap_or_default();
        format!("{host}:{}", self.port)
    }

    /// Scheme, host and port.
    pub fn origin(&self) -> String {
        self.base.origin().ascii_serialization()
    }

    /// How long the server wants to be left alone.
    pub(crate) fn asked_to_rest(&self) -> Option<Duration> {
        self.rest.left(Instant::now())
    }

    /// The text without values of headers, and without parts of the URL that may be keys.
    pub(crate) fn hide<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.secrets.hide(text)
    }

    /// The address of a request to `url`, which is at this origin.
    pub(super) fn at(&self, url: &Url) -> Option<Uri> {
        address(url, self.proxy.is_some() && self.tls.is_none())
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

    /// The address that a stream from `from` names for messages, or why the address is refused:
    /// messages carry credentials meant for this server and no other.
    pub(super) fn posts_to(&self, from: &Uri, named: &[u8]) -> Result<Uri, String> {
        let named = std::str::from_utf8(named).unwrap_or_default().trim();
        let unusable = || "the stream names no usable address to post to".to_owned();
        let base = self.base.join(from.path_and_query().map_or("/", |path| path.as_str()));
        let address = base.and_then(|base| base.join(named)).map_err(|_| unusable())?;
        if address.origin() != self.base.origin() {
            return Err(format!(
                "the stream names an address at {} to post to, which is not where it comes from ({})",
                address.origin().ascii_serialization(),
                self.origin(),
            ));
        }
        self.at(&address).ok_or_else(unusable)
    }
}

/// Path and query of a URL, or all of it but the fragment and the user.
fn address(url: &Url, whole: bool) -> Option<Uri> {
    let path = &url[Position::BeforePath..Position::AfterQuery];
    let origin = if whole { url.origin().ascii_serialization() } else { String::new() };
    format!("{origin}{path}").parse().ok()
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tls({:?})", self.name)
    }
}

#[cfg(test)]
mod tests {
    use mainstay_model::settings::RemoteSpec;

    use super::Target;

    #[test]
    fn messages_are_posted_only_to_where_the_stream_comes_from() {
        let url = "https://example.com/tools/sse?key=1";
        let target = Target::new(&RemoteSpec::new(url)).unwrap();
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
            let address = target.posts_to(&target.address, named.as_bytes()).ok();
            assert_eq!(address.map(|uri| uri.to_string()).as_deref(), expected, "{named}");
        }
        let refused =
            target.posts_to(&target.address, b"https://evil.example/m?token=secret").unwrap_err();
        assert!(refused.contains("https://evil.example"), "{refused}");
        assert!(!refused.contains("secret"), "{refused}");
    }

    #[test]
    fn every_request_says_who_asks_and_wants_plain_bodies() {
        let mut spec = RemoteSpec::new("http://[::1]:9000/mcp");
        let target = Target::new(&spec).unwrap();
        let header =
            |target: &Target, name: &str| target.headers[name].to_str().unwrap().to_owned();
        assert!(header(&target, "user-agent").starts_with("mainstay/"));
        assert_eq!(header(&target, "accept-encoding"), "identity");
        assert_eq!(header(&target, "host"), "[::1]:9000");
        assert!(!target.has_credentials);
        let mut add = |name: &str, value: &str| {
            spec.headers.insert(name.to_owned(), mainstay_model::Redacted::new(value.to_owned()))
        };
        add("User-Agent", "mine");
        add("X-Api-Key", "1");
        let target = Target::new(&spec).unwrap();
        assert_eq!(header(&target, "user-agent"), "mine");
        assert!(target.has_credentials);
    }

    #[test]
    fn no_error_tells_the_url() {
        for url in ["http://", "opensesame", "ftp://h/opensesame", "http://h:99999/opensesame"] {
            let error = Target::new(&RemoteSpec::new(url)).unwrap_err().to_string();
            assert!(!error.contains("opensesame"), "{error}");
        }
    }
}
