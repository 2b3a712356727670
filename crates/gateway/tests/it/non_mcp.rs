//! Requests that are not MCP and are answered by another service.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use http::{Method, Request, Response};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited, StreamBody};
use mainstay_gateway::{BodyError, Caller, NonMcp, NonMcpBody};
use mainstay_testkit::Client;
use mainstay_testkit::client::Reply;
use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tower::service_fn;
use tower::util::BoxCloneSyncService;

use crate::scene::Scene;

/// The largest body that the service reads, in bytes.
const BODY_BYTES_MAX: usize = 100_000;
/// The longest time for which the service waits for a body.
const BODY_WAIT: Duration = Duration::from_millis(300);

type Pieces = mpsc::Receiver<Result<&'static str, &'static str>>;

/// Answers `/stream` with the chunks that the test sends, `/never` never, and `/echo` and paths below
/// `/below/` with the request.
struct Service {
    stream: Mutex<Option<Pieces>>,
    dropped: CancellationToken,
}

impl Service {
    fn mounted() -> (NonMcp, mpsc::Sender<Result<&'static str, &'static str>>, CancellationToken) {
        let (send, receive) = mpsc::channel(8);
        let dropped = CancellationToken::new();
        let service =
            Arc::new(Self { stream: Mutex::new(Some(receive)), dropped: dropped.clone() });
        let service = service_fn(move |request| {
            let service = service.clone();
            async move { Ok::<_, Infallible>(service.answer(request).await) }
        });
        let non_mcp = NonMcp {
            service: BoxCloneSyncService::new(service),
            paths: ["/echo", "/stream", "/never"].map(str::to_owned).to_vec(),
            below: vec!["/below/".to_owned()],
        };
        (non_mcp, send, dropped)
    }

    async fn answer(&self, request: Request<NonMcpBody>) -> Response<NonMcpBody> {
        match request.uri().path() {
            "/stream" => self.stream(),
            "/never" => {
                let _dropped = self.dropped.clone().drop_guard();
                std::future::pending().await
            }
            _ => echo(request).await,
        }
    }

    fn stream(&self) -> Response<NonMcpBody> {
        let receive = self.stream.lock().take().expect("asked for once");
        let pieces = futures_util::stream::unfold(receive, async |mut receive| {
            Some((receive.recv().await?, receive))
        });
        let pieces = pieces.map(|piece| match piece {
            Ok(text) => Ok(Frame::data(Bytes::from_static(text.as_bytes()))),
            Err(why) => Err(BodyError::new(why)),
        });
        Response::new(UnsyncBoxBody::new(StreamBody::new(pieces)))
    }
}

/// Returns the received request: method, request id, and the body or the reason why there is none.
async fn echo(request: Request<NonMcpBody>) -> Response<NonMcpBody> {
    let (parts, body) = request.into_parts();
    let caller = parts.extensions.get::<Caller>().expect("who asks is known");
    let body = Limited::new(body, BODY_BYTES_MAX).collect();
    let body = match tokio::time::timeout(BODY_WAIT, body).await {
        Ok(Ok(body)) => String::from_utf8_lossy(&body.to_bytes()).into_owned(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => "too large".to_owned(),
        Ok(Err(_)) => "broke off".to_owned(),
        Err(_) => "too slow".to_owned(),
    };
    let said = format!("{} {} <{body}>", parts.method, caller.request_id);
    Response::new(Full::from(said).map_err(|never| match never {}).boxed_unsync())
}

async fn said(mut reply: Reply) -> String {
    reply.text().await.unwrap()
}

async fn asked(client: &Client, method: &Method, path: &str) -> Reply {
    client.plain(method.as_str(), path).await.unwrap()
}

#[tokio::test]
async fn the_service_gets_the_whole_request_and_who_asks() {
    let scene = Scene::start(Duration::from_secs(1)).await;
    let client = scene.stranger("/echo");
    let headers = [("x-request-id", "find-me")];
    assert_eq!(client.post("some body", &headers).await.unwrap().status, 404, "nothing is mounted");
    scene.gateway.mount(Service::mounted().0);
    let reply = client.post("some body", &headers).await.unwrap();
    assert_eq!(reply.header("x-request-id"), Some("find-me"));
    assert_eq!(said(reply).await, "POST find-me <some body>");
    // Which methods there are, is the service's to say.
    for method in [Method::GET, Method::PUT, Method::DELETE, Method::OPTIONS] {
        let said = said(asked(&client, &method, "/below/anything").await).await;
        assert!(said.starts_with(method.as_str()) && said.ends_with("<>"), "{said}");
    }
    let mut head = client.raw().await.unwrap();
    let asks = b"HEAD /echo HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    head.send(asks).await.unwrap();
    let text = String::from_utf8(head.read_to_end().await.unwrap()).unwrap();
    assert!(text.starts_with("HTTP/1.1 200 ") && text.ends_with("\r\n\r\n"), "{text}");
    scene.end().await;
}

#[tokio::test]
async fn what_the_service_does_not_have_is_told_with_what_it_has() {
    let scene = Scene::start(Duration::from_secs(1)).await;
    scene.gateway.mount(Service::mounted().0);
    let client = scene.stranger("/mcp");
    for path in ["/other", "/echo/", "/echo/more", "/below", "/mcpx"] {
        for method in [Method::GET, Method::PUT] {
            let mut reply = asked(&client, &method, path).await;
            assert_eq!(reply.status, 404, "{method} {path}");
            let told = reply.json().await.unwrap();
            assert_eq!(told["paths"], json!(["/echo", "/stream", "/never"]), "{path}");
            assert!(told["endpoints"].is_array(), "{told}");
        }
    }
    scene.end().await;
}

#[tokio::test]
async fn a_body_comes_as_far_as_the_service_reads_it() {
    let scene = Scene::start(Duration::from_secs(1)).await;
    scene.gateway.mount(Service::mounted().0);
    let client = scene.stranger("/echo");
    let whole = "x".repeat(BODY_BYTES_MAX);
    let reply = client.post(whole.as_str(), &[]).await.unwrap();
    assert!(said(reply).await.ends_with(&format!("<{whole}>")));
    let reply = client.post(format!("{whole}y"), &[]).await.unwrap();
    assert!(said(reply).await.ends_with("<too large>"));
    // A slow client. What was not read of its body is no request that follows.
    let mut slow = client.raw().await.unwrap();
    let head = "POST /echo HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\nhalf";
    slow.send(head.as_bytes()).await.unwrap();
    let text = String::from_utf8(slow.read_to_end().await.unwrap()).unwrap();
    assert!(text.ends_with("<too slow>"), "{text}");
    scene.end().await;
}

#[tokio::test]
async fn an_answer_may_be_a_stream_and_its_end_is_told_from_a_break() {
    for whole in [true, false] {
        let scene = Scene::start(Duration::from_secs(1)).await;
        let (service, send, _) = Service::mounted();
        scene.gateway.mount(service);
        let mut reply = scene.stranger("/mcp").plain("GET", "/stream").await.unwrap();
        for piece in ["one", "two"] {
            send.send(Ok(piece)).await.unwrap();
            assert_eq!(reply.bytes().await.unwrap().as_deref(), Some(piece.as_bytes()));
        }
        if !whole {
            send.send(Err("the disk is gone")).await.unwrap();
        }
        drop(send);
        let end = reply.bytes().await;
        assert_eq!(matches!(end, Ok(None)), whole, "{end:?}");
        scene.end().await;
    }
}

#[tokio::test]
async fn whoever_hangs_up_is_not_answered_any_more() {
    let scene = Scene::start(Duration::from_secs(1)).await;
    let (service, _send, dropped) = Service::mounted();
    scene.gateway.mount(service);
    let mut connection = scene.stranger("/mcp").raw().await.unwrap();
    connection.send(b"GET /never HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(100), dropped.cancelled()).await.is_err());
    drop(connection);
    tokio::time::timeout(Duration::from_secs(40), dropped.cancelled()).await.unwrap();
    scene.end().await;
}
