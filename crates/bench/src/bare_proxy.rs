//! The yardstick: a reverse proxy of hyper's own parts that streams bodies both ways and parses
//! nothing of them.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::uri::{Authority, Scheme};
use http::{Request, Response, StatusCode, Uri};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;

const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

#[derive(Debug, clap::Args)]
pub(crate) struct BareProxyArgs {
    /// The address to listen on.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// The address of the server behind.
    #[arg(long)]
    upstream: SocketAddr,
}

/// The pooled client that all connections share.
#[derive(Debug, Clone)]
struct Proxy {
    client: Client<HttpConnector, Incoming>,
    upstream: Authority,
}

/// Serves until killed; prints its address first.
pub(crate) fn main(args: &BareProxyArgs) -> Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind(args.listen)
            .await
            .with_context(|| format!("cannot listen on {}", args.listen))?;
        println!("listening on {}", listener.local_addr()?);
        serve(listener, args.upstream).await
    })
}

/// Serves every connection of `listener` from `upstream`.
pub(crate) async fn serve(listener: TcpListener, upstream: SocketAddr) -> Result<()> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let proxy = Proxy {
        client: Client::builder(TokioExecutor::new()).build(connector),
        upstream: upstream.to_string().parse()?,
    };
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let proxy = proxy.clone();
        // Ends with its connection; the process is the owner.
        tokio::spawn(async move {
            if stream.set_nodelay(true).is_err() {
                return;
            }
            let service = service_fn(move |request| {
                let proxy = proxy.clone();
                async move { Ok::<_, Infallible>(proxy.forward(request).await) }
            });
            // A client that goes away is its own business.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

// === impl Proxy ===

impl Proxy {
    async fn forward(
        &self,
        mut request: Request<Incoming>,
    ) -> Response<BoxBody<Bytes, hyper::Error>> {
        let mut parts = std::mem::take(request.uri_mut()).into_parts();
        parts.scheme = Some(Scheme::HTTP);
        parts.authority = Some(self.upstream.clone());
        let Ok(uri) = Uri::from_parts(parts) else {
            return refuse(StatusCode::BAD_REQUEST);
        };
        *request.uri_mut() = uri;
        match self.client.request(request).await {
            Ok(response) => response.map(BodyExt::boxed),
            Err(_) => refuse(StatusCode::BAD_GATEWAY),
        }
    }
}

fn refuse(status: StatusCode) -> Response<BoxBody<Bytes, hyper::Error>> {
    let mut response = Response::new(Empty::new().map_err(|never| match never {}).boxed());
    *response.status_mut() = status;
    response
}
