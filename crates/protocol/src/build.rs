//! Builders for messages that Mainstay itself sends. Parameters named after members must be JSON text.

use bytes::Bytes;

use crate::Id;

/// Builds a result: `{"jsonrpc":"2.0","id":…,"result":…}`.
pub fn result(id: &Id, result: &str) -> Bytes {
    let mut out = Vec::with_capacity(40 + id.as_bytes().len() + result.len());
    out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    out.extend_from_slice(id.as_bytes());
    out.extend_from_slice(br#","result":"#);
    out.extend_from_slice(result.as_bytes());
    out.push(b'}');
    out.into()
}

/// Builds an error response from its whole `error` member. Without an id, `id` is `null`.
pub fn error(id: Option<&Id>, error: &str) -> Bytes {
    let mut out = Vec::with_capacity(64 + error.len());
    out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    out.extend_from_slice(id.map_or(b"null", Id::as_bytes));
    out.extend_from_slice(br#","error":"#);
    out.extend_from_slice(error.as_bytes());
    out.push(b'}');
    out.into()
}

/// Builds the `error` member from a code and a message.
pub fn error_member(code: i32, message: &str) -> String {
    format!(r#"{{"code":{code},"message":{}}}"#, string(message))
}

/// Builds an error response from a code and a message.
pub fn failure(id: Option<&Id>, code: i32, message: &str) -> Bytes {
    error(id, &error_member(code, message))
}

/// Builds a request: `{"jsonrpc":"2.0","id":…,"method":…,"params":…}`.
pub fn request(id: u64, method: &str, params: Option<&str>) -> Bytes {
    call(Some(id), method, params)
}

/// Builds a notification: `{"jsonrpc":"2.0","method":…,"params":…}`.
pub fn notification(method: &str, params: Option<&str>) -> Bytes {
    call(None, method, params)
}

/// Encodes a text as a JSON string.
pub fn string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn call(id: Option<u64>, method: &str, params: Option<&str>) -> Bytes {
    let id = id.map(|id| format!(r#""id":{id},"#)).unwrap_or_default();
    let params = params.map(|params| format!(r#","params":{params}"#)).unwrap_or_default();
    format!(r#"{{"jsonrpc":"2.0",{id}"method":{}{params}}}"#, string(method)).into()
}

/// Builds the notification that cancels our own request `id`.
pub fn cancelled(id: u64, reason: &str) -> Bytes {
    let params = format!(r#"{{"requestId":{id},"reason":{}}}"#, string(reason));
    notification("notifications/cancelled", Some(&params))
}
