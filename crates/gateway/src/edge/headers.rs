//! Headers of requests.

use http::{HeaderMap, HeaderName, header};
use mainstay_protocol::headers;
use mainstay_telemetry::correlation;

// Header names, checked at compile time instead of on each request.
pub(super) static SESSION: HeaderName = HeaderName::from_static(headers::SESSION_ID);
pub(super) static REVISION: HeaderName = HeaderName::from_static(headers::PROTOCOL_VERSION);
pub(super) static REQUEST_ID: HeaderName = HeaderName::from_static(correlation::HEADER);

/// JSON-RPC code for an unknown session, as the SDKs send it; clients know it.
pub(super) const SESSION_NOT_FOUND: i32 = -32001;

pub(super) fn is_json(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|value| {
        if value == "application/json" {
            return true;
        }
        let kind = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
        kind.trim_ascii().eq_ignore_ascii_case(b"application/json")
    })
}

/// Whether the client accepts a stream of events. A client without `Accept` accepts anything.
pub(super) fn accepts_event_stream(headers: &HeaderMap) -> bool {
    let mut accepts = headers.get_all(header::ACCEPT).iter().peekable();
    accepts.peek().is_none()
        || accepts.any(|value| {
            value.to_str().is_ok_and(|value| {
                value.contains("text/event-stream")
                    || value.contains("*/*")
                    || value.contains("text/*")
            })
        })
}

pub(super) fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}
