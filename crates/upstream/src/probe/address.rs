//! Connections to a host and port, with TLS where it is wanted.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use mainstay_supervisor::probe::Outcome;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::either::Either;

use super::late::Late;
use super::lookup::Lookup;
use crate::descriptors;
use crate::dial::is_localhost;

/// A host and a port.
#[derive(Debug)]
pub(super) struct Address {
    host: String,
    port: u16,
    lookup: Lookup,
}

/// Whether and how the other side proves who it is.
#[derive(Clone)]
pub(super) struct TlsPeer {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

pub(super) type Plain = TcpStream;
pub(super) type ProbeStream = Either<Plain, tokio_rustls::client::TlsStream<Plain>>;

// === impl Address ===

impl Address {
    pub(super) fn new(host: &str, port: u16) -> Self {
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Self { host, port, lookup: Lookup::default() }
    }

    /// Reads `HOST:PORT`, or `HOST` where there is a default port. An IPv6 address has brackets.
    pub(super) fn parse(text: &str, default_port: Option<u16>) -> Option<Self> {
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
            _ => (text, default_port?),
        };
        let is_bare_ipv6 = host.contains(':') && !(host.starts_with('[') && host.ends_with(']'));
        (!host.is_empty() && !is_bare_ipv6 && port != 0).then(|| Self::new(host, port))
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// Silent when nothing accepts it; unfit when that says nothing about the target.
    pub(super) async fn connect(&self, late: &Late) -> Result<TcpStream, Outcome> {
        let addresses = match self.known() {
            Some(addresses) => addresses,
            None => {
                late.means(Outcome::unfit(
                    format!("{} could not be looked up within {:?}", self.host, late.timeout()),
                    "its probe could not look up the host",
                ));
                let found = self.lookup.addresses(&self.host, self.port).await;
                let found = found.map_err(|error| self.not_found(&error))?;
                if found.is_empty() {
                    return Err(self.not_found(&io::ErrorKind::NotFound.into()));
                }
                found
            }
        };
        late.is_silence(&format!("{self} does not accept the connection"));
        let stream = TcpStream::connect(&addresses[..]).await;
        let stream = stream.and_then(|stream| stream.set_nodelay(true).map(|()| stream));
        stream.map_err(|error| {
            no_descriptor(&error).unwrap_or_else(|| {
                Outcome::silent(
                    format!("no connection to {self}: {error}"),
                    "its probe got no connection",
                )
            })
        })
    }

    /// Opens a connection, and makes it one of TLS where that is wanted.
    ///
    /// # Errors
    /// As [`connect`](Self::connect), and as [`TlsPeer::connect`].
    pub(super) async fn connect_with(
        &self,
        tls: Option<&TlsPeer>,
        late: &Late,
    ) -> Result<ProbeStream, Outcome> {
        let stream = self.connect(late).await?;
        match tls {
            None => Ok(Either::Left(stream)),
            Some(tls) => tls.connect(stream, self, late).await.map(Either::Right),
        }
    }

    /// The addresses of a host that needs no lookup.
    fn known(&self) -> Option<Vec<SocketAddr>> {
        let hosts: Vec<IpAddr> = if is_localhost(&self.host) {
            // In the order of `dial`.
            vec![Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()]
        } else {
            vec![self.host.parse().ok()?]
        };
        Some(hosts.into_iter().map(|host| SocketAddr::new(host, self.port)).collect())
    }

    fn not_found(&self, error: &io::Error) -> Outcome {
        no_descriptor(error).unwrap_or_else(|| {
            Outcome::unfit(
                format!("{} could not be looked up: {error}", self.host),
                "its probe could not look up the host",
            )
        })
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

// === impl TlsPeer ===

impl TlsPeer {
    /// TLS with a host whose certificate is checked, or refused, by `config`.
    ///
    /// # Errors
    /// Says that the host is no name that a certificate can have.
    pub(super) fn new(host: &str, config: Arc<ClientConfig>) -> Result<Self, String> {
        let bare = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let name = ServerName::try_from(bare)
            .map_err(|_| "its host is not a name that TLS can check".to_owned())?;
        Ok(Self { config, name })
    }

    /// TLS with a host whose certificate is checked with the system's roots.
    ///
    /// # Errors
    /// As [`new`](Self::new), or when TLS can't be set up.
    pub(super) fn checked(host: &str) -> Result<Self, String> {
        let config = crate::tls::client().map_err(|_| "TLS can't be set up".to_owned())?;
        Self::new(host, config)
    }

    /// Makes a TLS connection over one that is open.
    ///
    /// # Errors
    /// Silent when the other side closes it; unfit when it answers and there is no trust.
    pub(super) async fn connect<S: AsyncRead + AsyncWrite + Unpin>(
        &self,
        stream: S,
        address: &Address,
        late: &Late,
    ) -> Result<tokio_rustls::client::TlsStream<S>, Outcome> {
        late.is_silence(&format!("{address} accepts the connection and does not answer in TLS"));
        let connector = TlsConnector::from(self.config.clone());
        connector.connect(self.name.clone(), stream).await.map_err(|error| {
            let reason = format!("no TLS connection to {address}: {error}");
            let brief = "its probe got no TLS connection";
            match is_about_tls(&error) {
                true => Outcome::unfit(reason, brief),
                false => Outcome::silent(reason, brief),
            }
        })
    }
}

impl std::fmt::Debug for TlsPeer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TlsPeer({:?})", self.name)
    }
}

/// Whether something answered, in a way that TLS can't accept.
pub(super) fn is_about_tls(error: &io::Error) -> bool {
    error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()).is_some()
}

/// The outcome, if the daemon has no descriptor left: that says nothing about the target.
pub(super) fn no_descriptor(error: &io::Error) -> Option<Outcome> {
    descriptors::are_used_up(error).then(|| {
        Outcome::unfit(
            format!("the daemon has no file descriptor left: {error}"),
            "it could not be probed, because the daemon has no file descriptor left",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::Address;

    #[test]
    fn a_host_and_a_port_are_read() {
        for (text, expected) in [
            ("db:5432", Some("db:5432")),
            ("127.0.0.1:1", Some("127.0.0.1:1")),
            ("[::1]:80", Some("[::1]:80")),
            ("db", Some("db:99")),
            ("[::1]", Some("[::1]:99")),
            ("::1", None),
            ("::1:80", None),
            (":80", None),
            ("db:", None),
            ("db:0", None),
            ("db:65536", None),
            ("", None),
        ] {
            let read = Address::parse(text, Some(99)).map(|address| address.to_string());
            assert_eq!(read.as_deref(), expected, "{text}");
        }
        assert!(Address::parse("db", None).is_none());
    }
}
