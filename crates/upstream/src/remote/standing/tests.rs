use std::sync::Arc;

use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming as RequestBody;
use mainstay_model::settings::{RemoteSpec, RevisionChoice};
use mainstay_protocol::{Kind, Message};
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::Standing;
use crate::facts::Facts;
use crate::handshake::{FirstLists, HandshakeError, RevisionMemory, shake};
use crate::remote::{Target, open, open_known};
use crate::transport::conformance::http::{Answer, Events, listen, status, stream};
use crate::transport::conformance::{CAP, Ears, LIMITS, NEVER};

/// A server that reports its requests to the test, and answers the GET of the standing stream when
/// the test says so.
#[derive(Clone)]
struct Server {
    tell: mpsc::Sender<String>,
    answers: Arc<Notify>,
    status: StatusCode,
}

/// More messages than a handshake has.
const QUEUE: usize = 16;

type Shaken = tokio::task::JoinHandle<Result<Facts, HandshakeError>>;

/// A handshake in progress, and the requests that the server got.
struct Beginning {
    shaken: Shaken,
    asked: mpsc::Receiver<String>,
    answers: Arc<Notify>,
    stop: CancellationToken,
}

// === impl Server ===

impl Server {
    async fn answer(self, request: Request<RequestBody>) -> Answer {
        if request.method() == Method::GET {
            self.tell.send("GET".to_owned()).await.unwrap();
            self.answers.notified().await;
            if self.status != StatusCode::OK {
                return status(self.status);
            }
            let (said, reader) = mpsc::channel(1);
            // The stream stays open as long as the server.
            tokio::spawn(async move { said.closed().await });
            return stream(Events { messages: reader, ends_with_answer: false, over: false });
        }
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let message = Message::parse(body).unwrap();
        // A client without a stream pings.
        if message.method() != "ping" {
            self.tell.send(message.method().to_owned()).await.unwrap();
        }
        if message.kind() != Kind::Request {
            return status(StatusCode::ACCEPTED);
        }
        let result = match message.method() {
            "initialize" => {
                r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"a","version":"1"}}"#
            }
            _ => r#"{"tools":[]}"#,
        };
        let id = message.id_number().unwrap();
        let text = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#);
        let (say, said) = mpsc::channel(1);
        say.send(text).await.unwrap();
        stream(Events { messages: said, ends_with_answer: true, over: false })
    }
}

// === impl Beginning ===

impl Beginning {
    /// Begins a handshake with a server whose standing stream is answered with `status`.
    async fn with(status: StatusCode) -> Self {
        let (tell, asked) = mpsc::channel(QUEUE);
        let (answers, stop) = (Arc::new(Notify::new()), CancellationToken::new());
        let server = Server { tell, answers: answers.clone(), status };
        let url = listen(stop.clone(), move |request| server.clone().answer(request)).await;
        let spec = RemoteSpec::new(format!("{url}/mcp"));
        let ears = Arc::<Ears>::default();
        let link = open(Arc::new(Target::new(&spec).unwrap()), LIMITS, ears, stop.clone());
        let first = FirstLists::within(CAP);
        let shaken = tokio::spawn(async move {
            let revisions = RevisionMemory::new(false);
            shake(&link, RevisionChoice::Legacy, &revisions, "{}", first).await
        });
        Self { shaken, asked, answers, stop }
    }

    async fn next(&mut self) -> String {
        tokio::time::timeout(CAP, self.asked.recv()).await.expect("in time").unwrap()
    }

    /// Waits until the server got the GET of the standing stream, and lets it answer.
    async fn standing(&mut self) {
        assert_eq!(self.next().await, "initialize");
        let mut both = [self.next().await, self.next().await];
        both.sort();
        assert_eq!(both, ["GET", "notifications/initialized"]);
    }

    async fn end(self) {
        let shaken = tokio::time::timeout(CAP, self.shaken).await.expect("in time").unwrap();
        assert!(shaken.is_ok(), "{shaken:?}");
        self.stop.cancel();
    }
}

/// From then on lists may change and calls may ask: official servers drop messages that no stream
/// can carry.
#[tokio::test]
async fn lists_are_asked_for_when_the_stream_stands() {
    for status in [StatusCode::OK, StatusCode::METHOD_NOT_ALLOWED] {
        let mut beginning = Beginning::with(status).await;
        beginning.standing().await;
        let early = tokio::time::timeout(NEVER, beginning.asked.recv()).await;
        assert!(early.is_err(), "{early:?} before the stream stood");
        beginning.answers.notify_one();
        assert_eq!(beginning.next().await, "tools/list", "{status}");
        beginning.end().await;
    }
}

/// Some servers answer only with their first event.
#[tokio::test]
async fn a_server_that_leaves_the_stream_unanswered_is_not_waited_for() {
    let mut beginning = Beginning::with(StatusCode::OK).await;
    beginning.standing().await;
    assert_eq!(beginning.next().await, "tools/list");
    beginning.end().await;
}

/// Servers end sessions that nobody uses.
#[tokio::test]
async fn a_server_with_a_silent_stream_is_pinged() {
    let stop = CancellationToken::new();
    let _ended = stop.clone().drop_guard();
    let (pinged, mut pings) = mpsc::channel(QUEUE);
    let url = listen(stop.clone(), move |request| {
        let pinged = pinged.clone();
        async move {
            let (say, said) = mpsc::channel(1);
            if request.method() == Method::GET {
                tokio::spawn(async move { say.closed().await });
                return stream(Events { messages: said, ends_with_answer: false, over: false });
            }
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let message = Message::parse(body).unwrap();
            assert_eq!(message.method(), "ping");
            let id = message.id_number().unwrap();
            say.send(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{}}}}"#)).await.unwrap();
            pinged.send(()).await.unwrap();
            stream(Events { messages: said, ends_with_answer: true, over: false })
        }
    })
    .await;
    let target = Arc::new(Target::new(&RemoteSpec::new(format!("{url}/mcp"))).unwrap());
    let (link, session) = open_known(target, LIMITS, Arc::<Ears>::default(), stop);
    let mut standing = Standing { silence: NEVER, ..Standing::new() };
    let answered = CancellationToken::new();
    let listening = standing.stand_and_ping(&link, &session, &answered);
    let pinged_twice = async {
        pings.recv().await.unwrap();
        pings.recv().await.unwrap();
    };
    tokio::select! {
        ended = listening => panic!("{ended:?}"),
        twice = tokio::time::timeout(CAP, pinged_twice) => twice.expect("in time"),
    }
    assert!(answered.is_cancelled(), "the stream stands");
}
