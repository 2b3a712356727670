//! An MCP server over HTTP inside of the test: it counts the calls that reach it, and answers them as it is told.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How calls are answered, and whether the health address is well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    Well,
    /// Every call and every health check is answered with this status.
    Status(u16),
    /// Calls and health checks are never answered.
    Silent,
    /// Every result says `isError`.
    ToolError,
    /// Every call is answered with a JSON-RPC error.
    Error,
    /// The same, with this HTTP status.
    ErrorAs(u16),
    /// The call is answered when [`Dependency::go_on`] is called.
    Waiting,
}

/// The server. It ends with the test.
pub(super) struct Dependency {
    pub(super) address: SocketAddr,
    shared: Arc<Shared>,
    runtime: Option<tokio::runtime::Runtime>,
}

struct Shared {
    mood: Mutex<Mood>,
    calls: AtomicUsize,
    go_on: tokio::sync::Notify,
}

// === impl Dependency ===

impl Dependency {
    pub(super) fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on_other(TcpListener::bind("127.0.0.1:0"));
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            mood: Mutex::new(Mood::Well),
            calls: AtomicUsize::new(0),
            go_on: tokio::sync::Notify::new(),
        });
        let own = shared.clone();
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, own.clone()));
            }
        });
        Self { address, shared, runtime: Some(runtime) }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    pub(super) fn set(&self, mood: Mood) {
        *self.shared.mood.lock() = mood;
        self.shared.go_on.notify_waiters();
    }

    /// Calls that have arrived.
    pub(super) fn calls(&self) -> usize {
        self.shared.calls.load(Ordering::SeqCst)
    }
}

impl Drop for Dependency {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Runs a future of a runtime that the caller, which may be in another one, waits for.
trait BlockOnOther {
    fn block_on_other<T: Send + 'static, E: std::fmt::Debug + Send + 'static>(
        &self,
        future: impl Future<Output = Result<T, E>> + Send + 'static,
    ) -> T;
}

impl BlockOnOther for tokio::runtime::Runtime {
    fn block_on_other<T: Send + 'static, E: std::fmt::Debug + Send + 'static>(
        &self,
        future: impl Future<Output = Result<T, E>> + Send + 'static,
    ) -> T {
        let (tell, told) = std::sync::mpsc::channel();
        self.spawn(async move {
            let _ = tell.send(future.await);
        });
        told.recv().unwrap().unwrap()
    }
}

async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    let mut buffer = Vec::new();
    while let Some((head, body)) = read(&mut stream, &mut buffer).await {
        let answer = answer(&head, &body, &shared).await;
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// The next request: its head and its body.
async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<(String, Value)> {
    loop {
        let text = String::from_utf8_lossy(buffer).into_owned();
        if let Some((head, rest)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
            });
            let length: usize = length.unwrap_or(0);
            if rest.len() >= length {
                let body = serde_json::from_str(&rest[..length]).unwrap_or(Value::Null);
                let used = head.len() + 4 + length;
                let head = head.to_owned();
                buffer.drain(..used);
                return Some((head, body));
            }
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}

async fn answer(head: &str, body: &Value, shared: &Shared) -> String {
    let mood = || *shared.mood.lock();
    if head.starts_with("GET /health") {
        return match mood() {
            Mood::Silent => std::future::pending().await,
            Mood::Status(status) => response(status, ""),
            _ => response(200, r#"{"status":"ok"}"#),
        };
    }
    if !head.starts_with("POST") {
        return response(405, "");
    }
    let result = |result: Value| json!({"jsonrpc": "2.0", "id": body["id"], "result": result});
    let message = match body["method"].as_str().unwrap_or_default() {
        "initialize" => result(json!({
            "protocolVersion": body["params"]["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "dependency", "version": "1"},
        })),
        "tools/list" => {
            let tool = |name: &str| json!({"name": name, "inputSchema": {"type": "object"}});
            result(json!({"tools": [tool("search"), tool("embed"), tool("plain")]}))
        }
        "ping" => result(json!({})),
        "tools/call" => {
            shared.calls.fetch_add(1, Ordering::SeqCst);
            let text = json!([{"type": "text", "text": "found"}]);
            loop {
                match mood() {
                    Mood::Well => break result(json!({"content": text})),
                    Mood::ToolError => break result(json!({"content": text, "isError": true})),
                    Mood::Error => {
                        let error = json!({"code": -32000, "message": "no"});
                        break json!({"jsonrpc": "2.0", "id": body["id"], "error": error});
                    }
                    Mood::ErrorAs(status) => {
                        let error = json!({"code": -32000, "message": "no"});
                        let error = json!({"jsonrpc": "2.0", "id": body["id"], "error": error});
                        return response(status, &error.to_string());
                    }
                    Mood::Status(status) => return response(status, "no"),
                    Mood::Silent | Mood::Waiting => {
                        let go_on = shared.go_on.notified();
                        let _ = tokio::time::timeout(Duration::from_millis(50), go_on).await;
                    }
                }
            }
        }
        _ => return response(202, ""),
    };
    response(200, &message.to_string())
}

fn response(status: u16, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}
