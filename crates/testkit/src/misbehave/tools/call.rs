//! A call of a tool, and its answer.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::misbehave::message;
use crate::misbehave::server::{Server, Ways};

/// A call of a tool.
pub(in crate::misbehave) struct Call {
    pub(super) server: Arc<Server>,
    pub(super) ways: Ways,
    pub(super) id: Box<RawValue>,
    pub(super) arguments: Value,
    /// The parameters exactly as they came.
    pub(super) raw: String,
    pub(super) token: Option<Box<RawValue>>,
    pub(super) cancelled: CancellationToken,
    /// Whether the call is answered before it asks.
    pub(super) answered: AtomicBool,
}

// === impl Call ===

impl Call {
    /// Answers with the arguments: an answer that goes astray shows whose it was.
    pub(super) async fn echo(&self) {
        let text = self.arguments.to_string();
        let result = json!({
            "content": [{"type": "text", "text": text}],
            "structuredContent": {"echo": self.arguments},
        });
        self.answer(&result.to_string()).await;
    }

    /// Answers with JSON text, in the way the flags want answers.
    pub(super) async fn answer(&self, result: &str) {
        let out = &self.ways.exchange;
        if self.server.flags.has("unknown-ids") {
            out.send(format!(r#"{{"jsonrpc":"2.0","id":987654321,"result":{result}}}"#)).await;
        }
        let message = message::answer(&self.id, result);
        if self.server.flags.has("twice") {
            out.send(message.clone()).await;
        }
        out.send(message).await;
    }

    /// The text of the progress token.
    pub(super) fn token(&self) -> Option<&str> {
        self.token.as_deref().map(RawValue::get)
    }

    pub(super) fn number(&self, name: &str, otherwise: u64) -> u64 {
        self.arguments[name].as_u64().unwrap_or(otherwise)
    }
}
