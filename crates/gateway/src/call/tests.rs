//! Calls without HTTP: whoever drives a call decides what carries it.

use std::sync::Arc;
use std::time::Duration;

use mainstay_model::settings::GatewaySettings;
use mainstay_model::{Budget, Ids, Principal};
use mainstay_pool::{RetryPlace, RetryWish};
use mainstay_protocol::capabilities::ClientCapabilities;
use mainstay_protocol::{Message, Revision};
use mainstay_session::{SealKey, Token};
use mainstay_telemetry::{CorrelationId, Metrics};
use mainstay_testkit::MemoryStore;
use mainstay_upstream::SessionNo;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{Call, Progress};
use crate::directory::Directory;
use crate::endpoint::names::NameRegistry;
use crate::endpoint::route::Route;
use crate::endpoint::test_servers::{Answers, World};
use crate::server::Server;
use crate::serving::Serving;
use crate::session::Session;
use crate::sessions::Sessions;
use crate::topology::Layout;

const CAP: Duration = Duration::from_secs(30);

const SERVER: Answers = &[
    ("initialize", r#"{"protocolVersion":"2025-11-25","serverInfo":{},"capabilities":{}}"#),
    ("x/ask", r#"{"jsonrpc":"2.0","id":"theirs","method":"roots/list"}"#),
    ("x/say", r#"{"said":true}"#),
];

/// One server, and a session of a client that has roots.
struct Scene {
    world: World,
    sessions: Arc<Sessions>,
    server: Server,
    session: Arc<Session>,
}

impl Scene {
    async fn start() -> Self {
        let (mut world, ids) = (World::new().await, Ids::default());
        let server = world.ready("a", ids.server(), SERVER).await;
        let backend = MemoryStore::default().open();
        let metrics = Arc::new(Metrics::new("0", []));
        let serving = Serving::new(GatewaySettings::default(), metrics, Budget::UNLIMITED);
        let names = Arc::new(NameRegistry::load(backend.names, Budget::UNLIMITED).await);
        let sessions = Sessions::new(
            serving,
            Directory::new(Layout::default(), names),
            SealKey::new([7; SealKey::BYTES]),
            (backend.sessions, backend.upkeep),
        );
        let session = Session::new(
            SessionNo(7),
            Token::none(),
            Principal::anonymous(),
            Revision::LATEST_LEGACY,
            ClientCapabilities { roots: true, ..ClientCapabilities::default() },
            ids.endpoint(),
        );
        Self { world, sessions, server, session: Arc::new(session) }
    }

    /// A call with the id 1.
    fn call(&self, method: &str) -> Call {
        let request = message(&json!({"jsonrpc": "2.0", "id": 1, "method": method}));
        let id = request.id().unwrap().detached();
        let route = Route {
            server: self.server.id,
            pool: self.server.pool.clone(),
            edits: Vec::new(),
            tool: None,
            may_retry: true,
            renamed: None,
            headers: Vec::new(),
        };
        let (sessions, session) = (self.sessions.clone(), self.session.clone());
        Call::new(sessions, session, (request, id), route, None, CorrelationId::next())
    }

    async fn end(self) {
        assert!(!self.session.is_busy(), "the session knows of no call any more");
        assert_eq!(self.sessions.serving.calls_in_flight(), 0);
        self.world.end().await;
    }
}

fn message(value: &Value) -> Message {
    Message::parse(value.to_string().into()).unwrap()
}

/// A place in the retry budget that comes after so long.
fn later(scene: &Scene, pause: Duration) -> RetryPlace {
    let deadline = std::time::Instant::now() + 2 * pause;
    let wish = RetryWish { pause_max: Duration::ZERO, at_least: pause, deadline };
    scene.server.pool.take_retry(&wish).unwrap()
}

/// What comes next, in time.
async fn next(call: &mut Call) -> Progress {
    timeout(CAP, call.next()).await.expect("in time")
}

fn answer(progress: Progress) -> Value {
    let Progress::Answer(bytes) = progress else { panic!("{progress:?}") };
    serde_json::from_slice(&bytes).unwrap()
}

/// A call that waits for its client belongs to nobody's request: another driver goes on with it.
#[tokio::test]
async fn a_call_goes_from_one_delivery_to_another_while_its_client_is_asked() {
    let scene = Scene::start().await;
    let mut call = scene.call("x/ask");
    let Progress::Event { message: question, question: Some(number) } = next(&mut call).await
    else {
        panic!("it is asked")
    };
    let question: Value = serde_json::from_slice(&question).unwrap();
    assert_eq!((&question["method"], &question["id"]), (&json!("roots/list"), &json!(number)));
    // The first waiter gives up in the middle of its wait.
    assert!(timeout(Duration::from_millis(50), call.next()).await.is_err());
    assert!(!call.is_finished());
    let other = tokio::spawn(async move { (next(&mut call).await, call.is_finished()) });
    let told = json!({"jsonrpc": "2.0", "id": number, "result": {"roots": ["r"]}});
    scene.session.forward_answer(&message(&told));
    let (progress, is_finished) = other.await.unwrap();
    let answer = answer(progress);
    assert_eq!(answer["id"], 1, "{answer}");
    // The server knows its question by the id that it chose itself.
    let told = json!({"jsonrpc": "2.0", "id": "theirs", "result": {"roots": ["r"]}});
    assert_eq!(answer["result"]["told"], told, "{answer}");
    assert!(is_finished);
    scene.end().await;
}

/// Also where nobody could be asked any more.
#[tokio::test]
async fn a_call_whose_client_can_only_be_answered_is_asked_nothing() {
    let scene = Scene::start().await;
    let mut call = scene.call("x/ask");
    call.client_is_gone();
    let answer = answer(next(&mut call).await);
    assert!(answer["result"]["told"]["error"]["code"].is_i64(), "{answer}");
    drop(call);
    scene.end().await;
}

#[tokio::test]
async fn a_call_that_is_taken_back_in_the_pause_before_it_is_sent_again_ends_at_once() {
    let scene = Scene::start().await;
    let mut call = scene.call("x/say");
    call.attempt.send_again(later(&scene, CAP * 100));
    assert!(timeout(Duration::from_millis(50), call.next()).await.is_err(), "it pauses");
    scene.session.cancel_calls(b"1");
    let progress = next(&mut call).await;
    assert!(matches!(progress, Progress::Cancelled), "{progress:?}");
    assert!(call.is_finished());
    drop(call);
    scene.end().await;
}

/// A pause that is interrupted goes on where it was.
#[tokio::test]
async fn a_pause_ends_however_often_its_driver_gives_up_waiting() {
    let scene = Scene::start().await;
    let mut call = scene.call("x/say");
    call.attempt.send_again(later(&scene, Duration::from_millis(200)));
    let answered = async {
        loop {
            if let Ok(progress) = timeout(Duration::from_millis(30), call.next()).await {
                return progress;
            }
        }
    };
    let progress = timeout(CAP, answered).await.expect("in time");
    assert_eq!(answer(progress)["result"]["said"], true);
    drop(call);
    scene.end().await;
}
