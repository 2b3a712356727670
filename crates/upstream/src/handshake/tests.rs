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
use mainstay_protocol::list::ListKind;
use mainstay_telemetry::Dropped;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::pipe;
use tokio_util::sync::CancellationToken;

use super::lists::{ITEMS_MAX, PAGES_MAX};
use super::{HandshakeError, RevisionMemory, list, shake};
use crate::Asker;
use crate::facts::{Cut, Gaps, List};
use crate::link::LinkLimits;
use crate::listener::Listener;
use crate::remote::{Target, open};

#[derive(Debug)]
struct Deaf;

impl Listener for Deaf {
    fn notification(&self, _: Message) {}
    fn dropped(&self, _: Dropped) {}
    fn question(&self, _: &Asker, _: &Message) -> bool {
        false
    }
    fn stray(&self, _: &[u8], _: &str) {}
    fn unusable_answer(&self, _: &str) {}
    fn late_answer(&self, _: Option<&Message>) {}
    fn closed(&self, _: &str) {}
}

/// A server without tools until `notifications/initialized` has been processed, which takes a
/// while.
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
    let limits =
        LinkLimits { message_bytes_max: 1 << 20, unread_bytes_max: 1 << 20, depth_max: 128 };
    let link = open(target, limits, Arc::new(Deaf), stop.clone());
    let revisions = RevisionMemory::new(false);
    let facts = tokio::select! {
        facts = shake(&link, RevisionChoice::Auto, &revisions, "{}") => facts.unwrap(),
        () = serve => unreachable!("it serves for ever"),
    };
    stop.cancel();
    assert!(facts.lists.tool("late").is_some(), "{:?}", facts.lists);
}

/// The tool list of a server over pipes that answers page by page. `page` gets the page's number
/// and returns the members of its answer beside the id.
async fn tools_of(page: impl Fn(usize) -> String + Send + 'static) -> Result<List, HandshakeError> {
    let (requests, input) = std::io::pipe().unwrap();
    let (output, answers) = std::io::pipe().unwrap();
    let stop = CancellationToken::new();
    let _ended = stop.clone().drop_guard();
    let limits =
        LinkLimits { message_bytes_max: 16 << 20, unread_bytes_max: 1 << 20, depth_max: 128 };
    let link =
        crate::stdio::open(input.into(), output.into(), limits, Arc::new(Deaf), stop).unwrap();
    let serve = async {
        let mut lines =
            BufReader::new(pipe::Receiver::from_owned_fd(requests.into()).unwrap()).lines();
        let mut answers = pipe::Sender::from_owned_fd(answers.into()).unwrap();
        for number in 0.. {
            let Some(line) = lines.next_line().await.unwrap() else { break };
            let request = Message::parse(line.into_bytes().into()).unwrap();
            let id = request.id_number().unwrap();
            let answer = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},{}}}\n", page(number));
            answers.write_all(answer.as_bytes()).await.unwrap();
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        list = list(&link, ListKind::Tools) => list,
        () = serve => unreachable!("it serves for ever"),
    }
}

#[tokio::test]
async fn only_the_code_says_that_a_server_has_no_such_list() {
    let error = |code: i32, text: &str| {
        format!(r#""error":{{"code":{code},"message":"{text}","data":{code}}}"#)
    };
    let none = tools_of(move |_| error(-32601, "tools/list is unknown")).await.unwrap();
    assert_eq!(none, List::default());
    let failing = tools_of(move |_| error(-32603, "the backend said -32601")).await.unwrap_err();
    let HandshakeError::Protocol(reason) = failing else { panic!("{failing:?}") };
    assert!(reason.contains("the backend said -32601"), "{reason}");
}

#[tokio::test]
async fn entries_without_a_name_are_counted() {
    let page =
        |_| r#""result":{"tools":[{"name":"a"},{"title":"b"},{"name":7},{"name":"c"}]}"#.into();
    let list = tools_of(page).await.unwrap();
    assert_eq!(list.items.len(), 2);
    assert_eq!(list.gaps, Gaps { nameless: 2, cut: None });
    assert_eq!(list.gaps.to_string(), "without 2 of its entries, which have no name");
}

#[tokio::test]
async fn a_list_that_is_cut_says_so_and_one_that_fits_does_not() {
    let page = |items: usize, number: usize, next: Option<String>| {
        let one = |item| format!(r#"{{"name":"{number}-{item}"}}"#);
        let items: Vec<String> = (0..items).map(one).collect();
        let next = next.map(|next| format!(r#","nextCursor":"{next}""#)).unwrap_or_default();
        format!(r#""result":{{"tools":[{}]{next}}}"#, items.join(","))
    };
    let endless = tools_of(move |number| page(1, number, Some(number.to_string()))).await.unwrap();
    assert_eq!(endless.gaps.cut, Some(Cut::Pages(PAGES_MAX)));
    assert_eq!(endless.items.len(), PAGES_MAX);
    let long = tools_of(move |number| page(ITEMS_MAX / 4, number, Some(number.to_string())));
    let long = long.await.unwrap();
    assert_eq!((long.gaps.cut, long.items.len()), (Some(Cut::Items(ITEMS_MAX)), ITEMS_MAX));
    let circle = tools_of(move |number| page(1, number, Some("again".to_owned()))).await.unwrap();
    assert_eq!((circle.gaps.cut, circle.items.len()), (Some(Cut::Circle), 2));
    let whole = tools_of(move |number| {
        page(ITEMS_MAX / 4, number, (number < 3).then(|| number.to_string()))
    });
    let whole = whole.await.unwrap();
    assert_eq!((whole.gaps, whole.items.len()), (Gaps::default(), ITEMS_MAX));
}
