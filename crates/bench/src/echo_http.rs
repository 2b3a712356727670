//! A tiny MCP server over streamable HTTP: JSON answers, no streams, no state.
//!
//! A session id carries the mark of its process, so a restarted server recognises that a session is
//! not its own and answers 404, as the specification demands.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::process::exit;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::mcp::{Reply, TOOLS, answer};

const SESSION: &str = "mcp-session-id";
/// Pause after a failed accept; the usual cause, too many open files, does not pass at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

#[derive(Debug, clap::Args)]
pub(crate) struct EchoHttpArgs {
    /// The address to listen on.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
}

/// The source of session ids.
#[derive(Debug)]
struct Sessions {
    mark: String,
    next: AtomicU64,
}

/// Serves until killed; prints its address first.
pub(crate) fn main(args: &EchoHttpArgs) -> Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let listener = TcpListener::bind(args.listen)
            .await
            .with_context(|| format!("cannot listen on {}", args.listen))?;
        println!("listening on {}", listener.local_addr()?);
        serve(listener).await
    })
}

/// Serves every connection of `listener`.
pub(crate) async fn serve(listener: TcpListener) -> Result<()> {
    let sessions = Arc::new(Sessions::new());
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        // Ends with its connection; the process is the owner.
        tokio::spawn(serve_connection(stream, Arc::clone(&sessions)));
    }
}

async fn serve_connection(stream: tokio::net::TcpStream, sessions: Arc<Sessions>) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let service = service_fn(move |request| {
        let sessions = Arc::clone(&sessions);
        async move { Ok::<_, Infallible>(handle(request, &sessions).await) }
    });
    // A client that goes away is its own business.
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn handle(request: Request<Incoming>, sessions: &Sessions) -> Response<Full<Bytes>> {
    let session = request.headers().get(SESSION).cloned();
    if session.as_ref().is_some_and(|id| !sessions.knows(id)) {
        return plain(StatusCode::NOT_FOUND);
    }
    match *request.method() {
        Method::POST => {}
        Method::DELETE => return plain(StatusCode::OK),
        _ => return plain(StatusCode::METHOD_NOT_ALLOWED),
    }
    let Ok(body) = request.into_body().collect().await else {
        return plain(StatusCode::BAD_REQUEST);
    };
    match answer(&body.to_bytes(), TOOLS) {
        Reply::Welcome(reply) => {
            let mut response = json(reply);
            response.headers_mut().insert(SESSION, sessions.fresh());
            response
        }
        Reply::Now(_) | Reply::Later(..) | Reply::Both(..) | Reply::Never if session.is_none() => {
            plain(StatusCode::BAD_REQUEST)
        }
        // There is no stream for what comes later.
        Reply::Now(reply) | Reply::Both(reply, ..) => json(reply),
        Reply::Later(millis, reply) => {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            json(reply)
        }
        Reply::Nothing => plain(StatusCode::ACCEPTED),
        Reply::Never => std::future::pending().await,
        Reply::Crash => exit(70),
    }
}

fn json(body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn plain(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

// === impl Sessions ===

impl Sessions {
    fn new() -> Self {
        let since_epoch =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let mark = format!("{:x}-{:x}-", std::process::id(), since_epoch.as_nanos());
        Self { mark, next: AtomicU64::new(1) }
    }

    fn fresh(&self) -> HeaderValue {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        HeaderValue::try_from(format!("{}{number:x}", self.mark))
            .expect("hexadecimal digits and dashes")
    }

    fn knows(&self, id: &HeaderValue) -> bool {
        id.as_bytes().starts_with(self.mark.as_bytes())
    }
}

/// Starts the server within a test, on a free port.
#[cfg(test)]
pub(crate) async fn spawn() -> std::io::Result<(SocketAddr, tokio::task::JoinHandle<Result<()>>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    Ok((address, tokio::spawn(serve(listener))))
}
