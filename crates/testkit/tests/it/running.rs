//! Programs of this crate, run as programs.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use mainstay_testkit::misbehave::{Flags, serve_http};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

const PATIENCE: Duration = Duration::from_secs(20);

/// A program spoken to over lines.
pub(crate) struct Lines {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: mpsc::Receiver<String>,
}

// === impl Lines ===

impl Lines {
    pub(crate) fn misbehave(flags: &[&str]) -> Self {
        let mut arguments = vec!["stdio"];
        arguments.extend(flags);
        Self::start(env!("CARGO_BIN_EXE_mainstay-misbehave"), &arguments)
    }

    pub(crate) fn start(program: &str, arguments: &[&str]) -> Self {
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            let mut line = Vec::new();
            while matches!(stdout.read_until(b'\n', &mut line), Ok(1..)) {
                let text = String::from_utf8_lossy(&line).into_owned();
                line.clear();
                if sender.send(text).is_err() {
                    return;
                }
            }
        });
        Self { stdin: child.stdin.take(), child, lines }
    }

    pub(crate) fn send(&mut self, message: &Value) {
        let line = format!("{message}\n");
        self.stdin.as_mut().unwrap().write_all(line.as_bytes()).unwrap();
    }

    pub(crate) fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).unwrap()
    }

    /// The next line that is a JSON object.
    pub(crate) fn message(&self) -> Value {
        loop {
            let line = self.line();
            if let Ok(message @ Value::Object(_)) = serde_json::from_str(line.trim()) {
                return message;
            }
        }
    }

    pub(crate) fn is_silent_for(&self, time: Duration) -> bool {
        self.lines.recv_timeout(time).is_err()
    }

    pub(crate) fn handshake(&mut self) -> Value {
        self.send(&request(0, "initialize", json!({"protocolVersion": "2025-06-18"})));
        let answer = self.message();
        self.send(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}));
        answer
    }

    #[expect(clippy::needless_pass_by_value, reason = "literals read better without a borrow")]
    pub(crate) fn call(&mut self, id: u64, tool: &str, arguments: Value) {
        self.send(&request(id, "tools/call", json!({"name": tool, "arguments": arguments})));
    }

    pub(crate) fn close(&mut self) {
        self.stdin = None;
    }

    /// The exit code, once the program has ended.
    pub(crate) fn exit(&mut self) -> Option<i32> {
        let deadline = std::time::Instant::now() + PATIENCE;
        while std::time::Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("the program goes on");
    }

    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[expect(clippy::needless_pass_by_value, reason = "literals read better without a borrow")]
pub(crate) fn request(id: u64, method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

/// A misbehaving HTTP server inside the test; it ends with the guard.
pub(crate) async fn site(flags: &[&str]) -> (String, DropGuard) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let shutdown = CancellationToken::new();
    tokio::spawn(serve_http(listener, Flags::parse(flags).unwrap(), shutdown.clone()));
    (url, shutdown.drop_guard())
}
