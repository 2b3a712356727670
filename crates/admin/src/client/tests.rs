use std::convert::Infallible;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::UnixListener;
use tokio::task::JoinSet;

use crate::action::{Action, LogLevel};

use super::{CallError, Client, ClientError, Conversation, Notice};

const DEADLINE: Duration = Duration::from_secs(20);

/// What arrived: method, path, session and body.
type Heard = Arc<Mutex<Vec<(String, String)>>>;
type Script = fn(&str, &str) -> Response<Full<Bytes>>;

/// A daemon that answers by a script, until it is dropped.
struct Daemon {
    folder: tempfile::TempDir,
    heard: Heard,
    _tasks: JoinSet<()>,
}

impl Daemon {
    fn start(script: Script) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join(crate::SOCKET)).unwrap();
        let heard = Heard::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(listener, script, Arc::clone(&heard)));
        Self { folder, heard, _tasks: tasks }
    }

    fn client(&self) -> Client {
        Client::new(self.folder.path(), DEADLINE)
    }

    fn heard(&self) -> Vec<(String, String)> {
        self.heard.lock().clone()
    }
}

async fn serve(listener: UnixListener, script: Script, heard: Heard) {
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let heard = Arc::clone(&heard);
        let service = service_fn(move |request: Request<Incoming>| {
            let heard = Arc::clone(&heard);
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let body = String::from_utf8(body.to_vec()).unwrap();
                let header = |name: &str| {
                    head.headers.get(name).map_or("-", |value| value.to_str().unwrap()).to_owned()
                };
                let line = format!(
                    "{} {} {} {}",
                    head.method,
                    head.uri,
                    header("mcp-session-id"),
                    header("mcp-protocol-version")
                );
                let also = ["mcp-method", "mcp-name", "mcp-param-zone"].map(header);
                let also = also.join(" ");
                let line = format!("{line} {}", also.trim_end_matches([' ', '-']));
                let line = line.trim_end().to_owned();
                heard.lock().push((line, body.clone()));
                Ok::<_, Infallible>(script(head.uri.path(), &body))
            }
        });
        connections.spawn(async move {
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

fn reply(status: u16, media: &str, body: &str) -> Response<Full<Bytes>> {
    Response::builder()
        .status(status)
        .header("content-type", media)
        .header("mcp-session-id", "s1")
        .body(Full::from(body.to_owned()))
        .unwrap()
}

#[tokio::test]
async fn nobody_there_is_told_apart_from_everything_else() {
    let folder = tempfile::tempdir().unwrap();
    let client = Client::new(folder.path(), DEADLINE);
    assert!(matches!(client.get("/health").await, Err(ClientError::NoDaemon { .. })));

    // What a killed daemon leaves behind.
    drop(UnixListener::bind(folder.path().join(crate::SOCKET)).unwrap());
    assert!(matches!(client.get("/health").await, Err(ClientError::NoDaemon { .. })));
    assert!(!client.is_running().await);

    let file = Client::new(Path::new("/dev/null"), DEADLINE);
    assert!(matches!(file.get("/health").await, Err(ClientError::Connect { .. })));
}

#[tokio::test]
async fn an_answer_comes_whole_whatever_its_status() {
    let daemon = Daemon::start(|path, _| match path {
        "/health" => reply(503, "application/json", r#"{"status":"loading"}"#),
        _ => reply(200, "application/json", r#"{"active":1,"max":2,"calls":0}"#),
    });
    let client = daemon.client();
    assert!(client.is_running().await);
    let health = client.get("/health").await.unwrap();
    assert_eq!(health.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(health.body, r#"{"status":"loading"}"#);

    assert_eq!(client.sessions().await.unwrap().max, 2);
    let daemon = Daemon::start(|path, _| match path {
        "/api/servers" => reply(502, "text/plain", "a proxy"),
        _ => reply(401, "application/json", r#"{"error":"it needs a token","hint":"send one"}"#),
    });
    let client = daemon.client();
    let error = client.servers().await.unwrap_err();
    assert!(error.to_string().contains("502 Bad Gateway: a proxy"), "{error}");
    match client.status().await {
        Err(ClientError::Problem(problem)) => assert_eq!(problem.hint.as_deref(), Some("send one")),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn each_change_goes_to_a_path_of_its_own() {
    let daemon = Daemon::start(|path, _| {
        let action = path.trim_start_matches("/api/actions/");
        let done = format!(r#"{{"action":"{action}","dry_run":false,"message":"done"}}"#);
        reply(200, "application/json", &done)
    });
    let client = daemon.client();
    let refresh = Action::Refresh { server: "time".to_owned() };
    let level = Action::SetLogLevel(LogLevel::Debug);
    for (action, dry_run, path, body) in [
        (Action::Stop, true, "stop", r#"{"dry_run":true}"#),
        (level, false, "log-level", r#"{"level":"debug","dry_run":false}"#),
        (refresh, false, "refresh", r#"{"server":"time","dry_run":false}"#),
    ] {
        let done = client.act(action, dry_run).await.unwrap();
        assert_eq!((done.action.as_str(), done.message.as_str()), (path, "done"));
        let (line, sent) = daemon.heard().pop().unwrap();
        assert!(line.starts_with(&format!("POST /api/actions/{path} ")), "{line}");
        assert_eq!(sent, body);
    }
}

#[tokio::test]
async fn a_daemon_that_says_nothing_is_not_waited_for_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let _listener = UnixListener::bind(folder.path().join(crate::SOCKET)).unwrap();
    let client = Client::new(folder.path(), Duration::from_millis(50));
    assert!(matches!(client.get("/health").await, Err(ClientError::Deadline(_))));
}

/// Speaks the handshake, answers the first call in JSON and the second in a stream.
fn server(_: &str, body: &str) -> Response<Full<Bytes>> {
    let json = "application/json";
    if body.contains("initialize\"") {
        let result = r#"{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2025-06-18"}}"#;
        reply(200, json, result)
    } else if body.contains("tools/list") {
        reply(200, json, r#"{"jsonrpc":"2.0","id":2,"result":{"tools":[]}}"#)
    } else if body.contains("tools/call") {
        let events = concat!(
            "id: 0\ndata:\n\n",
            "data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progress\":1}}\n\n",
            "data: {\"jsonrpc\":\"2.0\",\"id\":9,\"method\":\"ping\"}\n\n",
            "data: {\"jsonrpc\":\"2.0\",\"id\":3,\"result\":{\"content\":[]}}\n\n",
        );
        reply(200, "text/event-stream", events)
    } else if body.contains("prompts/list") {
        let error = r#"{"jsonrpc":"2.0","id":4,"error":{"code":1004,"message":"it is down","data":{"code":"SERVER_UNAVAILABLE"}}}"#;
        reply(200, json, error)
    } else {
        reply(202, json, "")
    }
}

#[tokio::test]
async fn a_conversation_from_handshake_to_farewell() {
    let daemon = Daemon::start(server);
    let mut talk = Conversation::open(&daemon.client(), "/mcp/time", "1").await.unwrap();
    let list = talk.request("tools/list", None, &mut |_| {}).await.unwrap();
    assert_eq!(list, r#"{"tools":[]}"#);

    let mut notices = Vec::new();
    let mut note =
        |notice: Notice<'_>| notices.push(format!("{} {}", notice.method, notice.params));
    let result = talk.request("tools/call", Some("{}"), &mut note).await.unwrap();
    assert_eq!(result, r#"{"content":[]}"#);
    assert_eq!(notices, [r#"notifications/progress {"progress":1}"#]);

    match talk.request("prompts/list", None, &mut |_| {}).await.unwrap_err() {
        CallError::Refused { code: 1004, message, data } => {
            assert_eq!(message, "it is down");
            assert_eq!(data["code"], "SERVER_UNAVAILABLE");
        }
        other => panic!("{other:?}"),
    }
    talk.close().await;

    let heard = daemon.heard();
    let lines: Vec<_> = heard.iter().map(|(line, _)| line.as_str()).collect();
    assert_eq!(
        lines,
        [
            "POST /mcp/time - -",
            "POST /mcp/time s1 2025-06-18",
            "POST /mcp/time s1 2025-06-18",
            "POST /mcp/time s1 2025-06-18",
            "POST /mcp/time s1 2025-06-18",
            "POST /mcp/time s1 2025-06-18",
            "DELETE /mcp/time s1 2025-06-18",
        ]
    );
    assert_eq!(heard[4].1, r#"{"jsonrpc":"2.0","id":9,"result":{}}"#);
}

#[tokio::test]
async fn an_unknown_endpoint_is_a_status() {
    let daemon = Daemon::start(|_, _| reply(404, "application/json", r#"{"names":["time"]}"#));
    let error = Conversation::open(&daemon.client(), "/mcp/tme", "1").await.unwrap_err();
    let CallError::Client(ClientError::Status { status, body }) = error else { panic!("{error}") };
    assert_eq!((status.as_u16(), body.as_str()), (404, r#"{"names":["time"]}"#));
}

#[tokio::test]
async fn a_stream_that_ends_early_is_no_answer() {
    let daemon = Daemon::start(|_, body| {
        if body.contains("initialize\"") {
            server("", body)
        } else {
            reply(200, "text/event-stream", ": nothing\n\n")
        }
    });
    let mut talk = Conversation::open(&daemon.client(), "/mcp", "1").await.unwrap();
    let error = talk.request("tools/list", None, &mut |_| {}).await.unwrap_err();
    assert!(matches!(error, CallError::NoAnswer), "{error}");
}

/// Speaks 2026-07-28 and refuses `initialize`.
fn stateless(_: &str, body: &str) -> Response<Full<Bytes>> {
    let json = "application/json";
    let answer = |id: u64, result: &str| {
        reply(200, json, &format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#))
    };
    if body.contains("initialize\"") {
        let error = r#"{"code":-32022,"message":"","data":{"supported":["2026-07-28"]}}"#;
        reply(400, json, &format!(r#"{{"jsonrpc":"2.0","id":1,"error":{error}}}"#))
    } else if body.contains("server/discover") {
        answer(1, r#"{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}}}"#)
    } else if body.contains("tools/list") {
        let zone = r#"{"type":"string","x-mcp-header":"Zone"}"#;
        let schema = format!(r#"{{"type":"object","properties":{{"zone":{zone}}}}}"#);
        answer(2, &format!(r#"{{"tools":[{{"name":"now","inputSchema":{schema}}}]}}"#))
    } else {
        answer(3, r#"{"content":[]}"#)
    }
}

#[tokio::test]
async fn where_only_the_newest_is_spoken_each_request_stands_alone() {
    let daemon = Daemon::start(stateless);
    let mut talk = Conversation::open(&daemon.client(), "/mcp/time", "1").await.unwrap();
    talk.request("tools/list", None, &mut |_| {}).await.unwrap();
    talk.hear_messages();
    let call = r#"{"name":"now","arguments":{"zone":"a b"},"_meta":{"progressToken":1}}"#;
    let result = talk.request("tools/call", Some(call), &mut |_| {}).await.unwrap();
    assert_eq!(result, r#"{"content":[]}"#);
    talk.close().await;

    let heard = daemon.heard();
    let lines: Vec<_> = heard.iter().map(|(line, _)| line.as_str()).collect();
    assert_eq!(
        lines,
        [
            "POST /mcp/time - -",
            "POST /mcp/time - 2026-07-28 server/discover",
            "POST /mcp/time - 2026-07-28 tools/list",
            "POST /mcp/time - 2026-07-28 tools/call now a b",
        ]
    );
    let call: serde_json::Value = serde_json::from_str(&heard[3].1).unwrap();
    let meta = &call["params"]["_meta"];
    assert_eq!(meta["progressToken"], 1);
    assert_eq!(meta["io.modelcontextprotocol/protocolVersion"], "2026-07-28");
    assert_eq!(meta["io.modelcontextprotocol/clientCapabilities"], serde_json::json!({}));
    assert_eq!(meta["io.modelcontextprotocol/logLevel"], "debug");
    assert_eq!(call["params"]["arguments"]["zone"], "a b");
}

#[tokio::test]
async fn who_speaks_nothing_of_ours_is_told_from_who_refuses() {
    let daemon = Daemon::start(|path, body| match body.contains("server/discover") {
        true => reply(
            200,
            "application/json",
            r#"{"jsonrpc":"2.0","id":1,"result":{"supportedVersions":["2024-11-05"]}}"#,
        ),
        false => stateless(path, body),
    });
    let error = Conversation::open(&daemon.client(), "/mcp", "1").await.unwrap_err();
    assert!(matches!(error, CallError::NoRevision), "{error}");
}
