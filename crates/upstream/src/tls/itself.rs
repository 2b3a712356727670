//! Trusts a server's own certificate, without an authority that signed it.
//!
//! Common tools create self-signed certificates that may also sign others. Such a certificate is
//! refused for a server when it is only part of a chain. When it is the very certificate that the
//! file trusts, a chain could prove nothing more.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

/// Verifies as usual, and in addition accepts a trusted certificate that the server presents
/// itself.
#[derive(Debug)]
pub(super) struct OrItself {
    usual: Arc<WebPkiServerVerifier>,
    roots: Arc<RootCertStore>,
}

// === impl OrItself ===

impl OrItself {
    pub(super) fn new(usual: Arc<WebPkiServerVerifier>, roots: Arc<RootCertStore>) -> Self {
        Self { usual, roots }
    }

    /// The same name and the same key as one of those that are trusted. That the server has the
    /// key is proven by its signature in the handshake.
    fn is_trusted(&self, certificate: &CertificateDer<'_>) -> bool {
        let mut shown = RootCertStore::empty();
        shown.add(certificate.clone().into_owned()).is_ok()
            && shown.roots.first().is_some_and(|shown| self.roots.roots.contains(shown))
    }
}

/// Whether verification failed only because the certificate may sign others; its dates have been
/// checked before.
fn may_sign_others(error: &Error) -> bool {
    let Error::InvalidCertificate(CertificateError::Other(other)) = error else { return false };
    let cause = other.0.downcast_ref::<webpki::Error>();
    matches!(cause, Some(webpki::Error::CaUsedAsEndEntity))
}

impl ServerCertVerifier for OrItself {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let usual =
            self.usual.verify_server_cert(end_entity, intermediates, name, ocsp_response, now);
        match usual {
            Err(error) if may_sign_others(&error) => {
                if !self.is_trusted(end_entity) {
                    return Err(CertificateError::UnknownIssuer.into());
                }
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            usual => usual,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.usual.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.usual.supported_verify_schemes()
    }
}
