//! The HTTP server that has the pages.

use std::fmt;
use std::io;

use http::HeaderValue;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;
use url::Url;

use crate::dial::dial;
use crate::tls::Trust;

/// Scheme, host and port.
#[derive(Debug, Clone)]
pub(super) struct PageTarget {
    is_https: bool,
    /// Without brackets.
    host: String,
    port: u16,
    /// The host, and the port where it is not that of the scheme.
    authority: String,
    host_header: HeaderValue,
}

pub(super) type TargetStream = Either<TcpStream, TlsStream<TcpStream>>;

// === impl PageTarget ===

impl PageTarget {
    pub(super) fn new(target: &str) -> Option<Self> {
        let url = Url::parse(target).ok()?;
        let is_https = match url.scheme() {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let written = url.host_str().filter(|host| !host.is_empty())?;
        let authority = match url.port() {
            Some(port) => format!("{written}:{port}"),
            None => written.to_owned(),
        };
        Some(Self {
            is_https,
            host: written.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: url.port_or_known_default()?,
            host_header: HeaderValue::from_str(&authority).ok()?,
            authority,
        })
    }

    pub(super) fn host_header(&self) -> HeaderValue {
        self.host_header.clone()
    }

    /// The path and query of an address, if it is one of this target.
    pub(super) fn own_path<'a>(&self, address: &'a str) -> Option<&'a str> {
        let url = Url::parse(address).ok()?;
        let is_own = url.scheme() == self.scheme()
            && url.host_str().is_some_and(|host| host.trim_matches(['[', ']']) == self.host)
            && url.port_or_known_default() == Some(self.port);
        let rest = address.split_once("://").filter(|_| is_own)?.1;
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        Some(&rest[end..])
    }

    /// # Errors
    /// When nothing accepts the connection, or the other side does not prove that it is the target.
    pub(super) async fn connect(&self) -> io::Result<TargetStream> {
        let tcp = dial(&self.host, self.port).await?;
        tcp.set_nodelay(true)?;
        if !self.is_https {
            return Ok(Either::Left(tcp));
        }
        let trust = Trust::system().map_err(io::Error::other)?;
        trust.connect(&self.host, tcp).await.map(Either::Right)
    }

    pub(super) fn scheme(&self) -> &'static str {
        if self.is_https { "https" } else { "http" }
    }
}

impl fmt::Display for PageTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme(), self.authority)
    }
}
