//! Where a remote server is and what every request to it carries.

use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use mainstay_model::settings::RemoteSpec;
use rustls::pki_types::ServerName;

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
        Ok(Self { host: bare_host, port, path, headers, tls })
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tls({:?})", self.name)
    }
}
