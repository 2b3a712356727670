//! Builds HTTP responses.

pub(crate) mod body;

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Response, StatusCode, header};
use mainstay_model::{Budget, MemoryKind, Refusal};
use mainstay_protocol::framing::sse;
use mainstay_protocol::{Id, build};

use self::body::{Body, StreamOwner};
use crate::stream::{EventStream, Reader};

pub(crate) type HttpAnswer = Response<Body>;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Returns a response with a JSON body.
pub(crate) fn json(status: StatusCode, body: Bytes) -> HttpAnswer {
    let mut response = Response::new(Body::Whole(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}

/// Returns a JSON-RPC message as the response to a POST.
pub(crate) fn message(body: Bytes) -> HttpAnswer {
    json(StatusCode::OK, body)
}

/// Returns a JSON-RPC message of the gateway's own as the response to a POST, or a refusal if there is
/// no memory for it.
pub(crate) fn own_message(budget: Budget, id: &Id, body: Bytes) -> HttpAnswer {
    match budget.hold(MemoryKind::Answers, body) {
        Ok(body) => message(body),
        Err(exceeded) => message(refusal(Some(id), &exceeded.refusal())),
    }
}

/// Returns a JSON-RPC error of the gateway with an HTTP status, for a request that is wrong as
/// such.
pub(crate) fn failure(status: StatusCode, id: Option<&Id>, code: i32, text: &str) -> HttpAnswer {
    json(status, build::failure(id, code, text))
}

/// Returns 202 Accepted without a body.
pub(crate) fn accepted() -> HttpAnswer {
    empty(StatusCode::ACCEPTED)
}

pub(crate) fn empty(status: StatusCode) -> HttpAnswer {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// Returns a new stream of events.
pub(crate) fn events(stream: Arc<EventStream>) -> HttpAnswer {
    stream_of(Body::events(stream))
}

/// Returns a stream of events that the client has resumed.
pub(crate) fn resumed(reader: Reader) -> HttpAnswer {
    stream_of(Body::read_by(reader))
}

/// Returns a stream of exactly one event.
pub(crate) fn only_event(id: &str, message: &[u8]) -> HttpAnswer {
    let mut out = BytesMut::with_capacity(message.len() + id.len() + 32);
    sse::encode_event(Some("message"), Some(id), message, &mut out);
    stream_of(Body::Whole(out.freeze().into()))
}

/// Returns a stream of events that drops `owner` when the stream ends or its reader leaves.
pub(crate) fn events_until(stream: Arc<EventStream>, owner: StreamOwner) -> HttpAnswer {
    stream_of(Body::events_until(stream, owner))
}

fn stream_of(body: Body) -> HttpAnswer {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Without this header nginx buffers the events.
    headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
    response
}

/// Encodes a refusal as a JSON-RPC error.
pub(crate) fn refusal(id: Option<&Id>, refusal: &Refusal) -> Bytes {
    build::error(id, &refusal.to_json())
}
