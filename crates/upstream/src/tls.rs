//! TLS towards servers: the system's roots, one configuration for all.

use std::sync::{Arc, OnceLock};

use rustls::{ClientConfig, RootCertStore};

static CLIENT: OnceLock<Arc<ClientConfig>> = OnceLock::new();

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
