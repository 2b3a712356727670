//! Messages of our own. Members given as `&str` must be JSON text.

use bytes::Bytes;

use crate::Id;

/// `{"jsonrpc":"2.0","id":…,"result":…}`
pub fn result(id: &Id, result: &str) -> Bytes {
    let mut out = Vec::with_capacity(40 + id.as_bytes().len() + result.len());
    out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    out.extend_from_slice(id.as_bytes());
    out.extend_from_slice(br#","result":"#);
    out.extend_from_slice(result.as_bytes());
    out.push(b'}');
    out.into()
}

/// An error answer; the `error` member as a whole. Without an id it answers nothing in particular.
pub fn error(id: Option<&Id>, error: &str) -> Bytes {
    let mut out = Vec::with_capacity(64 + error.len());
    out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    out.extend_from_slice(id.map_or(b"null", Id::as_bytes));
    out.extend_from_slice(br#","error":"#);
    out.extend_from_slice(error.as_bytes());
    out.push(b'}');
    out.into()
}

/// The `error` member with a code and a message.
pub fn error_member(code: i32, message: &str) -> String {
    format!(r#"{{"code":{code},"message":{}}}"#, string(message))
}

/// An error answer with a code and a message.
pub fn failure(id: Option<&Id>, code: i32, message: &str) -> Bytes {
    error(id, &error_member(code, message))
}

/// `{"jsonrpc":"2.0","id":…,"method":…,"params":…}`
pub fn request(id: u64, method: &str, params: Option<&str>) -> Bytes {
    call(Some(id), method, params)
}

/// `{"jsonrpc":"2.0","method":…,"params":…}`
pub fn notification(method: &str, params: Option<&str>) -> Bytes {
    call(None, method, params)
}

/// A JSON string.
pub fn string(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn call(id: Option<u64>, method: &str, params: Option<&str>) -> Bytes {
    let id = id.map(|id| format!(r#""id":{id},"#)).unwrap_or_default();
    let params = params.map(|params| format!(r#","params":{params}"#)).unwrap_or_default();
    format!(r#"{{"jsonrpc":"2.0",{id}"method":{}{params}}}"#, string(method)).into()
}

/// Tells the other side that the answer to its request `id` is no longer wanted.
pub fn cancelled(id: u64, reason: &str) -> Bytes {
    let params = format!(r#"{{"requestId":{id},"reason":{}}}"#, string(reason));
    notification("notifications/cancelled", Some(&params))
}
