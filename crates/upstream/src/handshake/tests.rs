use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use mainstay_model::Budget;
use mainstay_model::settings::{RemoteSpec, RevisionChoice};
use mainstay_protocol::Message;
use mainstay_protocol::list::ListKind;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::unix::pipe;
use tokio_util::sync::CancellationToken;

use super::lists::{BYTES_MAX, ITEMS_MAX, PAGES_MAX};
use super::{FirstLists, HandshakeError, Patience, RevisionMemory, list, shake};
use crate::facts::{Cut, Facts, Gaps, List, ListFailure};
use crate::link::{Link, LinkLimits};
use crate::remote::{Target, open};
use crate::transport::conformance::Ears;

/// Longest wait for something that must come.
const CAP: Duration = Duration::from_secs(60);
const PATIENT: Patience = Patience { page: CAP, whole: CAP };

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
    let spec = RemoteSpec::new(url);
    let target = Arc::new(Target::new(&spec).unwrap());
    let limits = LinkLimits {
        message_bytes_max: 1 << 20,
        unread_bytes_max: 1 << 20,
        depth_max: 128,
        budget: Budget::UNLIMITED,
    };
    let link = open(target, limits, Arc::<Ears>::default(), stop.clone());
    let revisions = RevisionMemory::new(false);
    let facts = tokio::select! {
        facts = shake(&link, RevisionChoice::Auto, &revisions, "{}", FirstLists::within(CAP)) => facts.unwrap(),
        () = serve => unreachable!("it serves for ever"),
    };
    stop.cancel();
    assert!(facts.lists.tool("late").is_some(), "{:?}", facts.lists);
}

/// Serves one link over pipes: `answer` gets each request with its number and returns the members of
/// the answer beside the id, or nothing for silence.
async fn over_pipes<T>(
    answer: impl Fn(usize, &Message) -> Option<String>,
    client: impl AsyncFnOnce(Arc<Link>) -> T,
) -> T {
    let (requests, input) = std::io::pipe().unwrap();
    let (output, answers) = std::io::pipe().unwrap();
    let stop = CancellationToken::new();
    let _ended = stop.clone().drop_guard();
    let limits = LinkLimits {
        message_bytes_max: 128 << 20,
        unread_bytes_max: 1 << 20,
        depth_max: 128,
        budget: Budget::UNLIMITED,
    };
    let link =
        crate::stdio::open(input.into(), output.into(), limits, Arc::<Ears>::default(), stop)
            .unwrap();
    let serve = async {
        let mut lines =
            BufReader::new(pipe::Receiver::from_owned_fd(requests.into()).unwrap()).lines();
        let mut answers = pipe::Sender::from_owned_fd(answers.into()).unwrap();
        let mut number = 0;
        while let Some(line) = lines.next_line().await.unwrap() {
            let request = Message::parse(line.into_bytes().into()).unwrap();
            let Some(id) = request.id_number() else { continue };
            if let Some(answer) = answer(number, &request) {
                let answer = format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},{answer}}}\n");
                answers.write_all(answer.as_bytes()).await.unwrap();
            }
            number += 1;
        }
        std::future::pending::<()>().await;
    };
    tokio::select! {
        said = client(link) => said,
        () = serve => unreachable!("it serves for ever"),
    }
}

/// The tool list of a server that answers page by page.
async fn tools_of(page: impl Fn(usize) -> String) -> List {
    let client = async |link| list(&link, ListKind::Tools, PATIENT).await;
    over_pipes(|number, _| Some(page(number)), client).await.unwrap()
}

/// What a server says that answers each list in its own way, and declares `capabilities`. Its lists
/// get `start` as the time limit.
async fn facts_of(
    capabilities: &str,
    start: Duration,
    answer: impl Fn(&str) -> Option<String>,
) -> Result<Facts, HandshakeError> {
    let answer = |_, request: &Message| match request.method() {
        "initialize" => Some(format!(
            r#""result":{{"protocolVersion":"2025-11-25","capabilities":{capabilities},"serverInfo":{{}}}}"#
        )),
        method => answer(method),
    };
    let first = FirstLists::within(start);
    let revisions = RevisionMemory::new(false);
    let client = async |link| shake(&link, RevisionChoice::Legacy, &revisions, "{}", first).await;
    over_pipes(answer, client).await
}

fn error(code: i32, text: &str) -> String {
    format!(r#""error":{{"code":{code},"message":"{text}","data":{code}}}"#)
}

/// A page with one item of the kind that `method` lists.
fn item(method: &str) -> String {
    let kind = ListKind::ALL.into_iter().find(|kind| kind.method().as_str() == method).unwrap();
    format!(r#""result":{{"{}":[{{"name":"a","uri":"a","uriTemplate":"a"}}]}}"#, kind.member())
}

const ALL: &str = r#"{"tools":{},"resources":{},"prompts":{}}"#;

#[tokio::test]
async fn only_the_code_says_that_a_server_has_no_such_list() {
    let none = tools_of(move |_| error(-32601, "tools/list is unknown")).await;
    assert_eq!(none, List::default());
    let failing = tools_of(move |_| error(-32603, "the backend said -32601")).await;
    let reason = failing.gaps.failed.unwrap().to_string();
    assert!(reason.contains("the backend said -32601"), "{reason}");
}

#[tokio::test]
async fn a_list_that_fails_is_empty_says_why_and_takes_nothing_else_with_it() {
    const NULL: &str =
        r#""result":{"tools":null,"resources":null,"resourceTemplates":null,"prompts":null}"#;
    for bad in ListKind::ALL {
        let is_bad = |method: &str| method == bad.method().as_str();
        let long = "x".repeat(100_000);
        for (how, says) in [
            (Some(error(-32603, "store offline")), "store offline"),
            (Some(error(-32603, &long)), "xxx …"),
            (Some(NULL.to_owned()), "not a list"),
            (Some(r#""result":[]"#.to_owned()), "not a list"),
            (None, "did not answer"),
        ] {
            let start = Duration::from_secs(if how.is_none() { 2 } else { 60 });
            let answer =
                |method: &str| if is_bad(method) { how.clone() } else { Some(item(method)) };
            let lists = facts_of(ALL, start, answer).await.unwrap().lists;
            for kind in ListKind::ALL {
                assert_eq!(lists.of(kind).len(), usize::from(kind != bad), "{bad:?} {kind:?}");
                assert_eq!(lists.failure(kind).is_some(), kind == bad, "{bad:?} {kind:?}");
            }
            let why = lists.failure(bad).unwrap().to_string();
            assert!(why.contains(says) && why.len() < 500, "{bad:?}: {why}");
        }
    }
}

#[tokio::test]
async fn tools_that_fail_at_first_are_asked_for_again() {
    let asked = AtomicUsize::new(0);
    let answer = |method: &str| match method {
        "tools/list" if asked.fetch_add(1, Ordering::SeqCst) < 2 => Some(error(-32603, "loading")),
        method => Some(item(method)),
    };
    let lists = facts_of(ALL, CAP, answer).await.unwrap().lists;
    assert_eq!((lists.of(ListKind::Tools).len(), lists.gaps().count()), (1, 0));
}

#[tokio::test]
async fn tools_that_are_not_declared_are_found_and_other_answers_mean_that_there_are_none() {
    let facts = facts_of("{}", CAP, |method| Some(item(method))).await.unwrap();
    let list = facts.lists.get(ListKind::Tools).unwrap();
    assert!(list.undeclared && facts.capabilities.tools && list.items.len() == 1, "{list:?}");
    assert!(facts.lists.of(ListKind::Prompts).is_empty());
    for answer in [
        Some(error(-32601, "unknown")),
        Some(error(-32603, "no")),
        Some(r#""result":{"tools":[]}"#.to_owned()),
        Some(r#""result":7"#.to_owned()),
        None,
    ] {
        let start = Duration::from_secs(if answer.is_none() { 1 } else { 60 });
        let facts = facts_of("{}", start, |_| answer.clone()).await.unwrap();
        assert!(!facts.capabilities.tools && facts.lists.get(ListKind::Tools).is_none());
    }
}

#[tokio::test]
async fn a_failed_list_keeps_the_items_that_came_before() {
    let failed = || tools_of(|_| error(-32603, "store offline"));
    let mut lists = crate::facts::Lists::default();
    lists.renew(ListKind::Tools, tools_of(|_| item("tools/list")).await);
    lists.renew(ListKind::Tools, failed().await);
    assert!(lists.tool("a").is_some() && lists.failure(ListKind::Tools).is_some());
    lists.renew(ListKind::Tools, tools_of(|_| r#""result":{"tools":[]}"#.to_owned()).await);
    assert!(lists.tool("a").is_none() && lists.failure(ListKind::Tools).is_none());
    lists.renew(ListKind::Tools, failed().await);
    assert!(lists.failure(ListKind::Tools).is_some());
}

#[tokio::test]
async fn a_page_that_hangs_or_comes_too_late_keeps_the_pages_before_it() {
    let page = |number: usize| {
        format!(r#""result":{{"tools":[{{"name":"{number}"}}],"nextCursor":"{number}"}}"#)
    };
    let hangs = |number, _: &Message| (number < 3).then(|| page(number));
    let patience = Patience { page: Duration::from_millis(300), whole: CAP };
    let client = async |link| list(&link, ListKind::Tools, patience).await.unwrap();
    let list_of = over_pipes(hangs, client).await;
    assert_eq!(list_of.items.len(), 3);
    assert!(matches!(list_of.gaps.failed, Some(ListFailure::Silent { .. })), "{:?}", list_of.gaps);
    let slow = Patience { page: CAP, whole: Duration::from_millis(300) };
    let client = async |link| list(&link, ListKind::Tools, slow).await.unwrap();
    let list_of = over_pipes(hangs, client).await;
    assert_eq!(list_of.items.len(), 3);
    assert!(matches!(list_of.gaps.failed, Some(ListFailure::Slow { .. })), "{:?}", list_of.gaps);
}

#[tokio::test]
async fn entries_without_a_name_are_counted() {
    let page =
        |_| r#""result":{"tools":[{"name":"a"},{"title":"b"},{"name":7},{"name":"c"}]}"#.into();
    let list = tools_of(page).await;
    assert_eq!(list.items.len(), 2);
    assert_eq!(list.gaps, Gaps { nameless: 2, ..Gaps::default() });
}

#[tokio::test]
async fn an_empty_cursor_that_leads_nowhere_is_the_end_of_the_list() {
    let page = |name: usize, next: &str| {
        format!(r#""result":{{"tools":[{{"name":"{name}"}},{{"name":"x"}}],"nextCursor":{next}}}"#)
    };
    // It always names one, refuses it, or has two pages.
    let always = tools_of(move |_| page(0, "\"\"")).await;
    assert_eq!((always.gaps, always.items.len()), (Gaps::default(), 2));
    let refused = tools_of(move |number| match number {
        0 => page(0, "\"\""),
        _ => r#""error":{"code":-32602,"message":"invalid cursor"}"#.into(),
    });
    let refused = refused.await;
    assert_eq!((refused.gaps, refused.items.len()), (Gaps::default(), 2));
    let second = tools_of(move |number| page(number, ["\"\"", "null"][number])).await;
    assert_eq!((second.gaps, second.items.len()), (Gaps::default(), 4));
    let new = tools_of(move |number| page(number, "\"\"")).await;
    assert_eq!(new.gaps.cut, Some(Cut::Circle), "there was more each time");
}

#[tokio::test]
async fn a_page_whose_cursor_is_no_string_is_kept_and_the_list_said_to_be_cut() {
    let page =
        |number: usize| format!(r#""result":{{"tools":[{{"name":"a"}}],"nextCursor":{number}}}"#);
    let list = tools_of(page).await;
    assert_eq!((list.gaps.cut, list.items.len()), (Some(Cut::OddCursor), 1));
    assert_eq!(list.gaps.failed, None);
}

#[tokio::test]
async fn a_list_that_is_cut_says_so_and_one_that_fits_does_not() {
    let page = |items: usize, number: usize, next: Option<String>, pad: &str| {
        let one = |item| format!(r#"{{"name":"{number}-{item}","description":"{pad}"}}"#);
        let items: Vec<String> = (0..items).map(one).collect();
        let next = next.map(|next| format!(r#","nextCursor":"{next}""#)).unwrap_or_default();
        format!(r#""result":{{"tools":[{}]{next}}}"#, items.join(","))
    };
    let on = |number: usize| Some(number.to_string());
    let endless = tools_of(move |number| page(1, number, on(number), "")).await;
    assert_eq!(endless.gaps.cut, Some(Cut::Pages(PAGES_MAX)));
    assert_eq!(endless.items.len(), PAGES_MAX);
    let long = tools_of(move |number| page(ITEMS_MAX / 4, number, on(number), "")).await;
    assert_eq!((long.gaps.cut, long.items.len()), (Some(Cut::Items(ITEMS_MAX)), ITEMS_MAX));
    let pad = "x".repeat(BYTES_MAX / 4);
    let heavy = tools_of(move |number| page(1, number, on(number), &pad)).await;
    assert_eq!((heavy.gaps.cut, heavy.items.len()), (Some(Cut::Bytes(BYTES_MAX)), 4));
    let circle = tools_of(move |number| page(1, number % 3, Some((number % 3).to_string()), ""));
    let circle = circle.await;
    assert_eq!((circle.gaps.cut, circle.items.len()), (Some(Cut::Circle), 3));
    let whole = tools_of(move |number| {
        page(ITEMS_MAX / 4, number, (number < 3).then(|| number.to_string()), "")
    });
    let whole = whole.await;
    assert_eq!((whole.gaps, whole.items.len()), (Gaps::default(), ITEMS_MAX));
    let many =
        tools_of(move |number| page(1, number, (number < 299).then(|| number.to_string()), ""));
    let many = many.await;
    assert_eq!((many.gaps, many.items.len()), (Gaps::default(), 300));
}
