use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use mainstay_model::settings::{RemoteSpec, RevisionChoice};
use mainstay_protocol::Message;
use mainstay_telemetry::Dropped;
use tokio_util::sync::CancellationToken;

use super::shake;
use crate::Link;
use crate::link::LinkLimits;
use crate::listener::Listener;
use crate::remote::{Target, open};

#[derive(Debug)]
struct Deaf;

impl Listener for Deaf {
    fn notification(&self, _: Message) {}
    fn dropped(&self, _: Dropped) {}
    fn question(&self, _: &Arc<Link>, _: &Message) -> bool {
        false
    }
    fn stray(&self, _: &[u8]) {}
    fn late_answer(&self) {}
    fn closed(&self, _: &str) {}
}

/// Has no tools before it is initialized, which takes it a while.
async fn answer(request: Request<Incoming>, initialized: &AtomicBool) -> Response<Full<Bytes>> {
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let tools = if initialized.load(Ordering::SeqCst) { r#"{"name":"late"}"# } else { "" };
    let result = match body["method"].as_str() {
        Some("initialize") => {
            r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{}}"#.into()
        }
        Some("tools/list") => format!(r#"{{"tools":[{tools}]}}"#),
        Some("notifications/initialized") => {
            tokio::time::sleep(Duration::from_millis(50)).await;
            initialized.store(true, Ordering::SeqCst);
            return Response::builder().status(202).body(Full::default()).unwrap();
        }
        _ => return Response::builder().status(405).body(Full::default()).unwrap(),
    };
    let answer = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, body["id"]);
    let response = Response::builder().header("content-type", "application/json");
    response.body(Full::from(answer)).unwrap()
}

#[tokio::test]
async fn a_remote_server_is_asked_for_lists_once_it_is_initialized() {
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", socket.local_addr().unwrap());
    let stop = CancellationToken::new();
    let serve = async {
        let initialized = Arc::new(AtomicBool::new(false));
        loop {
            let (stream, _) = socket.accept().await.unwrap();
            let initialized = initialized.clone();
            tokio::spawn(async move {
                let service = service_fn(async |request| {
                    Ok::<_, std::convert::Infallible>(answer(request, &initialized).await)
                });
                let http = hyper::server::conn::http1::Builder::new();
                let _ = http.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    };
    let spec = RemoteSpec { url, headers: BTreeMap::new() };
    let target = Arc::new(Target::new(&spec).unwrap());
    let limits = LinkLimits { message_bytes_max: 1 << 20, unread_bytes_max: 1 << 20 };
    let link = open(target, limits, Arc::new(Deaf), stop.clone());
    let facts = tokio::select! {
        facts = shake(&link, RevisionChoice::Auto, "{}") => facts.unwrap(),
        () = serve => unreachable!("it serves for ever"),
    };
    stop.cancel();
    assert!(facts.lists.tool("late").is_some(), "{:?}", facts.lists);
}
