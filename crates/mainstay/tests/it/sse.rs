//! Clients over HTTP+SSE of 2024-11-05 against the real program: the stream is the session.

mod addresses;
mod calls;
mod remote;
mod sessions;

use mainstay_testkit::daemon::Builder;
use mainstay_testkit::{Client, Daemon, Site, SseClient};
use serde_json::{Value, json};

use crate::shared::{PATIENCE, daemon, misbehave, until};

/// A daemon with the same server as a process (`near`) and over HTTP (`far`).
struct Scene {
    daemon: Daemon,
    /// A streamable HTTP client at `near`, which sees what the server sees.
    witness: Client,
    _site: Site,
}

// === impl Scene ===

impl Scene {
    async fn start() -> Self {
        Self::with("").await
    }

    /// Starts a daemon with these lines for `[gateway]`.
    async fn with(gateway: &str) -> Self {
        let site = Site::start(&[]);
        let daemon = builder(gateway).url_server("far", &site.url()).start().await.unwrap();
        let witness = daemon.client("near").await.unwrap();
        Self { daemon, witness, _site: site }
    }

    /// Returns the URL of `/sse` or `/sse/{name}`.
    fn url(&self, name: &str) -> String {
        url(self.daemon.base(), name)
    }

    async fn client(&self, name: &str) -> SseClient {
        SseClient::connect(&self.url(name), &json!({})).await.unwrap()
    }

    /// Opens a session with these capabilities.
    async fn able(&self, name: &str, revision: &str, capabilities: Value) -> SseClient {
        let mut client = SseClient::open(&self.url(name)).await.unwrap();
        client.initialize(revision, &capabilities).await.unwrap();
        client
    }

    /// Returns the value of one series, named as at `/metrics`.
    async fn metric(&self, series: &str) -> u64 {
        let mut reply = self.witness.plain("GET", "/metrics").await.unwrap();
        let text = reply.text().await.unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {series} in\n{text}")).parse().unwrap()
    }

    /// Returns the number of sessions without the witness.
    async fn sessions(&self) -> u64 {
        self.metric("mcp_active_sessions").await - 1
    }

    /// Waits until the server `near` has seen an event this often.
    async fn seen(&self, what: &str, times: u64) {
        until(what, async || {
            let stats = self.witness.call("stats", json!({})).await.unwrap();
            stats["structuredContent"]["counts"][what].as_u64().unwrap_or(0) >= times
        })
        .await;
    }
}

/// Starts a daemon with the server `near`.
fn builder(gateway: &str) -> Builder {
    daemon().config(&format!("[gateway]\n{gateway}")).command_server("near", &misbehave(&[]))
}

fn url(base: &str, name: &str) -> String {
    let slash = if name.is_empty() { "" } else { "/" };
    format!("{base}/sse{slash}{name}")
}

#[track_caller]
fn assert_echo(answer: &Value, sent: &Value) {
    assert_eq!(answer["structuredContent"]["echo"], *sent, "{answer}");
}
