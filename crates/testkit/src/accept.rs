//! The loop that every HTTP server of this crate has.

use std::convert::Infallible;
use std::io;

use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// An extension of a response that is not sent: the connection is closed instead.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HangUp;

/// Serves each connection with `answer` until `shutdown`, which cuts those that are open.
///
/// # Errors
/// When the listener fails.
pub(crate) async fn serve<F, B>(
    listener: TcpListener,
    shutdown: CancellationToken,
    answer: impl Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
) -> io::Result<()>
where
    F: Future<Output = Response<B>> + Send,
    B: Body<Error = Infallible> + Send + 'static,
    B::Data: Send,
{
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = tokio::select! {
            () = shutdown.cancelled() => break,
            Some(_) = connections.join_next() => continue,
            accepted = listener.accept() => accepted?,
        };
        // An answer may be several small writes: without this the second waits for an ack.
        stream.set_nodelay(true)?;
        let answer = answer.clone();
        connections.spawn(async move {
            let service = service_fn(|request| {
                let answer = answer(request);
                async move {
                    let answer = answer.await;
                    match answer.extensions().get::<HangUp>() {
                        Some(HangUp) => Err(io::Error::other("hangs up")),
                        None => Ok(answer),
                    }
                }
            });
            // A client that goes away in the middle is its own business.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
    connections.shutdown().await;
    Ok(())
}
