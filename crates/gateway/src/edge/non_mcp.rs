//! Forwards requests that are not MCP to the service for them.

use http::{Method, Request};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use tower::ServiceExt;

use super::admitted::Admitted;
use super::refuse;
use crate::answer::HttpAnswer;
use crate::answer::body::Body;
use crate::non_mcp::BodyError;

/// Hands a request over, if the service has its path, and returns the answer. `path` is the daemon's own
/// path, which differs from that of the request below the public URL.
pub(super) async fn forward(
    admitted: &Admitted<'_>,
    path: &str,
    body: &mut Option<Incoming>,
) -> HttpAnswer {
    let Admitted { gateway, parts, caller, .. } = admitted;
    let found = gateway.non_mcp().filter(|found| found.has(path));
    let Some(found) = found else { return refuse::not_found(admitted, path) };
    let takes_body = !matches!(parts.method, Method::GET | Method::HEAD);
    let body = match if takes_body { body.take() } else { None } {
        Some(body) => body.map_err(BodyError::new).boxed_unsync(),
        None => Empty::new().map_err(|never| match never {}).boxed_unsync(),
    };
    let mut request = Request::from_parts((*parts).clone(), body);
    request.extensions_mut().insert(caller.clone());
    if path != parts.uri.path() {
        let query = parts.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        let Ok(own) = format!("{path}{query}").parse() else {
            return refuse::not_found(admitted, path);
        };
        *request.uri_mut() = own;
    }
    let Ok(answer) = found.service.clone().oneshot(request).await;
    answer.map(Body::Boxed)
}
