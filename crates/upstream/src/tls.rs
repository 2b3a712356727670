//! TLS towards servers: the system's roots, one configuration for all.

use std::io;
use std::sync::{Arc, OnceLock};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

static CLIENT: OnceLock<Arc<ClientConfig>> = OnceLock::new();

/// Shakes hands over a connection that is open already, with whoever `host` names.
///
/// # Errors
/// When the name can't be checked or the other side does not prove that it is its.
pub async fn connect(host: &str, tcp: TcpStream) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    TlsConnector::from(client().map_err(io::Error::other)?).connect(name, tcp).await
}

/// The shared client configuration. Reads the system's root certificates the first time.
///
/// # Errors
/// When the cryptography provider has no usable protocol version.
pub(crate) fn client() -> Result<Arc<ClientConfig>, rustls::Error> {
    if let Some(config) = CLIENT.get() {
        return Ok(config.clone());
    }
    let mut roots = RootCertStore::empty();
    // A broken certificate among the system's is not a reason to trust none of them.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(CLIENT.get_or_init(|| Arc::new(config)).clone())
}
