//! Probes as operators and clients see them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::{health, in_state, node};
use crate::shared::{daemon, misbehave, until};

/// An HTTP server in this process that answers each request with the body in force.
struct Page {
    port: u16,
    body: Arc<Mutex<&'static str>>,
    requests: Arc<AtomicUsize>,
    _tasks: JoinSet<()>,
}

impl Page {
    async fn new(body: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (body, requests) = (Arc::new(Mutex::new(body)), Arc::<AtomicUsize>::default());
        let mut tasks = JoinSet::new();
        let (shown, counted) = (body.clone(), requests.clone());
        tasks.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                let body = *shown.lock();
                let answer =
                    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                // A client that has gone is no fault of this server.
                let _ = stream.read(&mut [0; 4096]).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self { port, body, requests, _tasks: tasks }
    }

    fn says(&self, body: &'static str) {
        *self.body.lock() = body;
    }

    /// A probe of the page that expects its status to be ok.
    fn probe(&self, period: &str) -> String {
        format!(
            "http = 'http://127.0.0.1:{}/health'\njson = {{ status = 'ok' }}\nperiod = '{period}'\n\
             waiting_period = '100ms'\nfall = 2\n",
            self.port
        )
    }
}

const OK: &str = r#"{"status":"ok"}"#;
const ERROR: &str = r#"{"status":"error","error":"no status"}"#;

#[tokio::test]
async fn t4_4_an_external_that_tells_an_error_with_http_200_is_unhealthy_until_it_does_not() {
    let page = Page::new(ERROR).await;
    let config = format!(
        "[externals.store]\n{}[servers.s]\ncommand = {}\nneeds = ['external:store']\n",
        page.probe("200ms"),
        json!(misbehave(&[]))
    );
    let daemon = daemon().config(&config).start().await.unwrap();
    in_state(&daemon, "store", "unhealthy").await;
    assert_eq!(node(&daemon, "s").await.state.as_str(), "waiting");
    page.says(OK);
    in_state(&daemon, "store", "ready").await;
    in_state(&daemon, "s", "ready").await;
    until("health", async || health(&daemon).await.1["status"] == "ok").await;
    page.says(ERROR);
    let store = in_state(&daemon, "store", "unhealthy").await;
    let reason = store.reason.unwrap();
    assert!(reason.contains(r#""status" in its JSON body is "error" instead of "ok""#), "{reason}");
    in_state(&daemon, "s", "degraded").await;
    let (_, body) = health(&daemon).await;
    assert_eq!(body["status"], "degraded");
    // The open endpoints tell no address and no words of the target.
    assert!(!body.to_string().contains(&page.port.to_string()), "{body}");
}

#[tokio::test]
async fn a_service_that_answers_that_it_is_unfit_is_left_alone() {
    let page = Page::new(OK).await;
    let config = format!(
        "[services.web]\ncommand = ['sleep', '1000']\n[services.web.probe]\n{}",
        page.probe("200ms")
    );
    let daemon = daemon().config(&config).start().await.unwrap();
    let first = in_state(&daemon, "web", "ready").await.pid;
    page.says(ERROR);
    in_state(&daemon, "web", "unhealthy").await;
    let before = page.requests.load(Ordering::Relaxed);
    until("many checks", async || page.requests.load(Ordering::Relaxed) > before + 10).await;
    let web = node(&daemon, "web").await;
    assert_eq!((web.state.as_str(), web.pid), ("unhealthy", first));
    page.says(OK);
    assert_eq!(in_state(&daemon, "web", "ready").await.pid, first);
}

#[tokio::test]
async fn an_unhealthy_server_gets_no_calls_and_keeps_its_sessions() {
    let page = Page::new(OK).await;
    let config = format!(
        "[servers.s]\ncommand = {}\n[servers.s.probe]\n{}",
        json!(misbehave(&[])),
        page.probe("200ms")
    );
    let daemon = daemon().config(&config).start().await.unwrap();
    let client = daemon.client("s").await.unwrap();
    let echo = async || {
        let params = json!({"name": "echo", "arguments": {}});
        client.send("tools/call", params).await.unwrap().answer().await.unwrap()
    };
    assert!(echo().await["result"].is_object());
    let pid = node(&daemon, "s").await.pid;
    page.says(ERROR);
    in_state(&daemon, "s", "unhealthy").await;
    let refused = echo().await;
    assert_eq!(refused["error"]["data"]["code"], "SERVER_UNAVAILABLE", "{refused}");
    page.says(OK);
    in_state(&daemon, "s", "ready").await;
    assert!(echo().await["result"].is_object());
    assert_eq!(node(&daemon, "s").await.pid, pid);
}

#[tokio::test]
async fn a_server_is_ready_when_its_tool_says_what_is_expected() {
    let command = json!(misbehave(&[]));
    let server = |name: &str, contains: &str| {
        format!(
            "[servers.{name}]\ncommand = {command}\n[servers.{name}.probe]\ntool = 'echo'\n\
             waiting_period = '100ms'\ntimeout = '10s'\n{contains}"
        )
    };
    let config = server("well", "") + &server("ill", "contains = 'no such text'\n");
    let daemon = daemon().config(&config).start().await.unwrap();
    in_state(&daemon, "well", "ready").await;
    until("a reason", async || {
        let ill = node(&daemon, "ill").await;
        ill.state.as_str() != "ready" && ill.reason.is_some_and(|why| why.contains("no such text"))
    })
    .await;
}
