//! Clients of 2026-07-28 against the real program: requests that stand alone and leave nothing behind.

mod calls;
mod checks;
mod generations;
mod listens;
mod standing;

use mainstay_testkit::client::Reply;
use mainstay_testkit::{Client, Daemon, Site};
use serde_json::{Value, json};

use crate::shared::{PATIENCE, daemon, misbehave, until};

/// A daemon with a server of both eras as a process (`near`), one of 2026-07-28 over HTTP (`far`), and one
/// of the legacy era only (`old`).
struct Scene {
    daemon: Daemon,
    _site: Site,
}

/// Builds a request, which can be changed before it is sent.
struct Request {
    to: Client,
    headers: Vec<(String, String)>,
    body: Value,
}

// === impl Scene ===

impl Scene {
    async fn start() -> Self {
        Self::with("", &[]).await
    }

    /// Starts a daemon with lines for the configuration and flags for `near` and `far`.
    async fn with(config: &str, flags: &[&str]) -> Self {
        let site = Site::start(&[&["--modern-only"], flags].concat());
        let near = misbehave(&[&["--dual", "--pinned"], flags].concat());
        let daemon = daemon()
            .argument("-v")
            .config(config)
            .command_server("near", &near)
            .url_server("far", &site.url())
            .command_server("old", &misbehave(&[]))
            .start()
            .await
            .unwrap();
        Self { daemon, _site: site }
    }

    fn request(&self, name: &str, method: &str, params: Value) -> Request {
        let to = Client::new(&self.daemon.endpoint(name)).unwrap();
        let mut headers = vec![
            ("mcp-protocol-version".to_owned(), "2026-07-28".to_owned()),
            ("mcp-method".to_owned(), method.to_owned()),
        ];
        if let Some(about) = params["name"].as_str().or(params["uri"].as_str()) {
            headers.push(("mcp-name".to_owned(), about.to_owned()));
        }
        let mut params = params;
        let said = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        let meta = &mut params["_meta"];
        for (name, value) in said.as_object().unwrap() {
            meta[name] = value.clone();
        }
        let body = json!({"jsonrpc": "2.0", "id": "q", "method": method, "params": params});
        Request { to, headers, body }
    }

    async fn ask(&self, name: &str, method: &str, params: Value) -> (u16, Value) {
        self.request(name, method, params).whole().await
    }

    /// Calls a tool and returns its result.
    async fn call(&self, name: &str, tool: &str, arguments: Value) -> Value {
        let params = json!({"name": tool, "arguments": arguments});
        let (status, answer) = self.ask(name, "tools/call", params).await;
        assert_eq!(status, 200, "{answer}");
        assert_eq!(answer["id"], "q", "{answer}");
        answer["result"].clone()
    }

    /// Returns how often a server reports an event at the instance that stateless clients share.
    async fn count(&self, name: &str, what: &str) -> u64 {
        let stats = self.call(name, "stats", json!({})).await;
        stats["structuredContent"]["counts"][what].as_u64().unwrap_or(0)
    }
}

// === impl Request ===

impl Request {
    fn header(mut self, name: &str, value: Option<&str>) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self.headers.extend(value.map(|value| (name.to_owned(), value.to_owned())));
        self
    }

    fn body(mut self, bend: impl FnOnce(&mut Value)) -> Self {
        bend(&mut self.body);
        self
    }

    async fn send(&self) -> Reply {
        let headers: Vec<_> =
            self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        self.to.post(self.body.to_string(), &headers).await.unwrap()
    }

    /// Returns status and answer, from a body or the end of a stream.
    async fn whole(&self) -> (u16, Value) {
        let mut reply = self.send().await;
        if !reply.is_stream() {
            return (reply.status, reply.json().await.unwrap());
        }
        let mut last = Value::Null;
        while let Some(message) = reply.message().await.unwrap() {
            last = message;
        }
        (reply.status, last)
    }
}
