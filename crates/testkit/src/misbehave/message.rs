//! Messages as text, so that wrong ones can be written and right ones stay as they are.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::mpsc;

/// The envelope of a message from the client; ids and parameters stay raw.
#[derive(Debug, Deserialize)]
pub(super) struct Incoming {
    pub(super) id: Option<Box<RawValue>>,
    pub(super) method: Option<String>,
    pub(super) params: Option<Box<RawValue>>,
    pub(super) result: Option<Value>,
    pub(super) error: Option<Value>,
}

/// The output of messages: standard output, or the stream of an exchange.
#[derive(Debug, Clone)]
pub(super) struct Outlet(mpsc::Sender<Bytes>);

// === impl Outlet ===

impl Outlet {
    /// Creates an outlet and the receiver of its messages. At most 256 messages wait; then senders
    /// do.
    pub(super) fn new() -> (Self, mpsc::Receiver<Bytes>) {
        let (sender, receiver) = mpsc::channel(256);
        (Self(sender), receiver)
    }

    /// Sends any bytes. A client that is gone is no concern of the sender.
    pub(super) async fn send(&self, message: impl Into<Bytes>) {
        let _ = self.0.send(message.into()).await;
    }

    pub(super) fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// Returns when the reader is gone.
    pub(super) async fn closed(&self) {
        self.0.closed().await;
    }

    pub(super) async fn notify(&self, method: &str, params: &impl std::fmt::Display) {
        self.send(format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#)).await;
    }
}

// === impl Incoming ===

impl Incoming {
    pub(super) fn params(&self) -> Value {
        let raw = self.params.as_deref().map(RawValue::get);
        raw.and_then(|raw| serde_json::from_str(raw).ok()).unwrap_or_default()
    }
}

/// An answer with a result given as JSON text.
pub(super) fn answer(id: &RawValue, result: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, id.get())
}

pub(super) fn error(id: &RawValue, code: i64, message: &str, data: &Value) -> String {
    let message = Value::from(message);
    let data = if data.is_null() { String::new() } else { format!(r#","data":{data}"#) };
    format!(
        r#"{{"jsonrpc":"2.0","id":{},"error":{{"code":{code},"message":{message}{data}}}}}"#,
        id.get()
    )
}
