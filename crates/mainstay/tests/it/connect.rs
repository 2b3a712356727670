//! `mainstay connect` as clients run it: lines in, lines out, and a daemon that may be restarted.

mod calls;
mod claims;
mod handshake;
mod input;
mod leaving;
mod modern;
mod questions;
mod restarts;
mod secured;
mod sessions;

use std::collections::HashMap;
use std::path::Path;
use std::process::Stdio;

use mainstay_testkit::Daemon;
use mainstay_testkit::daemon::Builder;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

use crate::shared::{self, PATIENCE, misbehave};

/// A client that has started the command.
struct Client {
    child: Child,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
    /// Messages that arrived while another one was awaited.
    aside: Vec<Value>,
    last_id: u64,
}

/// The end of the command.
struct Left {
    code: Option<i32>,
    /// The remaining output.
    messages: Vec<Value>,
    complaints: String,
}

// === impl Client ===

impl Client {
    /// Starts the command with these arguments instead of those that find the daemon.
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_mainstay"))
            .arg("connect")
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { input: child.stdin.take(), output, child, aside: Vec::new(), last_id: 0 }
    }

    fn of(state: &Path, name: &str) -> Self {
        Self::start(&[name, "--state", state.to_str().unwrap()])
    }

    /// Starts the command and completes the handshake, without client capabilities.
    async fn greeted(state: &Path, name: &str) -> Self {
        let mut client = Self::of(state, name);
        client.shake_hands("2025-11-25", json!({})).await;
        client
    }

    async fn shake_hands(&mut self, revision: &str, capabilities: Value) -> Value {
        let info = json!({"name": "test", "version": "1"});
        let params =
            json!({"protocolVersion": revision, "capabilities": capabilities, "clientInfo": info});
        let answer = self.request("initialize", params).await;
        self.notify("notifications/initialized", json!({})).await;
        answer["result"].clone()
    }

    async fn write(&mut self, line: impl AsRef<[u8]>) {
        let input = self.input.as_mut().unwrap();
        input.write_all(line.as_ref()).await.unwrap();
        input.write_all(b"\n").await.unwrap();
    }

    async fn notify(&mut self, method: &str, params: Value) {
        let message = json!({"jsonrpc": "2.0", "method": method, "params": params});
        self.write(message.to_string()).await;
    }

    /// Sends a request and returns its id.
    async fn ask(&mut self, method: &str, params: Value) -> u64 {
        self.last_id += 1;
        let message =
            json!({"jsonrpc": "2.0", "id": self.last_id, "method": method, "params": params});
        self.write(message.to_string()).await;
        self.last_id
    }

    /// Calls a tool that echoes and returns the request's id, which is also its progress token.
    async fn call(&mut self, tool: &str, arguments: Value) -> u64 {
        let token = self.last_id + 1;
        let params =
            json!({"name": tool, "arguments": arguments, "_meta": {"progressToken": token}});
        self.ask("tools/call", params).await
    }

    /// Sends a request of 2026-07-28 and returns its id.
    async fn ask_alone(&mut self, method: &str, mut params: Value) -> u64 {
        let token = self.last_id + 1;
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
            "progressToken": token,
        });
        self.ask(method, params).await
    }

    /// Sends a request of 2026-07-28 and returns its answer.
    async fn alone(&mut self, method: &str, params: Value) -> Value {
        let id = self.ask_alone(method, params).await;
        self.answer(id).await
    }

    async fn request(&mut self, method: &str, params: Value) -> Value {
        let id = self.ask(method, params).await;
        self.answer(id).await
    }

    /// Returns the next message.
    #[track_caller]
    fn next(&mut self) -> impl Future<Output = Value> {
        let at = std::panic::Location::caller();
        async move {
            let line = timeout(PATIENCE, self.output.next_line()).await;
            let line = line.unwrap_or_else(|_| panic!("{at}: nothing comes")).unwrap();
            let line = line.unwrap_or_else(|| panic!("{at}: it has ended"));
            serde_json::from_str(&line).unwrap_or_else(|_| panic!("{at}: no message: {line}"))
        }
    }

    /// Returns the answer to a request. Other messages are set aside.
    async fn answer(&mut self, id: u64) -> Value {
        self.until(|message| message.get("method").is_none() && message["id"] == id).await
    }

    /// Returns the first matching message, of those set aside or to come.
    async fn until(&mut self, is_it: impl Fn(&Value) -> bool) -> Value {
        if let Some(at) = self.aside.iter().position(&is_it) {
            return self.aside.remove(at);
        }
        loop {
            let message = self.next().await;
            if is_it(&message) {
                return message;
            }
            self.aside.push(message);
        }
    }

    async fn notified(&mut self, method: &str) -> Value {
        self.until(|message| message["method"] == method).await
    }

    /// Closes the input and waits for the end.
    async fn leave(mut self) -> Left {
        self.input = None;
        self.end().await
    }

    /// Waits for the end.
    async fn end(mut self) -> Left {
        let mut messages = std::mem::take(&mut self.aside);
        let mut complaints = String::new();
        let all = async {
            while let Some(line) = self.output.next_line().await.unwrap() {
                messages.push(serde_json::from_str(&line).expect("a message"));
            }
            let mut errors = self.child.stderr.take().unwrap();
            errors.read_to_string(&mut complaints).await.unwrap();
            self.child.wait().await.unwrap().code()
        };
        let code = timeout(PATIENCE, all).await.expect("the command ends");
        Left { code, messages, complaints }
    }
}

fn daemon(folder: &Path) -> Builder {
    shared::daemon().folder(folder)
}

/// Starts a daemon with one server, `s`.
async fn daemon_with(folder: &Path, flags: &[&str]) -> Daemon {
    daemon(folder).command_server("s", &misbehave(flags)).start().await.unwrap()
}

/// Returns the number of the daemon's sessions.
fn sessions(daemon: &Daemon) -> u64 {
    let status = daemon.run(&["status", "--json"]).unwrap();
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    status["sessions"]["active"].as_u64().unwrap()
}

#[track_caller]
fn assert_echo(answer: &Value, sent: &Value) {
    assert_eq!(answer["result"]["structuredContent"]["echo"], *sent, "{answer}");
}

#[track_caller]
fn assert_refused(answer: &Value, code: i64, name: &str) {
    assert_eq!(answer["error"]["code"], code, "{answer}");
    assert_eq!(answer["error"]["data"]["code"], name, "{answer}");
}

/// Checks that each of these requests was answered exactly once.
#[track_caller]
fn assert_once(messages: &[Value], ids: impl IntoIterator<Item = u64>) {
    let mut times: HashMap<u64, usize> = HashMap::new();
    for message in messages.iter().filter(|message| message.get("method").is_none()) {
        *times.entry(message["id"].as_u64().unwrap_or_default()).or_default() += 1;
    }
    for id in ids {
        assert_eq!(times.remove(&id), Some(1), "request {id}");
    }
    assert!(times.is_empty(), "answers nobody asked for: {times:?}");
}
