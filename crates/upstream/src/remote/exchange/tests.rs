//! A server that closes its streams at once.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming as RequestBody;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use mainstay_model::Budget;
use mainstay_model::settings::RemoteSpec;
use mainstay_protocol::{Message, Revision, build};
use tokio_util::sync::CancellationToken;

use crate::link::{Link, LinkLimits};
use crate::remote::{Target, open, open_known};
use crate::request::{Outgoing, SessionNo};
use crate::transport::conformance::Ears;

/// Every stream has one event without a message that asks to be taken up again at once.
async fn answer(
    request: Request<RequestBody>,
    taken_up: &AtomicUsize,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.method() == Method::GET {
        taken_up.fetch_add(1, Ordering::SeqCst);
    }
    let response = Response::builder().header("content-type", "text/event-stream");
    Ok(response.body(Full::from("id: 1\nretry: 0\ndata:\n\n")).unwrap())
}

/// Serves for as long as the test; where.
async fn serve<F>(answer: impl Fn(Request<RequestBody>) -> F + Clone + Send + 'static) -> String
where
    F: Future<Output = Result<Response<Full<Bytes>>, Infallible>> + Send + 'static,
{
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", socket.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (stream, _) = socket.accept().await.unwrap();
            let service = service_fn(answer.clone());
            tokio::spawn(async move {
                let http = hyper::server::conn::http1::Builder::new();
                let _ = http.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    url
}

/// A link to such a server, and how often a stream was taken up.
async fn hasty(stop: &CancellationToken) -> (Arc<Link>, Arc<AtomicUsize>) {
    let taken_up = Arc::<AtomicUsize>::default();
    let counted = taken_up.clone();
    let url = serve(move |request| {
        let counted = counted.clone();
        async move { answer(request, &counted).await }
    })
    .await;
    let target = Target::new(&RemoteSpec::new(url)).unwrap();
    let limits = LinkLimits {
        message_bytes_max: 1 << 20,
        unread_bytes_max: 1 << 20,
        depth_max: 128,
        budget: Budget::UNLIMITED,
    };
    (open(Arc::new(target), limits, Arc::<Ears>::default(), stop.clone()), taken_up)
}

/// A server that gives out a session and then knows it no more.
async fn forgetful(request: Request<RequestBody>) -> Result<Response<Full<Bytes>>, Infallible> {
    let body = http_body_util::BodyExt::collect(request.into_body()).await.unwrap().to_bytes();
    let begins = Message::parse(body).is_ok_and(|message| message.method() == "initialize");
    let response = Response::builder().status(if begins { 200 } else { 404 });
    let answer = if begins { r#"{"jsonrpc":"2.0","id":1,"result":{}}"# } else { "Not Found" };
    Ok(response.header("mcp-session-id", "1").body(Full::from(answer)).unwrap())
}

/// Whether a session whose end a request of this owner meets counts as ended because nobody used it.
async fn ends_unused(owner: SessionNo) -> bool {
    let stop = CancellationToken::new();
    let _ended = stop.clone().drop_guard();
    let url = serve(forgetful).await;
    let target = Target::new(&RemoteSpec::new(url)).unwrap();
    let limits = LinkLimits {
        message_bytes_max: 1 << 20,
        unread_bytes_max: 1 << 20,
        depth_max: 128,
        budget: Budget::UNLIMITED,
    };
    let (link, session) =
        open_known(Arc::new(target), limits, Arc::<Ears>::default(), stop.clone());
    for method in ["initialize", "ping"] {
        let message = Message::parse(build::request(1, method, None)).unwrap();
        link.call(&Outgoing::plain(&message), owner).unwrap().next().await;
        session.settle(Revision::V2025_11_25);
    }
    assert!(link.is_closed());
    session.ended_unused()
}

#[tokio::test]
async fn a_session_that_ends_while_nobody_uses_it_ends_well() {
    assert!(ends_unused(SessionNo(0)).await);
    assert!(!ends_unused(SessionNo(1)).await, "a call was made in it");
}

/// The most that growing waits from 400 ms on allow within this time, and one for the rounding.
fn allowed(took: Duration) -> usize {
    let (mut wait, mut sum, mut count) = (Duration::from_millis(400), Duration::ZERO, 1);
    while sum < took {
        sum += wait;
        wait *= 2;
        count += 1;
    }
    count
}

#[tokio::test]
async fn a_stream_that_asks_for_no_pause_is_taken_up_ever_more_rarely() {
    let stop = CancellationToken::new();
    let _ended = stop.clone().drop_guard();
    let (link, taken_up) = hasty(&stop).await;
    let message = Message::parse(build::request(1, "m", None)).unwrap();
    let mut exchange = link.call(&Outgoing::plain(&message), SessionNo(1)).unwrap();
    let begun = Instant::now();
    let waited = tokio::time::timeout(Duration::from_millis(2500), exchange.next()).await;
    assert!(waited.is_err(), "there is no answer");
    let count = taken_up.load(Ordering::SeqCst);
    assert!((1..=allowed(begun.elapsed())).contains(&count), "taken up {count} times");
}
