//! What came in: an HTTP request, told apart by address, method, headers and body.
//!
//! The order of checks: who calls and whether that one is let in ([`admit`]), which address, which
//! method, how large, what kind of message, which session. Nobody who is not let in gets as far as the
//! address: what is found there is told to nobody else.

pub(crate) mod admit;
pub(crate) mod forwarded;
pub(crate) mod gate;

mod batch;
mod body;
mod find;
mod modern;
mod refuse;
pub(crate) mod sse;

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use hyper::body::{Body, Incoming};
use mainstay_model::{Refusal, RefusalCode};
use mainstay_protocol::{Kind, Message, build, codes, depth, headers};
use mainstay_telemetry::{CorrelationId, Outcome, Refused, correlation};
use tracing::Instrument;

use self::admit::Admitted;
pub use self::admit::{Caller, Peer, Serves};
use self::find::find;
use crate::answer::{self, HttpAnswer};
use crate::call::delivery;
use crate::endpoint::Endpoint;
use crate::gateway::Gateway;
use crate::pipeline::{self, Takes};
use crate::session::Session;
use crate::session::handshake::{self, NoSession};

// Names of headers, checked at compile time instead of with each request.
static SESSION: HeaderName = HeaderName::from_static(headers::SESSION_ID);
static REVISION: HeaderName = HeaderName::from_static(headers::PROTOCOL_VERSION);
static REQUEST_ID: HeaderName = HeaderName::from_static(correlation::HEADER);

/// What a request is for.
#[derive(Debug)]
enum Target {
    Mcp(Arc<Endpoint>),
    Sse(Arc<Endpoint>),
    Messages,
    /// Something that is not MCP, or nothing.
    Aside,
    /// An endpoint that is not there.
    Unknown,
}

/// An address, told apart.
#[derive(Debug, PartialEq, Eq)]
enum Address<'a> {
    /// `/mcp` and `/mcp/{name}`.
    Mcp(Option<&'a str>),
    /// `/sse` and `/sse/{name}`.
    Sse(Option<&'a str>),
    /// Where a client of HTTP+SSE posts to.
    Messages,
    Other,
}

/// Answers one HTTP request.
pub async fn answer(gateway: &Arc<Gateway>, request: Request<Incoming>, peer: Peer) -> HttpAnswer {
    let (parts, body) = request.into_parts();
    let mut body = Some(body);
    let named = parts.headers.get(&REQUEST_ID);
    let request_id = CorrelationId::of_header(named.map(HeaderValue::as_bytes));
    let mut answer = match admit::admit(gateway, &parts, peer, request_id) {
        Ok(admitted) => {
            let request_id = &admitted.caller.request_id;
            let span = tracing::debug_span!(target: "mainstay", "request", %request_id);
            at_address(&admitted, &mut body).instrument(span).await
        }
        Err(refusal) => *refusal,
    };
    if body.is_some_and(|body| !body.is_end_stream()) {
        // Nobody read it, so nothing after it on this connection can be read either.
        body::close(&mut answer);
    }
    refuse::allow_origin(&parts.headers, &mut answer);
    // Whoever names a request finds the name again; nobody else pays for it.
    if let Some(name) = named
        && CorrelationId::try_client(name.as_bytes()).is_some()
    {
        answer.headers_mut().insert(&REQUEST_ID, name.clone());
    }
    answer
}

/// Answers a request that was let in, by its address and method.
async fn at_address(admitted: &Admitted<'_>, body: &mut Option<Incoming>) -> HttpAnswer {
    let Admitted { gateway, parts, caller, .. } = admitted;
    let (target, path) = target(gateway, parts.uri.path(), caller.serves);
    let endpoint = match &target {
        Target::Mcp(endpoint) => endpoint,
        Target::Sse(endpoint) => return sse::answer(admitted, endpoint),
        Target::Messages => return sse::messages(admitted, body).await,
        Target::Aside => {
            let answer = gateway.answer_aside(parts, caller.peer());
            return answer.unwrap_or_else(|| refuse::not_found(admitted, &path));
        }
        Target::Unknown => return refuse::not_found(admitted, &path),
    };
    match parts.method {
        Method::POST => post(admitted, endpoint, body).await,
        Method::GET => get(admitted, endpoint).await,
        Method::DELETE => delete(admitted, endpoint).await,
        Method::OPTIONS => refuse::preflight(&parts.headers),
        _ => refuse::method("POST, GET, DELETE, OPTIONS", admitted),
    }
}

/// What a request is for, and the daemon's own path of it. A proxy may pass paths on as clients write
/// them; what the daemon has itself at such a path comes first.
fn target<'a>(gateway: &Gateway, path: &'a str, serves: Serves) -> (Target, Cow<'a, str>) {
    let topology = gateway.topology_now();
    let at = |path: &str| match Address::of(path, serves) {
        Address::Mcp(name) => topology.endpoint(name).cloned().map_or(Target::Unknown, Target::Mcp),
        Address::Sse(name) => topology.endpoint(name).cloned().map_or(Target::Unknown, Target::Sse),
        Address::Messages => Target::Messages,
        Address::Other => Target::Aside,
    };
    let target = at(path);
    if let (Target::Aside | Target::Unknown, Some(url)) = (&target, &gateway.settings.public_url)
        && let Some(own) = url.own_path(path)
    {
        return (at(&own), Cow::Owned(own));
    }
    (target, Cow::Borrowed(path))
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
        return batch::answer(admitted, endpoint, &body).await;
    }
    let message = match Message::parse(body) {
        Ok(message) => message,
        Err(problem) => return refuse::malformed(&problem, admitted),
    };
    if modern::claims(admitted.headers(), &message) {
        return modern::answer(admitted, endpoint, message).await;
    }
    if message.kind() == Kind::Request && message.method() == "initialize" {
        return initialize(admitted, endpoint, &message).await;
    }
    let session = match find(admitted, endpoint).await {
        Ok(session) => session,
        Err(none) => return none.answer(message.id().as_ref()),
    };
    let takes = Takes { events: takes_events(admitted.headers()) };
    let at = (endpoint, &session);
    pipeline::answer(admitted.gateway, at, message, takes, &admitted.caller).await
}

/// A body that can be a message: of the right type, whole, within its bounds.
async fn read_json(
    admitted: &Admitted<'_>,
    body: &mut Option<Incoming>,
) -> Result<Bytes, HttpAnswer> {
    let headers = admitted.headers();
    if !is_json(headers) {
        admitted.refused(Refused::MediaType, text(headers, "content-type"));
        let say = "Content-Type must be application/json";
        return Err(answer::failure(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            None,
            codes::INVALID_REQUEST,
            say,
        ));
    }
    let limits = &admitted.gateway.settings.limits;
    let body = match body::read(limits, headers, body.take()).await {
        Ok(body) => body,
        Err(problem) => return Err(body::no_body(&problem, admitted)),
    };
    let depth_max = limits.depth_max;
    if !depth::within_depth(&body, depth_max) {
        admitted.refused(Refused::Depth, "");
        let mut refusal =
            Refusal::new(RefusalCode::LimitExceeded, "the message is nested too deeply")
                .limit(format!("max_depth: {depth_max}"));
        refusal.data.request_id = Some(admitted.caller.request_id.to_string());
        return Err(answer::json(StatusCode::BAD_REQUEST, build::error(None, &refusal.to_json())));
    }
    Ok(body)
}

async fn initialize(
    admitted: &Admitted<'_>,
    endpoint: &Arc<Endpoint>,
    message: &Message,
) -> HttpAnswer {
    let (session, bytes) =
        open_session(admitted.gateway, endpoint, &admitted.caller, message).await;
    let mut answer = answer::message(bytes);
    let token = session.and_then(|session| HeaderValue::from_str(session.token.as_str()).ok());
    if let Some(token) = token {
        answer.headers_mut().insert(&SESSION, token);
    }
    answer
}

/// Carries out `initialize`: the session, if there is one now, and the message to answer with.
async fn open_session(
    gateway: &Arc<Gateway>,
    endpoint: &Arc<Endpoint>,
    caller: &Caller,
    message: &Message,
) -> (Option<Arc<Session>>, Bytes) {
    let begun = std::time::Instant::now();
    let id = message.id();
    let opened = if gateway.is_draining() {
        Err(NoSession::Refused(pipeline::stopping(gateway, &caller.request_id)))
    } else {
        handshake::open(gateway, endpoint, caller.principal.clone(), message).await
    };
    let metrics = gateway.metrics.gateway();
    let (outcome, session, bytes) = match opened {
        Ok((session, result)) => {
            let result = std::str::from_utf8(&result).unwrap_or("{}");
            let bytes = id.as_ref().map(|id| build::result(id, result)).unwrap_or_default();
            (Outcome::Ok, Some(session), bytes)
        }
        Err(NoSession::Stateless(requested)) => {
            (Outcome::Error, None, modern::unsupported(id.as_ref(), &requested))
        }
        Err(NoSession::Invalid(say)) => {
            (Outcome::Error, None, build::failure(id.as_ref(), codes::INVALID_PARAMS, &say))
        }
        Err(NoSession::Refused(mut refusal)) => {
            refusal.data.request_id = Some(caller.request_id.to_string());
            metrics.failed(refusal.code.into());
            (Outcome::Refused, None, pipeline::refuse(id.as_ref(), &refusal))
        }
    };
    metrics.finished(mainstay_telemetry::Method::Initialize, outcome, begun.elapsed());
    (session, bytes)
}

/// Opens a stream for what servers say of their own accord, or goes on with one that was cut.
async fn get(admitted: &Admitted<'_>, endpoint: &Arc<Endpoint>) -> HttpAnswer {
    let headers = admitted.headers();
    if !takes_events(headers) {
        admitted.refused(Refused::MediaType, text(headers, "accept"));
        let say = "a GET here opens a stream: Accept must have text/event-stream";
        return answer::failure(StatusCode::NOT_ACCEPTABLE, None, codes::INVALID_REQUEST, say);
    }
    match find(admitted, endpoint).await {
        Ok(session) => {
            session.touch();
            let last = headers.get(headers::LAST_EVENT_ID).and_then(|id| id.to_str().ok());
            let at = (endpoint, &session);
            delivery::listen(admitted.gateway, at, last, &admitted.caller.request_id)
        }
        Err(none) => none.answer(None),
    }
}

async fn delete(admitted: &Admitted<'_>, endpoint: &Arc<Endpoint>) -> HttpAnswer {
    match find(admitted, endpoint).await {
        Ok(session) => {
            admitted.gateway.end_session(&session);
            admitted.gateway.keep_end(&session, &admitted.caller.request_id).await;
            answer::empty(StatusCode::OK)
        }
        Err(none) => none.answer(None),
    }
}

/// What the SDKs answer for an unknown session; clients know it.
const SESSION_NOT_FOUND: i32 = -32001;

impl<'a> Address<'a> {
    fn of(path: &'a str, serves: Serves) -> Self {
        if serves.http
            && let Some(name) = below(path, "/mcp")
        {
            return Self::Mcp(name);
        }
        match below(path, "/sse") {
            Some(name) if serves.sse => Self::Sse(name),
            None if serves.sse && path == sse::MESSAGES => Self::Messages,
            _ => Self::Other,
        }
    }
}

/// The name in `{root}/{name}`; none in `{root}`.
#[expect(clippy::option_option, reason = "another address, the whole gateway, one endpoint")]
fn below<'a>(path: &'a str, root: &str) -> Option<Option<&'a str>> {
    let rest = path.strip_prefix(root)?;
    match rest.strip_prefix('/') {
        None if rest.is_empty() => Some(None),
        None => None,
        Some("") => Some(None),
        Some(name) => Some(Some(name.strip_suffix('/').unwrap_or(name))),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|value| {
        let kind = value.as_bytes().split(|byte| *byte == b';').next().unwrap_or_default();
        kind.trim_ascii().eq_ignore_ascii_case(b"application/json")
    })
}

/// Whether the client can take a stream. One that doesn't say takes anything.
fn takes_events(headers: &HeaderMap) -> bool {
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

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Address, Serves};

    #[test]
    fn addresses_are_told_apart() {
        let both = Serves { http: true, sse: true };
        for (path, expected) in [
            ("/mcp", Address::Mcp(None)),
            ("/mcp/", Address::Mcp(None)),
            ("/mcp/files", Address::Mcp(Some("files"))),
            ("/mcp/files/", Address::Mcp(Some("files"))),
            ("/sse", Address::Sse(None)),
            ("/sse/files", Address::Sse(Some("files"))),
            ("/messages", Address::Messages),
            ("/mcpx", Address::Other),
            ("/", Address::Other),
            ("/health", Address::Other),
        ] {
            assert_eq!(Address::of(path, both), expected, "{path}");
        }
        let (http, sse) = (Serves { http: true, sse: false }, Serves { http: false, sse: true });
        assert_eq!(Address::of("/sse", http), Address::Other);
        assert_eq!(Address::of("/messages", http), Address::Other);
        assert_eq!(Address::of("/mcp", sse), Address::Other);
    }
}
