//! Answers over HTTP.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};

use crate::accept::HangUp;

pub(super) type HttpReply = Response<BoxBody<Bytes, Infallible>>;

pub(super) fn session_of<B>(request: &Request<B>) -> &str {
    let header = request.headers().get("mcp-session-id");
    header.and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// Closes the connection without a response.
pub(super) fn hang_up() -> HttpReply {
    let mut response = plain(StatusCode::OK, "text/plain", "");
    response.extensions_mut().insert(HangUp);
    response
}

pub(super) fn plain(status: StatusCode, kind: &'static str, text: impl Into<Bytes>) -> HttpReply {
    let mut response = Response::new(Full::new(text.into()).boxed());
    *response.status_mut() = status;
    response.headers_mut().insert("content-type", http::HeaderValue::from_static(kind));
    response
}
