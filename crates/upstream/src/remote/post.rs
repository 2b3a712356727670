//! One POST outside of MCP, for notifications of people.

use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request};
use http_body_util::Full;

use super::Target;
use super::connection::{Idle, driven};

/// Why a POST failed, for people. Names no more of the address than host and port.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct NotPosted(String);

/// Posts JSON on a connection of its own, and reads no more of the answer than its head. A redirect counts as a
/// failure: it might lead a secret elsewhere. Opening the connection has a deadline; the caller bounds the
/// rest. Dropping the future closes the connection.
///
/// # Errors
/// When there is no answer, or another one than 2xx.
pub async fn post_json(target: &Arc<Target>, body: Bytes) -> Result<(), NotPosted> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = target.address.clone();
    request.headers_mut().clone_from(&target.headers);
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let connecting = Arc::new(Idle::new(target.clone())).connect();
    let mut connection = connecting.await.map_err(|failed| NotPosted(failed.reason))?;
    let mut response = connection.send(request);
    let response =
        driven(&mut connection, &mut response, |response, cx| response.as_mut().poll(cx)).await;
    let status =
        response.map_err(|error| NotPosted(super::connection::Failed::from(error).reason))?;
    match status.status() {
        status if status.is_success() => Ok(()),
        status if status.is_redirection() => Err(NotPosted(format!(
            "it redirects, which is not followed (HTTP {})",
            status.as_u16()
        ))),
        status => Err(NotPosted(format!("it answered HTTP {}", status.as_u16()))),
    }
}
