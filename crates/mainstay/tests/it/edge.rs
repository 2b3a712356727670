//! Input from clients to the real program. Any input gets a clear answer and disturbs no other client.

mod addresses;
mod bodies;
mod cancels;
mod claims;
mod connections;
mod everywhere;
mod ids;
mod lists;
mod logging;
mod nulls;
mod numbers;
mod origins;
mod preflights;
mod questions;
mod refusals;
mod results;
mod resume;
mod revisions;
mod sessions;
mod sizes;
mod streams;
mod targets;

use mainstay_testkit::client::Reply;
use mainstay_testkit::{Client, Daemon, Site};
use serde_json::{Value, json};

use crate::shared::{PATIENCE, daemon, misbehave, until};

/// A daemon with the same server as a process (`near`) and over HTTP (`far`), and a client of each that
/// must not notice what a test does.
struct Scene {
    daemon: Daemon,
    witnesses: Vec<Client>,
    _site: Site,
}

// === impl Scene ===

impl Scene {
    async fn start() -> Self {
        Self::with("", &[]).await
    }

    /// Starts a daemon with lines for `[gateway]` and flags for both servers.
    async fn with(gateway: &str, flags: &[&str]) -> Self {
        let site = Site::start(flags);
        let daemon = daemon()
            .config(&format!("[gateway]\n{gateway}"))
            .command_server("near", &misbehave(flags))
            .url_server("far", &site.url())
            .start()
            .await
            .unwrap();
        let mut witnesses = Vec::new();
        for name in ["near", "far"] {
            witnesses.push(daemon.client(name).await.unwrap());
        }
        Self { daemon, witnesses, _site: site }
    }

    async fn client(&self, name: &str) -> Client {
        self.daemon.client(name).await.unwrap()
    }

    /// Opens a session of this revision with these capabilities.
    async fn able(&self, name: &str, revision: &str, capabilities: Value) -> Client {
        let mut client = self.stranger(name);
        client.initialize(revision, &capabilities).await.unwrap();
        client
    }

    /// Creates a client without a session.
    fn stranger(&self, name: &str) -> Client {
        Client::new(&self.daemon.endpoint(name)).unwrap()
    }

    /// Checks that sessions that were open all the time still get their own answers from both servers.
    #[track_caller]
    fn undisturbed(&self) -> impl Future<Output = ()> {
        let at = std::panic::Location::caller();
        async move {
            for witness in &self.witnesses {
                let mine = json!({"witness": witness.session()});
                let answer = witness.call("echo", mine.clone()).await;
                let answer = answer.unwrap_or_else(|error| panic!("{at}: disturbed: {error:#}"));
                assert_eq!(answer["structuredContent"]["echo"], mine, "{at}");
            }
        }
    }

    /// Returns how often a server reports an event.
    async fn count(&self, name: &str, what: &str) -> u64 {
        let witness = &self.witnesses[usize::from(name == "far")];
        let stats = witness.call("stats", json!({})).await.unwrap();
        stats["structuredContent"]["counts"][what].as_u64().unwrap_or(0)
    }

    /// Waits until a server has seen an event this often.
    async fn seen(&self, name: &str, what: &str, times: u64) {
        until(what, async || self.count(name, what).await >= times).await;
    }

    async fn get(&self, path: &str) -> Reply {
        self.stranger("near").plain("GET", path).await.unwrap()
    }

    /// Returns the value of one series, named as at `/metrics`.
    async fn metric(&self, series: &str) -> u64 {
        let text = self.get("/metrics").await.text().await.unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("no {series} in\n{text}")).parse().unwrap()
    }

    /// Returns the resident memory of the daemon's process in bytes.
    async fn memory(&self) -> u64 {
        let text = self.get("/health/detailed").await.text().await.unwrap();
        let health: Value = serde_json::from_str(&text).unwrap();
        health["memory_usage"]["resident_bytes"].as_u64().unwrap()
    }

    /// Returns the number of calls that servers have not answered yet.
    async fn in_flight(&self) -> u64 {
        let of = async |server| {
            self.metric(&format!("mainstay_calls_in_flight{{server=\"{server}\"}}")).await
        };
        of("near").await + of("far").await
    }

    async fn refused(&self, reason: &str) -> u64 {
        self.metric(&format!("mainstay_refused_total{{reason=\"{reason}\"}}")).await
    }
}

/// Returns the text of a tool call.
fn call(id: &str, tool: &str, arguments: &Value) -> String {
    let params = json!({"name": tool, "arguments": arguments});
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{params}}}"#)
}

/// Returns the status and JSON of an answer.
async fn whole(mut reply: Reply) -> (u16, Value) {
    (reply.status, reply.json().await.unwrap())
}
