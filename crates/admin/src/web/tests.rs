use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{Method, Request, Response};
use http_body_util::BodyExt;
use mainstay_model::status::{Health, InstanceState};
use mainstay_model::{Name, NodeKind};
use mainstay_store::events::EventPage as StoredPage;
use mainstay_store::{
    Answer, AuditEntry, AuditLog, AuditOutcome, Event, EventLog, EventsAsked, Stored, StoredEvent,
    Unavailable,
};
use mainstay_telemetry::{CorrelationId, Metrics, ServerOutput};
use parking_lot::Mutex;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tower::ServiceExt;

use super::{Admin, Asked, Parts, document};
use crate::access::{Peer, Tokens};
use crate::action::{Action, ActionError, Actions, Carrying, Done, Drain, LogLevel};
use crate::api::breakers::{CircuitBreaker, RefusedTools, ToolNeeds};
use crate::api::graph::{Blocker, Cause, Graph, Node, Probe};
use crate::api::openapi;
use crate::api::pools::{ConnectionPool, PoolHealth, PoolNumbers};
use crate::api::servers::Server;
use crate::api::services::Service;
use crate::api::sessions::{Session, Sessions};
use crate::api::status::{DaemonStatus, Memory, MemoryBudget, Notification};
use crate::api::verify::VerifyReport;
use crate::source::{Source, View};
use crate::verify::{NothingCalled, Verification, Verifier, Verifying};

mod changes;
mod events;
mod fields;
mod values;

use self::values::{breaker, node, probe, refused_tools, server, service, session};

struct Fake(Health);

impl Source for Fake {
    fn status(&self, _: View) -> DaemonStatus {
        let state =
            if self.0 == Health::Ok { InstanceState::Ready } else { InstanceState::Starting };
        DaemonStatus {
            status: self.0,
            circuit_breakers: BTreeMap::from([("store".to_owned(), "OPEN".to_owned())]),
            tripped_breakers: vec![breaker()],
            version: "1.2.3".to_owned(),
            pid: 7,
            uptime_ms: 1,
            call_timeout_max_ms: 300_000,
            listen: vec!["127.0.0.1:8000".to_owned()],
            state_dir: "/state".to_owned(),
            configuration: Default::default(),
            config_file: Some("/etc/mainstay/mainstay.toml".to_owned()),
            mcp_url: Some("http://127.0.0.1:8000/mcp".to_owned()),
            sessions: Sessions {
                active: 3,
                max: 10,
                calls: 1,
                listens: 4,
                streams: 2,
                unstored: None,
            },
            connection_pool: ConnectionPool {
                status: PoolHealth::Healthy,
                utilization: 0.02,
                idle: 1,
                active: 2,
                total: 3,
                max: 100,
                max_pool_size: 100,
                min_pool_size: 10,
            },
            memory_usage: Memory {
                resident_bytes: 1,
                servers_bytes: 0,
                usage_bytes: 1,
                limit_bytes: 2,
                budgets: BTreeMap::from([("whole".to_owned(), MemoryBudget::default())]),
            },
            volumes: BTreeMap::new(),
            dependencies: BTreeMap::new(),
            servers: vec![server("time", state)],
            services: vec![service("db", state)],
            notifications: vec![Notification {
                section: "notify.1".to_owned(),
                ..Notification::default()
            }],
            endpoints: Vec::new(),
        }
    }

    fn graph(&self, view: View) -> Graph {
        Graph { nodes: vec![node("db", view)] }
    }

    fn services(&self, view: View) -> Vec<Service> {
        self.status(view).services
    }

    fn breakers(&self, _: View) -> Vec<CircuitBreaker> {
        vec![breaker()]
    }

    fn sessions(&self) -> Vec<Session> {
        vec![session()]
    }

    fn metrics(&self) -> String {
        "# EOF\n".to_owned()
    }

    fn pool(&self, server: &str) -> Option<PoolNumbers> {
        assert_ne!(server, "panic", "a fault of the test's making");
        (server == "time").then(PoolNumbers::default)
    }
}

/// Says what it was asked for. Knows `db` alone.
struct Asker;

impl Verifier for Asker {
    fn verify(&self, asked: Verification) -> Verifying<'_> {
        Box::pin(async move {
            if let Some(name) = asked.names.into_iter().find(|name| name != "db") {
                return Err(NothingCalled { name, names: vec!["db".to_owned()] });
            }
            let took_ms = u64::try_from(asked.timeout.as_millis()).unwrap();
            Ok(VerifyReport { passed: true, took_ms, declared: 0, checks: Vec::new() })
        })
    }
}

/// Carries nothing out and remembers what it was asked for. A refresh of `slow` never ends.
#[derive(Default)]
struct Recorder(Mutex<Vec<(Action, bool)>>);

impl Actions for Recorder {
    fn carry_out(&self, action: Action, dry_run: bool) -> Carrying<'_> {
        Box::pin(async move {
            self.0.lock().push((action.clone(), dry_run));
            match action {
                Action::Refresh { server } if server == "slow" => std::future::pending().await,
                Action::Refresh { server } if server != "time" => {
                    let servers = vec!["time".to_owned()];
                    Err(ActionError::NoSuchServer { name: server, servers })
                }
                Action::StartNode { name }
                | Action::StopNode { name }
                | Action::RestartNode { name }
                    if name != "db" =>
                {
                    Err(ActionError::NoSuchNode { name, names: vec!["db".to_owned()] })
                }
                Action::StopNode { .. } => Ok(Done {
                    drain: Some(Drain { calls: 2, timeout: Duration::from_secs(30) }),
                    cut_off: Some(1),
                    dependants: vec!["server:time".parse().unwrap()],
                    ..Done::from("stopped".to_owned())
                }),
                Action::SetLogLevel(LogLevel::Trace) => panic!("a fault of the test's making"),
                _ => Ok("done".to_owned().into()),
            }
        })
    }
}

/// An audit log in memory.
#[derive(Debug, Default)]
struct Ledger(Mutex<Vec<AuditEntry>>);

impl AuditLog for Ledger {
    fn record(&self, entry: AuditEntry) {
        self.0.lock().push(entry);
    }

    fn recent(&self, limit: usize) -> Answer<'_, Vec<AuditEntry>> {
        let entries = self.0.lock().iter().rev().take(limit).cloned().collect();
        Box::pin(async move { if limit == 13 { Err(Unavailable::Busy) } else { Ok(entries) } })
    }

    fn stored(&self) -> Stored<'_> {
        Box::pin(async { true })
    }
}

/// One event, whatever is asked for. Fails where the event 13 is named.
#[derive(Debug, Default)]
struct Happened;

impl EventLog for Happened {
    fn record(&self, _: Event) {}

    fn page(&self, asked: EventsAsked) -> Answer<'_, StoredPage> {
        let event = Event {
            at_ms: 4_000_000_000_123,
            server: Some("time".to_owned()),
            instance: Some(3),
            from: "crash-loop".to_owned(),
            to: "ready".to_owned(),
            reason: Some("/whole/reason".to_owned()),
            brief_reason: Some("brief reason".to_owned()),
        };
        let is_wanted = asked.includes(&StoredEvent { id: 1, event: event.clone() });
        let events = is_wanted.then_some(StoredEvent { id: 1, event }).into_iter().collect();
        let failing = asked.after == Some(13);
        Box::pin(async move {
            if failing { Err(Unavailable::Busy) } else { Ok(StoredPage { events, is_cut: false }) }
        })
    }

    fn stored(&self) -> Stored<'_> {
        Box::pin(async { true })
    }
}

/// An admin side, and what it did.
struct Scene {
    admin: Admin,
    actions: Arc<Recorder>,
    audit: Arc<Ledger>,
}

const NEAR: Peer = Peer::Address(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST));
const FAR: Peer = Peer::Address(std::net::IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)));

fn tokens() -> Tokens {
    Tokens::new(&[7; Tokens::BYTES])
}

fn admin_token() -> String {
    format!("Bearer {}", tokens().admin().expose())
}

fn read_token() -> String {
    format!("Bearer {}", tokens().read().expose())
}

impl Scene {
    fn with(health: Health) -> Self {
        Self::of(Arc::new(Fake(health)))
    }

    fn of(source: Arc<dyn Source>) -> Self {
        let (actions, audit) = (Arc::new(Recorder::default()), Arc::new(Ledger::default()));
        let admin = Admin::new(Parts {
            source,
            actions: actions.clone(),
            verifier: Arc::new(Asker),
            audit: audit.clone(),
            events: Arc::new(Happened),
            tokens: tokens(),
            metrics: Arc::new(Metrics::new("1.2.3", [])),
            output: ServerOutput::new(),
        });
        Self { admin, actions, audit }
    }

    async fn ask(&self, from: Peer, mut request: Request<Body>) -> Response<Body> {
        request.extensions_mut().insert(Asked { from, request_id: CorrelationId::next() });
        let Ok(answer) = self.admin.clone().oneshot(request).await;
        answer
    }

    async fn get(&self, from: Peer, path: &str) -> (u16, Value) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        read(self.ask(from, request).await).await
    }

    async fn post(&self, from: Peer, token: &str, path: &str, body: &str) -> (u16, Value) {
        let mut request = Request::post(path).header("content-type", "application/json");
        if !token.is_empty() {
            request = request.header("authorization", token);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        read(self.ask(from, request).await).await
    }
}

async fn text(response: Response<Body>) -> String {
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

async fn read(response: Response<Body>) -> (u16, Value) {
    let code = response.status().as_u16();
    (code, serde_json::from_str(&text(response).await).unwrap())
}

#[tokio::test]
async fn health_answers_by_the_contract() {
    use Health::{Degraded, Draining, Error, Loading, Ok};
    for (path, codes) in [
        ("/health", [200, 200, 503, 503, 503]),
        ("/health/ready", [200, 200, 503, 503, 503]),
        ("/health/live", [200; 5]),
        ("/health/detailed", [200; 5]),
    ] {
        for (health, code) in [Ok, Degraded, Loading, Draining, Error].into_iter().zip(codes) {
            let (got, body) = Scene::with(health).get(NEAR, path).await;
            assert_eq!(got, code, "{path} {health:?}");
            assert_eq!(body["status"], health.as_str(), "{path}");
            assert_eq!(body["circuit_breakers"], json!({"store": "OPEN"}), "{path}");
        }
    }
    let (_, loading) = Scene::with(Loading).get(NEAR, "/health").await;
    assert_eq!(loading["waiting_for"], json!(["time"]));
    let detailed = Scene::with(Ok).get(NEAR, "/health/detailed").await.1;
    for member in
        ["connection_pool", "memory_usage", "sessions", "volumes", "dependencies", "servers"]
    {
        assert!(!detailed[member].is_null(), "{member}");
    }
}

#[tokio::test]
async fn from_afar_only_liveness_and_one_word_are_open() {
    for path in [
        "/health/ready",
        "/health/detailed",
        "/metrics",
        "/openapi.json",
        "/stats/pool",
        "/stats/pool?server=time",
        "/api/status",
        "/api/servers",
        "/api/services",
        "/api/services?name=db",
        "/api/graph",
        "/api/sessions",
        "/api/events",
    ] {
        let scene = Scene::with(Health::Ok);
        let request = |token: &str| {
            let request = Request::get(path).header("authorization", token);
            request.body(Body::empty()).unwrap()
        };
        let refused = scene.ask(FAR, Request::get(path).body(Body::empty()).unwrap()).await;
        assert_eq!(refused.headers()["www-authenticate"], "Bearer", "{path}");
        let (code, body) = read(refused).await;
        assert_eq!(code, 401, "{path}");
        assert!(!body.to_string().contains("time-server"), "{body}");
        let wrong = scene.ask(FAR, request("Bearer x")).await;
        assert_eq!(wrong.headers()["www-authenticate"], "Bearer error=\"invalid_token\"");
        assert_eq!(scene.ask(FAR, request(&read_token())).await.status(), 200, "{path}");
        assert_eq!(*scene.audit.0.lock(), [], "{path}: what anybody near may read");
        assert_eq!(scene.ask(FAR, request(&admin_token())).await.status(), 200, "{path}");
        let used = scene.audit.0.lock().iter().map(|it| it.action.clone()).collect::<Vec<_>>();
        assert_eq!(used, [format!("read {}", path.split('?').next().unwrap())]);
    }
    let loading = Scene::with(Health::Loading);
    let live = json!({"status": "loading", "circuit_breakers": {}});
    assert_eq!(loading.get(FAR, "/health/live").await, (200, live));
    assert_eq!(loading.get(FAR, "/health").await, (503, json!({"status": "loading"})));
    let well = Scene::with(Health::Ok).get(FAR, "/health").await;
    assert_eq!(well, (200, json!({"status": "ok"})));
}

#[tokio::test]
async fn pool_numbers_are_exactly_five() {
    let scene = Scene::with(Health::Ok);
    let expected =
        json!({"idle": 1, "active": 2, "total": 3, "maxPoolSize": 100, "minPoolSize": 10});
    assert_eq!(scene.get(NEAR, "/stats/pool").await, (200, expected));
    let (code, one) = scene.get(NEAR, "/stats/pool?x=1&server=time").await;
    assert_eq!((code, &one["total"]), (200, &json!(0)));
    let (code, none) = scene.get(NEAR, "/stats/pool?server=tme").await;
    assert_eq!((code, &none["servers"]), (404, &json!(["time"])));
    let (code, twice) = scene.get(NEAR, "/stats/pool?server=a&server=b").await;
    assert_eq!(code, 400);
    assert!(twice["error"].as_str().unwrap().contains("duplicate"), "{twice}");
}

#[tokio::test]
async fn lists_and_numbers() {
    let scene = Scene::with(Health::Ok);
    let (_, sessions) = scene.get(NEAR, "/api/sessions").await;
    // As many as are listed, also where the status has counted others since.
    assert_eq!((&sessions["active"], &sessions["max"]), (&json!(1), &json!(10)));
    assert_eq!((&sessions["calls"], &sessions["streams"]), (&json!(1), &json!(2)));
    assert_eq!(sessions["active_sessions"][0]["endpoint"], "/mcp");
    assert_eq!(scene.get(NEAR, "/api/servers").await.1["servers"][0]["name"], "time");
    let (_, services) = scene.get(NEAR, "/api/services").await;
    assert_eq!(services["services"][0]["name"], "db");
    assert_eq!(scene.get(NEAR, "/api/services?name=db").await, (200, services));
    let (code, none) = scene.get(NEAR, "/api/services?name=dc").await;
    assert_eq!((code, &none["names"]), (404, &json!(["db"])));
    let (_, graph) = scene.get(NEAR, "/api/graph").await;
    assert!(!graph.to_string().contains("/secret"), "{graph}");
    assert_eq!(graph["nodes"][0]["needs"], json!(["external:net"]));
    let (_, graph) = scene.get(Peer::Socket(None), "/api/graph").await;
    assert!(graph["nodes"][0]["waiting_for"][0]["reason"].is_string(), "{graph}");
    serde_json::from_value::<Graph>(graph).expect("the graph reads back");
    let (_, status) = scene.get(NEAR, "/api/status").await;
    serde_json::from_value::<DaemonStatus>(status).expect("status reads back");

    let metrics = scene.ask(NEAR, Request::get("/metrics").body(Body::empty()).unwrap()).await;
    let media = metrics.headers()["content-type"].to_str().unwrap().to_owned();
    assert!(media.starts_with("application/openmetrics-text; version=1.0.0"), "{media}");
    assert_eq!(text(metrics).await, "# EOF\n");
}

#[tokio::test]
async fn head_has_the_length_and_no_body() {
    let scene = Scene::with(Health::Ok);
    let whole =
        text(scene.ask(NEAR, Request::get("/health").body(Body::empty()).unwrap()).await).await;
    let head = scene.ask(NEAR, Request::head("/health").body(Body::empty()).unwrap()).await;
    let length: usize = head.headers()["content-length"].to_str().unwrap().parse().unwrap();
    assert_eq!(head.headers()["cache-control"], "no-store");
    assert_eq!(text(head).await, "");
    assert_eq!(whole.len(), length);
}

#[tokio::test]
async fn other_methods_are_told_what_is_allowed() {
    let scene = Scene::with(Health::Ok);
    for (path, allowed, methods) in [
        ("/health", "GET, HEAD", [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS]),
        ("/api/status", "GET, HEAD", [Method::POST, Method::PATCH, Method::TRACE, Method::OPTIONS]),
        ("/api/actions/stop", "POST", [Method::GET, Method::HEAD, Method::PUT, Method::OPTIONS]),
    ] {
        for method in methods {
            for from in [NEAR, FAR, Peer::Socket(None)] {
                let request = Request::builder().method(&method).uri(path);
                let response = scene.ask(from, request.body(Body::empty()).unwrap()).await;
                assert_eq!(response.status(), 405, "{method} {path}");
                assert_eq!(response.headers()["allow"], allowed, "{method} {path}");
                let body = text(response).await;
                assert_eq!(body.is_empty(), method == Method::HEAD, "{method} {path}: {body}");
            }
        }
    }
}

#[tokio::test]
async fn it_answers_exactly_at_the_paths_that_it_names() {
    let scene = Scene::with(Health::Ok);
    for path in ["/mcp", "/health/", "/healthz", "/api", "/api/", "/api/status/", "/stats", "/sse"]
    {
        assert_eq!(scene.get(Peer::Socket(None), path).await.0, 404, "{path}");
    }
    for path in scene.admin.paths() {
        let acts = path.starts_with(Admin::BELOW) || path == "/api/verify";
        let method = if acts { Method::POST } else { Method::GET };
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let code = scene.ask(Peer::Socket(None), request).await.status();
        assert!(!matches!(code.as_u16(), 404 | 405), "{path}: {code}");
    }
}

#[tokio::test]
async fn the_page_is_for_people_on_this_machine_and_runs_nothing() {
    let scene = Scene::with(Health::Ok);
    let get = || Request::get("/").header("host", "localhost:8000").body(Body::empty()).unwrap();
    let page = scene.ask(NEAR, get()).await;
    assert_eq!(page.status(), 200);
    let header = |name: &str| page.headers()[name].to_str().unwrap().to_owned();
    assert_eq!(header("content-type"), "text/html; charset=utf-8");
    let policy = header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    let text = text(page).await;
    assert!(text.contains("<code>http://localhost:8000/mcp</code>"), "{text}");
    // The style is the one that the policy allows.
    let style =
        text.split_once("<style>").and_then(|(_, rest)| rest.split_once("</style>")).unwrap().0;
    let hash = BASE64_STANDARD.encode(Sha256::digest(style));
    assert!(policy.contains(&hash), "{policy}");
    assert_eq!(scene.ask(FAR, get()).await.status(), 401);
}

#[tokio::test]
async fn whoever_is_not_known_may_nothing() {
    let admin = Scene::with(Health::Ok).admin;
    let request = Request::get("/health").body(Body::empty()).unwrap();
    let Ok(refused) = admin.oneshot(request).await;
    assert_eq!(refused.status(), 401);
}

#[tokio::test]
async fn a_panic_is_answered_with_an_id_and_ends_nothing_else() {
    let scene = Scene::with(Health::Ok);
    let (code, fault) = scene.get(NEAR, "/stats/pool?server=panic").await;
    assert_eq!(code, 500);
    assert!(fault["error_id"].as_str().is_some_and(|id| id.len() > 8), "{fault}");
    assert!(!fault.to_string().contains("making"), "{fault}");
    assert_eq!(scene.get(NEAR, "/health").await.0, 200);
}

/// `MAINSTAY_BLESS=1 cargo test -p mainstay-admin` writes it anew.
#[test]
#[expect(clippy::disallowed_methods, reason = "tests may block")]
fn the_description_in_the_repository_is_that_of_the_code() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/openapi.json");
    let now = openapi::text(&document());
    if std::env::var_os("MAINSTAY_BLESS").is_some() {
        std::fs::write(path, &now).unwrap();
    }
    let checked_in = std::fs::read_to_string(path).unwrap_or_default();
    assert!(checked_in == now, "docs/openapi.json is out of date; MAINSTAY_BLESS=1 writes it anew");
}
