//! Serving a demonstration server over standard input and output, or over HTTP.

use std::convert::Infallible;
use std::sync::Arc;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rmcp::service::ServerInitializeError;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ServerHandler, ServiceExt};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::StdioDemo;
use crate::clock::Clock;
use crate::notes::Notes;
use crate::weather::Weather;

/// Serves one client on standard input and output until it disconnects.
///
/// # Errors
/// If the first messages are not a handshake.
pub async fn run_stdio(demo: StdioDemo) -> anyhow::Result<()> {
    match demo {
        StdioDemo::Notes => stdio(Notes::new()).await,
        StdioDemo::Clock => stdio(Clock::new()).await,
    }
}

/// Serves the simulated weather over streamable HTTP, at any path of the listener, until `shutdown`. Open
/// connections are closed then. Foreign hosts and origins are refused.
///
/// # Errors
/// If the listener fails.
pub async fn serve_http(listener: TcpListener, shutdown: CancellationToken) -> anyhow::Result<()> {
    let config = StreamableHttpServerConfig::default()
        .with_cancellation_token(shutdown.child_token())
        .enforce_origin_validation()
        .with_allowed_origins(["http://localhost:*", "http://127.0.0.1:*", "http://[::1]:*"]);
    let service = StreamableHttpService::new(
        || Ok(Weather::new()),
        Arc::new(LocalSessionManager::default()),
        config,
    );
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = tokio::select! {
            () = shutdown.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted?,
        };
        // A response may take several small writes; Nagle's algorithm would delay the second one.
        stream.set_nodelay(true)?;
        let service = service.clone();
        connections.spawn(async move {
            let answer = service_fn(move |request| {
                let service = service.clone();
                async move { Ok::<_, Infallible>(service.handle(request).await) }
            });
            // A client may disconnect at any time.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
        });
    }
    connections.shutdown().await;
    Ok(())
}

async fn stdio(server: impl ServerHandler) -> anyhow::Result<()> {
    match server.serve(rmcp::transport::stdio()).await {
        Ok(running) => {
            running.waiting().await?;
            Ok(())
        }
        // The client disconnected without a handshake.
        Err(ServerInitializeError::ConnectionClosed(_)) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
