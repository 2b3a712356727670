//! TLS for outgoing connections. Trusts the system's roots, or those of one file.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, pem};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use self::itself::OrItself;
use self::unchecked::Unchecked;

mod itself;
#[cfg(test)]
mod tests;
mod unchecked;

static CLIENT: OnceLock<Arc<ClientConfig>> = OnceLock::new();

/// Whose word about certificates is taken.
#[derive(Debug, Clone)]
pub struct Trust(Arc<ClientConfig>);

/// Why certificates can't be checked.
#[derive(Debug, thiserror::Error)]
pub enum NoTrust {
    #[error("{} can't be read as certificates in PEM form", file.display())]
    Pem {
        file: PathBuf,
        #[source]
        source: pem::Error,
    },
    #[error("{} contains no usable certificate", .0.display())]
    Empty(PathBuf),
    #[error("TLS can't be used")]
    Tls(#[from] rustls::Error),
}

// === impl Trust ===

impl Trust {
    /// The system's roots; those of `SSL_CERT_FILE` and `SSL_CERT_DIR` where these are set.
    ///
    /// # Errors
    /// When the cryptography provider has no usable protocol version.
    pub fn system() -> Result<Self, NoTrust> {
        Ok(Self(client()?))
    }

    /// Trusts only the certificates in this file.
    ///
    /// # Errors
    ///
    /// When the file can't be read or holds no certificate.
    pub fn only(file: &Path) -> Result<Self, NoTrust> {
        let unusable = |source| NoTrust::Pem { file: file.to_owned(), source };
        let certificates = CertificateDer::pem_file_iter(file).map_err(unusable)?;
        let certificates = certificates.collect::<Result<Vec<_>, _>>().map_err(unusable)?;
        let mut roots = RootCertStore::empty();
        let (usable, _) = roots.add_parsable_certificates(certificates);
        if usable == 0 {
            return Err(NoTrust::Empty(file.to_owned()));
        }
        Ok(Self(with_roots(roots)?))
    }

    /// Makes a TLS connection to `host` over a connection that is open already.
    ///
    /// # Errors
    /// When the name can't be checked or the other side does not prove that it is its.
    pub async fn connect(&self, host: &str, tcp: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        TlsConnector::from(self.0.clone()).connect(name, tcp).await
    }
}

/// The client configuration that all share who trust the system. Reads its root certificates the
/// first time.
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
    let config = with_roots(roots)?;
    Ok(CLIENT.get_or_init(|| config).clone())
}

/// A client configuration that accepts every certificate, for `sslmode=require` of PostgreSQL, which means that in
/// all its clients.
///
/// # Errors
/// When the cryptography provider has no usable protocol version.
pub(crate) fn unchecked() -> Result<Arc<ClientConfig>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Unchecked(provider)))
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn with_roots(roots: RootCertStore) -> Result<Arc<ClientConfig>, rustls::Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?;
    let roots = Arc::new(roots);
    let usual = WebPkiServerVerifier::builder_with_provider(roots.clone(), provider).build();
    let config = match usual {
        Ok(usual) => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(OrItself::new(usual, roots))),
        // Without any root every certificate is refused when a connection is made.
        Err(_) => builder.with_root_certificates(roots),
    };
    Ok(Arc::new(config.with_no_client_auth()))
}
