//! Handles HTTP requests: sorts them by path, method, headers and body.
//!
//! The order of checks: who calls and whether that caller is admitted ([`admit`]), which path,
//! which method, how large, what kind of message, which session. A caller that is not admitted
//! learns nothing about paths.

mod admit;
mod admitted;
mod batch;
mod body;
mod cors;
mod headers;
mod initialize;
mod modern;
mod non_mcp;
mod refuse;
mod session_lookup;
mod sse;
mod uninitialized;

use std::borrow::Cow;
use std::sync::Arc;

use http::request::Parts;
use http::{HeaderValue, Method, Request, StatusCode, header};
use hyper::body::{Body, Incoming};
use mainstay_protocol::headers::LAST_EVENT_ID;
use mainstay_protocol::{Kind, Message};
use mainstay_telemetry::{CorrelationId, Refused};
use tracing::Instrument;

use self::admitted::Admitted;
use self::body::read_json;
use self::headers::{REQUEST_ID, accepts_event_stream, text};
use self::session_lookup::find_session;
use crate::answer::{self, HttpAnswer};
use crate::caller::{Accepts, Peer, Serves};
use crate::endpoint::Endpoint;
use crate::gateway::Gateway;
use crate::pipeline;
use crate::sessions::get_stream;

/// What handles a request.
#[derive(Debug)]
enum Destination {
    Mcp(Arc<Endpoint>),
    Sse(Arc<Endpoint>),
    Messages,
    /// Something that is not MCP, or nothing.
    NonMcp,
    /// An endpoint that does not exist.
    Unknown,
}

/// A parsed request path.
#[derive(Debug, PartialEq, Eq)]
enum RequestPath<'a> {
    /// `/mcp` and `/mcp/{name}`.
    Mcp(Option<&'a str>),
    /// `/sse` and `/sse/{name}`.
    Sse(Option<&'a str>),
    /// `/messages`, where clients of HTTP+SSE post to.
    Messages,
    /// `/`: the same as `/mcp`, except for a page that browsers get.
    Root,
    Other,
}

/// Handles one HTTP request.
pub async fn handle(gateway: &Arc<Gateway>, request: Request<Incoming>, peer: Peer) -> HttpAnswer {
    let (parts, body) = request.into_parts();
    let mut body = Some(body);
    let named = parts.headers.get(&REQUEST_ID);
    let request_id = CorrelationId::of_header(named.map(HeaderValue::as_bytes));
    let mut answer = match admit::admit(gateway, &parts, peer, request_id) {
        Ok(admitted) => {
            let request_id = &admitted.caller.request_id;
            let span = tracing::debug_span!(target: "mainstay", "request", %request_id);
            let mut answer = route_request(&admitted, &mut body).instrument(span).await;
            cors::add_headers(&parts.headers, &mut answer);
            answer
        }
        Err(refusal) => *refusal,
    };
    if body.is_some_and(|body| !body.is_end_stream()) {
        // The body was not read, so the connection can't carry another request.
        body::close_connection(&mut answer);
    }
    // Only requests that brought their own request id get it back as a header.
    if let Some(name) = named
        && CorrelationId::try_client(name.as_bytes()).is_some()
    {
        answer.headers_mut().insert(&REQUEST_ID, name.clone());
    }
    answer
}

/// Handles an admitted request by its path and method.
async fn route_request(admitted: &Admitted<'_>, body: &mut Option<Incoming>) -> HttpAnswer {
    let Admitted { gateway, parts, caller, .. } = admitted;
    let (destination, path) = destination(gateway, parts, caller.serves);
    let endpoint = match &destination {
        Destination::Mcp(endpoint) => endpoint,
        Destination::Sse(endpoint) => return sse::handle_stream(admitted, endpoint),
        Destination::Messages => return sse::handle_message(admitted, body).await,
        Destination::NonMcp => return Box::pin(non_mcp::forward(admitted, &path, body)).await,
        Destination::Unknown => return refuse::not_found(admitted, &path),
    };
    match parts.method {
        Method::POST => post(admitted, endpoint, body).await,
        Method::GET => get(admitted, endpoint).await,
        Method::DELETE => delete(admitted, endpoint).await,
        Method::OPTIONS => cors::preflight(&parts.headers),
        _ => refuse::method_not_allowed("POST, GET, DELETE, OPTIONS", admitted),
    }
}

/// Returns what handles a request, and the daemon's own path for it. A proxy may pass paths on as
/// clients write them. What the daemon itself has at such a path comes first.
fn destination<'a>(
    gateway: &Gateway,
    parts: &'a Parts,
    serves: Serves,
) -> (Destination, Cow<'a, str>) {
    let path = parts.uri.path();
    let topology = gateway.directory.topology_now();
    let at = |path: &str| match RequestPath::parse(path, serves) {
        RequestPath::Mcp(name) => {
            topology.endpoint(name).cloned().map_or(Destination::Unknown, Destination::Mcp)
        }
        RequestPath::Sse(name) => {
            topology.endpoint(name).cloned().map_or(Destination::Unknown, Destination::Sse)
        }
        RequestPath::Messages => Destination::Messages,
        RequestPath::Root if !wants_page(parts) => {
            topology.endpoint(None).cloned().map_or(Destination::Unknown, Destination::Mcp)
        }
        RequestPath::Root | RequestPath::Other => Destination::NonMcp,
    };
    let destination = at(path);
    if let (Destination::NonMcp | Destination::Unknown, Some(url)) =
        (&destination, &gateway.serving.settings().public_url)
        && let Some(own) = url.own_path(path)
    {
        return (at(&own), Cow::Owned(own));
    }
    (destination, Cow::Borrowed(path))
}

/// Returns whether a request for `/` is that of a browser. Clients of MCP post, or ask for an event
/// stream and nothing that is read by people.
fn wants_page(parts: &Parts) -> bool {
    let accepts = |media: &str| {
        let mut accepts = parts.headers.get_all(header::ACCEPT).iter();
        accepts.any(|value| value.to_str().is_ok_and(|value| value.contains(media)))
    };
    match parts.method {
        Method::GET => accepts("text/html") || !accepts("text/event-stream"),
        Method::HEAD => true,
        _ => false,
    }
}

async fn post(
    admitted: &Admitted<'_>,
    endpoint: &Arc<Endpoint>,
    body: &mut Option<Incoming>,
) -> HttpAnswer {
    let body = match read_json(admitted, body).await {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    if body.trim_ascii_start().starts_with(b"[") {
        return batch::handle(admitted, endpoint, &body).await;
    }
    let message = match Message::parse(body) {
        Ok(message) => message,
        Err(problem) => return refuse::malformed(&problem, admitted),
    };
    if modern::is_modern_request(admitted.headers(), &message) {
        return modern::handle(admitted, endpoint, message).await;
    }
    if message.kind() == Kind::Request && message.method() == "initialize" {
        return initialize::handle(admitted, endpoint, &message).await;
    }
    let session = match find_session(admitted, endpoint).await {
        Ok(session) => session,
        Err(missing) => {
            return missing.into_response(message.id().as_ref(), &admitted.caller.request_id);
        }
    };
    let accepts = Accepts { event_stream: accepts_event_stream(admitted.headers()) };
    let at = (endpoint, &session);
    pipeline::handle_message(&admitted.gateway.sessions, at, message, accepts, &admitted.caller)
        .await
}

/// Opens a background stream, or resumes a stream that was cut.
async fn get(admitted: &Admitted<'_>, endpoint: &Arc<Endpoint>) -> HttpAnswer {
    let headers = admitted.headers();
    if !accepts_event_stream(headers) {
        admitted.count_refusal(Refused::MediaType, text(headers, "accept"));
        return refuse::NOT_ACCEPTABLE.to_response(None, &admitted.caller.request_id);
    }
    match find_session(admitted, endpoint).await {
        Ok(session) => {
            session.touch();
            session.mark_used();
            let last = headers.get(LAST_EVENT_ID).and_then(|id| id.to_str().ok());
            let at = (endpoint, &session);
            get_stream::open_or_resume(
                &admitted.gateway.sessions,
                at,
                last,
                &admitted.caller.request_id,
            )
        }
        Err(missing) => missing.into_response(None, &admitted.caller.request_id),
    }
}

async fn delete(admitted: &Admitted<'_>, endpoint: &Arc<Endpoint>) -> HttpAnswer {
    match find_session(admitted, endpoint).await {
        Ok(session) => {
            let sessions = &admitted.gateway.sessions;
            sessions.end(&session);
            sessions.store_end(&session, &admitted.caller.request_id).await;
            answer::empty(StatusCode::OK)
        }
        Err(missing) => missing.into_response(None, &admitted.caller.request_id),
    }
}

impl<'a> RequestPath<'a> {
    fn parse(path: &'a str, serves: Serves) -> Self {
        if serves.http
            && let Some(name) = name_below(path, "/mcp")
        {
            return Self::Mcp(name);
        }
        if serves.http && path == "/" {
            return Self::Root;
        }
        match name_below(path, "/sse") {
            Some(name) if serves.sse => Self::Sse(name),
            None if serves.sse && path == sse::MESSAGES_PATH => Self::Messages,
            _ => Self::Other,
        }
    }
}

/// Returns the name in `{root}/{name}`, which is none in `{root}`. The outer option is none for
/// other paths.
#[expect(clippy::option_option, reason = "another address, the whole gateway, one endpoint")]
fn name_below<'a>(path: &'a str, root: &str) -> Option<Option<&'a str>> {
    let rest = path.strip_prefix(root)?;
    match rest.strip_prefix('/') {
        None if rest.is_empty() => Some(None),
        None => None,
        Some("") => Some(None),
        Some(name) => Some(Some(name.strip_suffix('/').unwrap_or(name))),
    }
}

#[cfg(test)]
mod tests {
    use super::RequestPath;
    use crate::caller::Serves;

    #[test]
    fn addresses_are_told_apart() {
        let both = Serves { http: true, sse: true };
        for (path, expected) in [
            ("/mcp", RequestPath::Mcp(None)),
            ("/mcp/", RequestPath::Mcp(None)),
            ("/mcp/files", RequestPath::Mcp(Some("files"))),
            ("/mcp/files/", RequestPath::Mcp(Some("files"))),
            ("/sse", RequestPath::Sse(None)),
            ("/sse/files", RequestPath::Sse(Some("files"))),
            ("/messages", RequestPath::Messages),
            ("/mcpx", RequestPath::Other),
            ("/", RequestPath::Root),
            ("/health", RequestPath::Other),
        ] {
            assert_eq!(RequestPath::parse(path, both), expected, "{path}");
        }
        let (http, sse) = (Serves { http: true, sse: false }, Serves { http: false, sse: true });
        assert_eq!(RequestPath::parse("/sse", http), RequestPath::Other);
        assert_eq!(RequestPath::parse("/messages", http), RequestPath::Other);
        assert_eq!(RequestPath::parse("/mcp", sse), RequestPath::Other);
        assert_eq!(RequestPath::parse("/", sse), RequestPath::Other);
    }
}
