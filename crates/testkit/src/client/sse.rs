//! A client over HTTP+SSE of 2024-11-05: one stream on which everything comes, and an address to
//! post to.

use std::collections::VecDeque;

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};

use super::events::Event;
use super::{Client, Reply};

/// A client with its stream. Each wait reads the stream up to the message it waits for, and keeps
/// the others.
pub struct SseClient {
    /// Posts to the address that the stream named.
    pub poster: Client,
    /// The first event of the stream.
    pub first: Event,
    pub stream: Reply,
    kept: VecDeque<Value>,
    ids: u64,
}

// === impl SseClient ===

impl SseClient {
    /// Opens a stream and reads its first event; nothing is posted yet.
    ///
    /// # Errors
    /// When no stream is given or it does not begin with an address.
    pub async fn open(url: &str) -> anyhow::Result<Self> {
        let opener = Client::new(url)?;
        let mut stream = opener.listen(None).await?;
        if stream.status != 200 {
            let text = stream.text().await?;
            bail!("the stream was refused: {}: {text}", stream.status);
        }
        let first = stream.event().await?.context("the stream ended at once")?;
        ensure!(first.kind == "endpoint", "the stream begins with {first:?}");
        let poster = Client::new(&format!("http://{}{}", opener.host, first.data))?;
        Ok(Self { poster, first, stream, kept: VecDeque::new(), ids: 0 })
    }

    /// A client with a session: `initialize` answered, `initialized` sent.
    ///
    /// # Errors
    /// When the server refuses or does not answer.
    pub async fn connect(url: &str, capabilities: &Value) -> anyhow::Result<Self> {
        let mut client = Self::open(url).await?;
        client.initialize("2024-11-05", capabilities).await?;
        Ok(client)
    }

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
        let result = self.request("initialize", params).await?;
        self.poster.notify("notifications/initialized", json!({})).await?;
        Ok(result)
    }

    /// Posts a request with an id of its own; the answer is left on the stream.
    ///
    /// # Errors
    /// When it is not accepted.
    pub async fn send(&mut self, method: &str, params: Value) -> anyhow::Result<Value> {
        self.ids += 1;
        let id = json!(self.ids);
        self.send_as(&id, method, params).await?;
        Ok(id)
    }

    /// As [`Self::send`], with an id chosen by the caller.
    ///
    /// # Errors
    ///
    /// When the server does not accept it.
    pub async fn send_as(&self, id: &Value, method: &str, params: Value) -> anyhow::Result<()> {
        let body = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        self.poster.accepted(&body).await
    }

    /// The next message; none when the stream has ended.
    ///
    /// # Errors
    /// When the stream breaks or stalls.
    pub async fn next(&mut self) -> anyhow::Result<Option<Value>> {
        match self.kept.pop_front() {
            Some(kept) => Ok(Some(kept)),
            None => self.stream.message().await,
        }
    }

    /// The answer to a request. Messages before it are kept.
    ///
    /// # Errors
    ///
    /// When the stream ends without it.
    pub async fn answer(&mut self, id: &Value) -> anyhow::Result<Value> {
        self.find(|message| message["method"].is_null() && message["id"] == *id).await
    }

    /// The next message of a method. Messages before it are kept.
    ///
    /// # Errors
    ///
    /// When the stream ends without it.
    pub async fn heard(&mut self, method: &str) -> anyhow::Result<Value> {
        self.find(|message| message["method"] == method).await
    }

    /// The messages that were kept.
    pub fn kept(&mut self) -> Vec<Value> {
        self.kept.drain(..).collect()
    }

    /// Sends a request and gives its answer's `result`.
    ///
    /// # Errors
    /// When the answer is an error or does not come.
    pub async fn request(&mut self, method: &str, params: Value) -> anyhow::Result<Value> {
        let id = self.send(method, params).await?;
        let mut answer = self.answer(&id).await?;
        ensure!(answer["error"].is_null(), "{method} was refused: {}", answer["error"]);
        Ok(answer["result"].take())
    }

    /// Calls a tool.
    ///
    /// # Errors
    /// As [`Self::request`]; a tool's own failure is a result.
    pub async fn call(&mut self, tool: &str, arguments: Value) -> anyhow::Result<Value> {
        self.request("tools/call", json!({"name": tool, "arguments": arguments})).await
    }

    async fn find(&mut self, wanted: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
        if let Some(message) =
            self.kept.iter().position(&wanted).and_then(|at| self.kept.remove(at))
        {
            return Ok(message);
        }
        // Comments keep the stream from stalling, so the wait as a whole has a deadline, too.
        let until = tokio::time::Instant::now() + self.poster.deadline;
        loop {
            match tokio::time::timeout_at(until, self.stream.message()).await {
                Ok(Ok(Some(message))) if wanted(&message) => return Ok(message),
                Ok(Ok(Some(message))) => self.kept.push_back(message),
                Ok(Ok(None)) => bail!("the stream ended; came instead: {:?}", self.kept),
                Ok(Err(error)) => return Err(error),
                Err(_) => bail!("it never came; came instead: {:?}", self.kept),
            }
        }
    }
}
