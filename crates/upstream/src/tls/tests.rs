#![expect(clippy::disallowed_methods, reason = "tests may block")]

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::Trust;

/// A self-signed certificate that may sign others.
struct Own {
    acceptor: TlsAcceptor,
    pem: String,
}

impl Own {
    fn new(name: &str, until: i32) -> Self {
        let mut own = CertificateParams::new(vec![name.to_owned()]).unwrap();
        own.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        own.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().unwrap();
        let own = own.self_signed(&key).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![own.der().clone()], key.into())
            .unwrap();
        Self { acceptor: TlsAcceptor::from(Arc::new(config)), pem: own.pem() }
    }
}

/// The outcome of a handshake with `localhost`, which shows `shown` to a client that trusts
/// `trusted`.
async fn handshake(shown: &Own, trusted: &str) -> Result<(), String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), trusted).unwrap();
    let trust = Trust::only(file.path()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (far, _) = listener.accept().await.unwrap();
    let (ours, _) = tokio::join!(trust.connect("localhost", near), shown.acceptor.accept(far));
    ours.map(drop).map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_trusted_certificate_may_be_the_servers_own() {
    let own = Own::new("localhost", 2999);
    assert_eq!(handshake(&own, &own.pem).await, Ok(()));
    let two = format!("{}{}", Own::new("localhost", 2999).pem, own.pem);
    assert_eq!(handshake(&own, &two).await, Ok(()));
}

#[tokio::test]
async fn all_else_about_it_still_has_to_hold() {
    let elsewhere = Own::new("elsewhere.example", 2999);
    let over = Own::new("localhost", 2001);
    let same_name = Own::new("localhost", 2999);
    for (shown, trusted, complaint) in [
        (&elsewhere, &elsewhere.pem, "not valid for name"),
        (&over, &over.pem, "expired"),
        (&same_name, &Own::new("localhost", 2999).pem, "UnknownIssuer"),
    ] {
        let refused = handshake(shown, trusted).await.unwrap_err();
        assert!(refused.contains(complaint), "{complaint}: {refused}");
    }
}
