//! Clients over HTTP+SSE of 2024-11-05, against the real program: the stream is the session.

mod addresses;
mod calls;
mod remote;
mod sessions;

use std::time::{Duration, Instant};

use mainstay_testkit::daemon::Builder;
use mainstay_testkit::misbehave::{Flags, serve_http};
use mainstay_testkit::{Client, Daemon, SseClient, programs};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Longer than anything takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A daemon with the same server as a process (`near`) and over HTTP (`far`).
struct Scene {
    daemon: Daemon,
    /// Streamable HTTP at `near`: sees what the server sees.
    witness: Client,
    _site: DropGuard,
}

// === impl Scene ===

impl Scene {
    async fn start() -> Self {
        Self::with("").await
    }

    /// With lines for `[gateway]`.
    async fn with(gateway: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let site = format!("http://{}/mcp", listener.local_addr().unwrap());
        let stop = CancellationToken::new();
        tokio::spawn(serve_http(listener, Flags::default(), stop.clone()));
        let daemon = builder(gateway).url_server("far", &site).start().await.unwrap();
        let witness = daemon.client("near").await.unwrap();
        Self { daemon, witness, _site: stop.drop_guard() }
    }

    /// `/sse` or `/sse/{name}`.
    fn url(&self, name: &str) -> String {
        url(self.daemon.base(), name)
    }

    async fn client(&self, name: &str) -> SseClient {
        SseClient::connect(&self.url(name), &json!({})).await.unwrap()
    }

    /// A client of a revision that can be asked these things.
    async fn able(&self, name: &str, revision: &str, capabilities: Value) -> SseClient {
        let mut client = SseClient::open(&self.url(name)).await.unwrap();
        client.initialize(revision, &capabilities).await.unwrap();
        client
    }

    /// The value of one series at `/metrics`, named as it stands there.
    async fn metric(&self, series: &str) -> u64 {
        let mut reply = self.witness.plain("GET", "/metrics").await.unwrap();
        let text = reply.text().await.unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {series} in\n{text}")).parse().unwrap()
    }

    /// Sessions beside the witness.
    async fn sessions(&self) -> u64 {
        self.metric("mcp_active_sessions").await - 1
    }

    /// Waits until the server `near` has seen something this often.
    async fn seen(&self, what: &str, times: u64) {
        until(what, async || {
            let stats = self.witness.call("stats", json!({})).await.unwrap();
            stats["structuredContent"]["counts"][what].as_u64().unwrap_or(0) >= times
        })
        .await;
    }
}

/// A daemon with the server `near`.
fn builder(gateway: &str) -> Builder {
    let program = programs::misbehave().unwrap();
    Daemon::builder(env!("CARGO_BIN_EXE_mainstay"))
        .config(&format!("[gateway]\n{gateway}"))
        .command_server("near", &[program.to_str().unwrap(), "stdio"])
}

fn url(base: &str, name: &str) -> String {
    let slash = if name.is_empty() { "" } else { "/" };
    format!("{base}/sse{slash}{name}")
}

/// Waits until something holds.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[track_caller]
fn assert_echo(answer: &Value, sent: &Value) {
    assert_eq!(answer["structuredContent"]["echo"], *sent, "{answer}");
}
