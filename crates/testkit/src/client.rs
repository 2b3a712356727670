//! A small client over streamable HTTP that sends exactly what it is given and returns exactly what
//! comes back. Checks are left to the tests.

mod connection;
mod events;
mod reply;
mod sse;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use parking_lot::Mutex;
use serde_json::{Value, json};

pub use connection::Connection;
pub use events::{Event, EventParser};
pub use reply::Reply;
pub use sse::SseClient;

const ACCEPT: &str = "application/json, text/event-stream";

/// A client. Clones share its session and its idle connections.
#[derive(Clone)]
pub struct Client {
    host: String,
    path: String,
    headers: Vec<(String, String)>,
    session: Option<String>,
    revision: Option<String>,
    /// The result of `initialize`.
    pub server: Value,
    /// Longest wait for anything: a connection, a header, the next bytes of a body.
    pub deadline: Duration,
    ids: Arc<AtomicU64>,
    idle: Arc<Mutex<Vec<Connection>>>,
}

/// A request under way: its messages as they come, its own answer last.
pub struct Exchange {
    pub id: Value,
    pub reply: Reply,
}

// === impl Client ===

impl Client {
    /// A client of `http://host:port/path`; nothing is sent yet.
    ///
    /// # Errors
    /// For an address of another form.
    pub fn new(url: &str) -> anyhow::Result<Self> {
        let rest = url.strip_prefix("http://").context("the address must begin with http://")?;
        let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
        Ok(Self {
            host: host.to_owned(),
            path: format!("/{path}"),
            headers: Vec::new(),
            session: None,
            revision: None,
            server: Value::Null,
            deadline: Duration::from_secs(30),
            ids: Arc::new(AtomicU64::new(1)),
            idle: Arc::default(),
        })
    }

    /// A client with a session: `initialize` answered, `initialized` sent.
    ///
    /// # Errors
    /// When the server refuses or does not answer.
    pub async fn connect(url: &str) -> anyhow::Result<Self> {
        let mut client = Self::new(url)?;
        client.initialize("2025-11-25", &json!({})).await?;
        Ok(client)
    }

    /// A header for every request from now on.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn session(&self) -> Option<&str> {
        self.session.as_deref()
    }

    /// Speaks in another session, or in none.
    pub fn set_session(&mut self, session: Option<&str>) {
        self.session = session.map(str::to_owned);
    }

    /// Opens a session. The result is also kept in `server`.
    ///
    /// # Errors
    /// When the server refuses or does not answer.
    pub async fn initialize(
        &mut self,
        revision: &str,
        capabilities: &Value,
    ) -> anyhow::Result<Value> {
        let params = json!({
            "protocolVersion": revision,
            "capabilities": capabilities,
            "clientInfo": {"name": "testkit", "version": "0"},
        });
        let mut exchange = self.send("initialize", params).await?;
        self.session = exchange.reply.header("mcp-session-id").map(str::to_owned);
        let answer = exchange.answer().await?;
        ensure!(answer["error"].is_null(), "initialize was refused: {answer}");
        self.server = answer["result"].clone();
        self.revision = self.server["protocolVersion"].as_str().map(str::to_owned);
        self.notify("notifications/initialized", json!({})).await?;
        Ok(self.server.clone())
    }

    /// Sends a request and gives its answer's `result`; messages before it are dropped.
    ///
    /// # Errors
    /// When the answer is an error or does not come.
    pub async fn request(&self, method: &str, params: Value) -> anyhow::Result<Value> {
        let mut answer = self.send(method, params).await?.answer().await?;
        ensure!(answer["error"].is_null(), "{method} was refused: {}", answer["error"]);
        Ok(answer["result"].take())
    }

    /// Calls a tool.
    ///
    /// # Errors
    /// As [`Self::request`]; a tool's own failure is a result.
    pub async fn call(&self, tool: &str, arguments: Value) -> anyhow::Result<Value> {
        self.request("tools/call", json!({"name": tool, "arguments": arguments})).await
    }

    /// Sends a request with an id of its own and leaves the reading to the caller.
    ///
    /// # Errors
    /// When nothing comes back, or no success.
    pub async fn send(&self, method: &str, params: Value) -> anyhow::Result<Exchange> {
        let id = json!(self.ids.fetch_add(1, Ordering::Relaxed));
        self.send_as(id, method, params).await
    }

    /// As [`Self::send`], with an id chosen by the caller.
    ///
    /// # Errors
    ///
    /// When there is no response, or not a success.
    pub async fn send_as(
        &self,
        id: Value,
        method: &str,
        params: Value,
    ) -> anyhow::Result<Exchange> {
        let body = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        let mut reply = self.post(body.to_string(), &[]).await?;
        if reply.status != 200 {
            let text = reply.text().await?;
            bail!("{method} was answered {}: {text}", reply.status);
        }
        Ok(Exchange { id, reply })
    }

    /// Sends a notification.
    ///
    /// # Errors
    /// When it is not accepted.
    pub async fn notify(&self, method: &str, params: Value) -> anyhow::Result<()> {
        let body = json!({"jsonrpc": "2.0", "method": method, "params": params});
        self.accepted(&body).await
    }

    /// Answers a request of the server's.
    ///
    /// # Errors
    /// When the answer is not accepted.
    pub async fn respond(&self, id: &Value, result: Value) -> anyhow::Result<()> {
        self.accepted(&json!({"jsonrpc": "2.0", "id": id, "result": result})).await
    }

    /// Posts any bytes with any headers besides the usual ones; a header given here replaces
    /// the usual one, an empty value leaves it out.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn post(
        &self,
        body: impl Into<Vec<u8>>,
        headers: &[(&str, &str)],
    ) -> anyhow::Result<Reply> {
        let body = body.into();
        let length = body.len().to_string();
        let own = [("content-type", "application/json"), ("content-length", length.as_str())];
        self.exchange(&self.head("POST", &own, headers), &body).await
    }

    /// Opens the stream for messages that belong to no request.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn listen(&self, last_event_id: Option<&str>) -> anyhow::Result<Reply> {
        let own = [("last-event-id", last_event_id.unwrap_or_default())];
        self.exchange(&self.head("GET", &own, &[]), b"").await
    }

    /// Any request without a body, to any path of the same host.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn plain(&self, method: &str, path: &str) -> anyhow::Result<Reply> {
        let head =
            format!("{method} {path} HTTP/1.1\r\nhost: {}\r\ncontent-length: 0\r\n\r\n", self.host);
        self.exchange(&head, b"").await
    }

    /// Ends the session.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn delete(&self) -> anyhow::Result<Reply> {
        self.exchange(&self.head("DELETE", &[("content-length", "0")], &[]), b"").await
    }

    /// Opens a separate connection, for requests that are not valid HTTP.
    ///
    /// # Errors
    ///
    /// When nothing listens.
    pub async fn raw(&self) -> anyhow::Result<Connection> {
        Connection::open(&self.host, self.deadline).await
    }

    /// The head of a request as this client would send it.
    #[must_use]
    pub fn head(&self, method: &str, own: &[(&str, &str)], headers: &[(&str, &str)]) -> String {
        let session = self.session.as_deref().unwrap_or_default();
        let revision = self.revision.as_deref().unwrap_or_default();
        let usual = [
            ("host", self.host.as_str()),
            ("accept", ACCEPT),
            ("mcp-session-id", session),
            ("mcp-protocol-version", revision),
        ];
        let fixed = self.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let given: Vec<(&str, &str)> = fixed.chain(headers.iter().copied()).collect();
        let replaced = |name: &str| given.iter().any(|(other, _)| other.eq_ignore_ascii_case(name));
        let mut head = format!("{method} {} HTTP/1.1\r\n", self.path);
        let usual = usual.iter().chain(own).filter(|(name, _)| !replaced(name));
        for (name, value) in usual.chain(&given).filter(|(_, value)| !value.is_empty()) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head + "\r\n"
    }

    async fn accepted(&self, body: &Value) -> anyhow::Result<()> {
        let mut reply = self.post(body.to_string(), &[]).await?;
        let text = reply.text().await?;
        ensure!(reply.status == 202, "{body} was answered {}: {text}", reply.status);
        Ok(())
    }

    /// Sends on an idle connection if one is still open. Never sends twice, so that tests can count
    /// what arrives.
    async fn exchange(&self, head: &str, body: &[u8]) -> anyhow::Result<Reply> {
        let idle = loop {
            match self.idle.lock().pop() {
                Some(connection) if !connection.is_open() => {}
                found => break found,
            }
        };
        let mut connection = match idle {
            Some(connection) => connection,
            None => self.raw().await?,
        };
        connection.send(head.as_bytes()).await?;
        // A server may refuse a body it has not read: its answer is worth more than the error.
        let sent = connection.send(body).await;
        let reply = connection.reply_into(Some(self.idle.clone())).await;
        match (reply, sent) {
            (Err(_), Err(unsent)) => Err(unsent),
            (reply, _) => reply,
        }
    }
}

// === impl Exchange ===

impl Exchange {
    /// The next message. None after the end of the response.
    ///
    /// # Errors
    ///
    /// When the stream breaks or holds something that is not JSON.
    pub async fn next(&mut self) -> anyhow::Result<Option<Value>> {
        self.reply.message().await
    }

    /// The message that answers this request; others before it are dropped.
    ///
    /// # Errors
    /// When the answer ends without it.
    pub async fn answer(&mut self) -> anyhow::Result<Value> {
        Ok(self.all().await?.1)
    }

    /// The messages before the answer, and the answer.
    ///
    /// # Errors
    /// When the reply ends without an answer.
    pub async fn all(&mut self) -> anyhow::Result<(Vec<Value>, Value)> {
        let mut before = Vec::new();
        while let Some(message) = self.next().await? {
            if message["method"].is_null() && message["id"] == self.id {
                // Reads to the end where it is near, so that the connection can be used again.
                let _ = self.reply.finish().await;
                return Ok((before, message));
            }
            before.push(message);
        }
        bail!("no answer to {}; came instead: {before:?}", self.id)
    }
}
