//! Daemons behind TLS, and daemons that require a token.

use std::convert::Infallible;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use rcgen::{BasicConstraints, Certificate, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ServerConfig;
use serde_json::{Value, json};
use tempfile::tempdir;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::{Client, assert_echo, assert_refused, daemon_with};

/// The certificate of a daemon behind TLS, and the authority that signed it.
struct Identity {
    acceptor: TlsAcceptor,
    /// In PEM form.
    authority: String,
}

// === impl Identity ===

impl Identity {
    /// Creates a certificate for this machine, signed by a new authority.
    fn new() -> Self {
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let own = authority.self_signed(&key).unwrap();
        let issuer = Issuer::new(authority, key);
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
        Self::shows(&leaf, key, own.pem())
    }

    /// Creates a self-signed certificate for this machine. As the usual tools make it, it may also sign
    /// others.
    fn alone() -> Self {
        let mut own = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        own.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let own = own.self_signed(&key).unwrap();
        Self::shows(&own, key, own.pem())
    }

    fn shows(leaf: &Certificate, key: KeyPair, authority: String) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![leaf.der().clone()], key.into())
            .unwrap();
        Self { acceptor: TlsAcceptor::from(Arc::new(config)), authority }
    }
}

/// Terminates TLS and forwards the bytes until it is dropped.
async fn in_front_of(address: SocketAddr, identity: &Identity) -> (SocketAddr, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap();
    let acceptor = identity.acceptor.clone();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let acceptor = acceptor.clone();
            connections.spawn(async move {
                // A client that does not trust the certificate disconnects.
                let Ok(mut near) = acceptor.accept(stream).await else { return };
                let Ok(mut far) = TcpStream::connect(address).await else { return };
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    (own, tasks)
}

#[tokio::test]
async fn a_daemon_behind_tls_is_believed_by_its_authority_only() {
    let folder = tempdir().unwrap();
    let daemon = daemon_with(folder.path(), &[]).await;
    let address = daemon.base().trim_start_matches("http://").parse().unwrap();
    let identity = Identity::new();
    let (own, _proxy) = in_front_of(address, &identity).await;
    let (right, wrong) = (folder.path().join("ca.pem"), folder.path().join("other.pem"));
    fs::write(&right, &identity.authority).unwrap();
    fs::write(&wrong, Identity::new().authority).unwrap();
    let url = format!("https://localhost:{}/mcp/s", own.port());

    let mut client = Client::start(&["--url", &url, "--ca", right.to_str().unwrap()]);
    client.shake_hands("2025-11-25", json!({})).await;
    let call = client.call("echo", json!({"n": 1})).await;
    assert_echo(&client.answer(call).await, &json!({"n": 1}));
    assert_eq!(client.leave().await.code, Some(0));

    let mut client = Client::start(&["--url", &url, "--ca", wrong.to_str().unwrap()]);
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {}});
    let hello = client.ask("initialize", params).await;
    let refused = client.answer(hello).await;
    assert_refused(&refused, 1004, "SERVER_UNAVAILABLE");
    assert!(refused["error"]["message"].as_str().unwrap().contains("certificate"), "{refused}");
    let left = client.end().await;
    assert_eq!(left.code, Some(3));
    assert!(left.complaints.contains("certificate"), "{}", left.complaints);
    assert!(left.complaints.contains("--ca FILE"), "{}", left.complaints);
}

#[tokio::test]
async fn a_certificate_that_nobody_else_signed_is_enough() {
    let folder = tempdir().unwrap();
    let daemon = daemon_with(folder.path(), &[]).await;
    let address = daemon.base().trim_start_matches("http://").parse().unwrap();
    let identity = Identity::alone();
    let (own, _proxy) = in_front_of(address, &identity).await;
    let ca = folder.path().join("ca.pem");
    fs::write(&ca, &identity.authority).unwrap();
    let url = format!("https://localhost:{}/mcp/s", own.port());
    let mut client = Client::start(&["--url", &url, "--ca", ca.to_str().unwrap()]);
    client.shake_hands("2025-11-25", json!({})).await;
    assert_eq!(client.leave().await.code, Some(0));
}

/// Accepts messages with the current token.
struct Guarded {
    url: String,
    token: Arc<Mutex<&'static str>>,
    _tasks: JoinSet<()>,
}

// === impl Guarded ===

impl Guarded {
    async fn start(token: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/mcp", listener.local_addr().unwrap());
        let token = Arc::new(Mutex::new(token));
        let mut tasks = JoinSet::new();
        tasks.spawn(Self::serve(listener, token.clone()));
        Self { url, token, _tasks: tasks }
    }

    async fn serve(listener: TcpListener, token: Arc<Mutex<&'static str>>) {
        let mut connections = JoinSet::new();
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let token = token.clone();
            let answer = service_fn(move |request| Self::answer(request, *token.lock()));
            connections.spawn(async move {
                let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
            });
        }
    }

    async fn answer(
        request: Request<Incoming>,
        token: &'static str,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let given = request.headers().get("authorization").map(|value| value.as_bytes().to_vec());
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let mut response = Response::new(Full::from("who are you?"));
        if given.as_deref() != Some(format!("Bearer {token}").as_bytes()) {
            *response.status_mut() = StatusCode::UNAUTHORIZED;
            return Ok(response);
        }
        let message: Value = serde_json::from_slice(&body).unwrap();
        let answer = json!({"jsonrpc": "2.0", "id": message["id"], "result": {}});
        *response.body_mut() = Full::from(answer.to_string());
        Ok(response)
    }
}

#[tokio::test]
async fn a_token_is_sent_renewed_and_never_shown() {
    let folder = tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, "first-of-all\n").unwrap();
    let guarded = Guarded::start("first-of-all").await;
    let arguments = ["--url", &guarded.url, "--token-file", file.to_str().unwrap(), "-vv"];
    let mut client = Client::start(&arguments);
    assert!(client.alone("tools/list", json!({})).await.get("result").is_some());
    *guarded.token.lock() = "second-to-none";
    let refused = client.alone("tools/list", json!({})).await;
    assert!(refused["error"]["message"].as_str().unwrap().contains("401"), "{refused}");
    fs::write(&file, "second-to-none").unwrap();
    assert!(client.alone("tools/list", json!({})).await.get("result").is_some());
    let left = client.leave().await;
    for token in ["first-of-all", "second-to-none"] {
        assert!(!left.complaints.contains(token), "{}", left.complaints);
    }
}

#[tokio::test]
async fn a_token_that_is_none_ends_it_before_it_begins() {
    let none = Path::new("/nowhere/token").to_str().unwrap();
    let left = Client::start(&["--token-file", none]).end().await;
    assert_eq!(left.code, Some(2), "{}", left.complaints);
    let left = Client::start(&["--ca", none, "--url", "http://h"]).end().await;
    assert_eq!(left.code, Some(2), "{}", left.complaints);
}
