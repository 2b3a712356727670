//! Parameters and bodies of requests. What can't be read is a [`Problem`](crate::api::problem::Problem) that says where.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::bounds::Limiter;
use crate::api::problem::Rejection;

/// The most bytes of a body.
pub(crate) const BODY_BYTES_MAX: usize = 1 << 20;
/// How long a body is waited for.
pub(crate) const BODY_WAIT: Duration = Duration::from_secs(10);
/// The hint for bodies that can't be used.
const DESCRIBED: &str = "/openapi.json describes the body";

/// The parameters after `?`. Those that are not known are ignored.
pub(crate) struct Query<T>(pub(crate) T);

/// A JSON object as body. An empty body and `null` count as `{}`.
pub(crate) struct JsonBody<T>(pub(crate) T);

// === impl Query ===

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Rejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Rejection> {
        let query = axum::extract::Query::<T>::try_from_uri(&parts.uri);
        query.map(|query| Self(query.0)).map_err(|error| {
            Rejection::new(
                StatusCode::BAD_REQUEST,
                format!("a parameter can't be read: {}", inner(&error)),
            )
            .at("the part of the address after `?`")
            .hint("give each parameter once, as /openapi.json describes it")
        })
    }
}

/// What lies below the general words of an error.
fn inner(error: &(dyn std::error::Error + 'static)) -> String {
    error.source().map_or_else(|| error.to_string(), ToString::to_string)
}

// === impl JsonBody ===

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = Rejection;

    async fn from_request(request: Request, _: &S) -> Result<Self, Rejection> {
        let media = request.headers().get(CONTENT_TYPE).map(|media| media.as_bytes().to_owned());
        let body = whole(request.into_body()).await?;
        let nothing = || {
            let empty = Rejection::new(StatusCode::BAD_REQUEST, "the body is empty");
            parse(b"{}").map_err(|_| empty.at("the body").hint(DESCRIBED))
        };
        if body.trim_ascii().is_empty() {
            return nothing();
        }
        let error = match media {
            Some(media) if is_json(&media) && body.trim_ascii() == b"null" => return nothing(),
            Some(media) if is_json(&media) => return parse(&body),
            Some(_) => "the body is not JSON",
            None => "the header `content-type` is missing",
        };
        Err(Rejection::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, error)
            .at("header `content-type`")
            .hint("send JSON with `Content-Type: application/json`"))
    }
}

fn is_json(media: &[u8]) -> bool {
    let kind = media.split(|byte| *byte == b';').next().unwrap_or_default();
    kind.trim_ascii().eq_ignore_ascii_case(b"application/json")
}

/// Waits for the body, and only then lets the request take a place among those that are answered.
pub(crate) async fn arrived(
    State(limiter): State<Limiter>,
    request: Request,
    next: Next,
) -> Response {
    let (parts, body) = request.into_parts();
    let body = match limiter.place(&parts.extensions) {
        Ok(_place) => whole(body).await,
        Err(busy) => Err(busy),
    };
    match body {
        Ok(body) => next.run(Request::from_parts(parts, Body::from(body))).await,
        Err(refused) => refused.into_response(),
    }
}

async fn whole(body: Body) -> Result<bytes::Bytes, Rejection> {
    let body = Limited::new(body, BODY_BYTES_MAX).collect();
    let Ok(body) = timeout(BODY_WAIT, body).await else {
        let say = format!("the body did not arrive within {} s", BODY_WAIT.as_secs());
        return Err(Rejection::new(StatusCode::REQUEST_TIMEOUT, say).at("the body"));
    };
    match body {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            let say = format!("the body has more than {BODY_BYTES_MAX} bytes");
            Err(Rejection::new(StatusCode::PAYLOAD_TOO_LARGE, say).at("the body"))
        }
        Err(_) => {
            Err(Rejection::new(StatusCode::BAD_REQUEST, "the body was cut off").at("the body"))
        }
    }
}

/// Reads a JSON object. Serde alone would also take a list of the members' values.
fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<JsonBody<T>, Rejection> {
    if !body.trim_ascii_start().starts_with(b"{") {
        let error = "the body must be a JSON object";
        return Err(Rejection::new(StatusCode::BAD_REQUEST, error).at("the body").hint(DESCRIBED));
    }
    serde_json::from_slice(body).map(JsonBody).map_err(|error| {
        let place = match error.line() {
            0 => "the body".to_owned(),
            line => format!("the body, line {line}, column {}", error.column()),
        };
        // Where it is stands beside it already.
        let text = error.to_string();
        let text = text.split(" at line ").next().unwrap_or_default();
        Rejection::new(StatusCode::BAD_REQUEST, format!("the body can't be used: {text}"))
            .at(place)
            .hint(DESCRIBED)
    })
}
