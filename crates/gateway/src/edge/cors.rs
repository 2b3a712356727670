//! Headers for web pages of other origins (Fetch standard, CORS protocol).

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use mainstay_protocol::headers;
use mainstay_telemetry::correlation;

use super::headers::text;
use crate::answer::{self, HttpAnswer};

/// Headers that every page may send. Others are allowed as a page asks for them, such as headers that
/// repeat arguments or carry traces, because their names aren't known beforehand.
const ALLOWED_HEADERS: [&str; 9] = [
    "authorization",
    "content-type",
    "accept",
    headers::SESSION_ID,
    headers::PROTOCOL_VERSION,
    headers::LAST_EVENT_ID,
    headers::METHOD,
    headers::NAME,
    correlation::HEADER,
];

/// Largest number of further headers that one page may send.
const ASKED_HEADERS_MAX: usize = 64;
/// Longest name of such a header.
const NAME_BYTES_MAX: usize = 128;

/// Returns the response to an OPTIONS request. Only pages of allowed origins get here.
pub(super) fn preflight(request: &HeaderMap) -> HttpAnswer {
    let mut answer = answer::empty(StatusCode::NO_CONTENT);
    let allowed = &mut answer.headers_mut();
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "POST, GET, DELETE, OPTIONS"),
        (header::ACCESS_CONTROL_MAX_AGE, "600"),
    ] {
        allowed.insert(name, HeaderValue::from_static(value));
    }
    let asked = text(request, "access-control-request-headers").to_ascii_lowercase();
    let others = asked.split(',').map(str::trim).filter(|name| {
        !ALLOWED_HEADERS.contains(name)
            && name.len() <= NAME_BYTES_MAX
            && HeaderName::try_from(*name).is_ok()
    });
    let names: Vec<_> = ALLOWED_HEADERS.into_iter().chain(others.take(ASKED_HEADERS_MAX)).collect();
    if let Ok(names) = HeaderValue::from_str(&names.join(", ")) {
        allowed.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names);
    }
    answer
}

/// Lets a page of an allowed origin read the response. Only origins that passed the gate get here.
pub(super) fn add_headers(request: &HeaderMap, answer: &mut HttpAnswer) {
    if let Some(origin) = request.get(header::ORIGIN) {
        let headers = answer.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(header::VARY, HeaderValue::from_static("origin"));
        let expose = HeaderValue::from_static("mcp-session-id, mcp-protocol-version");
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, expose);
    }
}
