//! What came in: an HTTP request, told apart by address, method, headers and body.
//!
//! The order of checks is that of the transports' rules: who may knock, which address, which
//! method, how large, what kind of message, which session.

mod batch;
mod body;
mod refuse;

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use hyper::body::{Body, Incoming};
use mainstay_model::{Refusal, RefusalCode};
use mainstay_protocol::{Kind, Message, Revision, build, codes, depth};
use mainstay_telemetry::events::RefusedRequest;
use mainstay_telemetry::{CorrelationId, Refused, correlation};

use crate::answer::{self, HttpAnswer};
use crate::endpoint::Endpoint;
use crate::gateway::Gateway;
use crate::handshake::{self, NoSession};
use crate::pipeline::{self, Takes};
use crate::session::Session;

const SESSION: &str = "mcp-session-id";
const REVISION: &str = "mcp-protocol-version";

/// Who is at the other end of the connection.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    pub address: Option<std::net::SocketAddr>,
    /// The command socket: file permissions have decided already.
    pub operator: bool,
}

/// Answers one HTTP request.
pub async fn answer(gateway: &Arc<Gateway>, request: Request<Incoming>, peer: Peer) -> HttpAnswer {
    let (parts, body) = request.into_parts();
    let mut body = Some(body);
    let request_id =
        CorrelationId::of_header(parts.headers.get(correlation::HEADER).map(HeaderValue::as_bytes));
    let mut answer = judge(gateway, &parts, &mut body, peer, &request_id).await;
    if body.is_some_and(|body| !body.is_end_stream()) {
        // Nobody read it, so nothing after it on this connection can be read either.
        body::close(&mut answer);
    }
    refuse::allow_origin(&parts.headers, &mut answer);
    answer
}

async fn judge(
    gateway: &Arc<Gateway>,
    parts: &Parts,
    body: &mut Option<Incoming>,
    peer: Peer,
    request_id: &CorrelationId,
) -> HttpAnswer {
    let refused = |reason, detail: &str| {
        let request_id = Some(request_id);
        RefusedRequest { reason, peer: peer.address, request_id, detail }.emit(&gateway.metrics);
    };
    if !peer.operator
        && let Err(foreign) = gateway.gate.check(&parts.headers)
    {
        return refuse::turn_away(foreign, &parts.headers, &refused);
    }
    let path = parts.uri.path();
    let Some(name) = mcp_path(path) else {
        if let Some(answer) = gateway.answer_aside(parts, peer) {
            return answer;
        }
        refused(Refused::Path, path);
        return refuse::not_found(gateway, path);
    };
    let Some(endpoint) = gateway.endpoint(name) else {
        refused(Refused::Path, path);
        return refuse::not_found(gateway, path);
    };
    match parts.method {
        Method::POST => post(gateway, endpoint, parts, body, request_id, &refused).await,
        Method::GET => get(gateway, endpoint, parts, &refused),
        Method::DELETE => delete(gateway, endpoint, &parts.headers, &refused),
        Method::OPTIONS => refuse::preflight(),
        _ => {
            refused(Refused::HttpMethod, parts.method.as_str());
            let mut answer = answer::empty(StatusCode::METHOD_NOT_ALLOWED);
            let allow = HeaderValue::from_static("POST, GET, DELETE, OPTIONS");
            answer.headers_mut().insert(header::ALLOW, allow);
            answer
        }
    }
}

type Note<'a> = dyn Fn(Refused, &str) + Sync + 'a;

async fn post(
    gateway: &Arc<Gateway>,
    endpoint: &Arc<Endpoint>,
    parts: &Parts,
    body: &mut Option<Incoming>,
    request_id: &CorrelationId,
    refused: &Note<'_>,
) -> HttpAnswer {
    if !is_json(&parts.headers) {
        refused(Refused::MediaType, text(&parts.headers, "content-type"));
        let say = "Content-Type must be application/json";
        return answer::failure(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            None,
            codes::INVALID_REQUEST,
            say,
        );
    }
    let body = match body::read(gateway, parts, body.take()).await {
        Ok(body) => body,
        Err(problem) => return body::no_body(gateway, &problem, request_id, refused),
    };
    let depth_max = gateway.settings.limits.depth_max;
    if !depth::within_depth(&body, depth_max) {
        refused(Refused::Depth, "");
        let mut refusal =
            Refusal::new(RefusalCode::LimitExceeded, "the message is nested too deeply")
                .limit(format!("max_depth: {depth_max}"));
        refusal.data.request_id = Some(request_id.to_string());
        return answer::json(StatusCode::BAD_REQUEST, build::error(None, &refusal.to_json()));
    }
    if body.trim_ascii_start().starts_with(b"[") {
        return batch::answer(gateway, endpoint, parts, &body, request_id, refused).await;
    }
    let message = match Message::parse(body) {
        Ok(message) => message,
        Err(problem) => return refuse::malformed(&problem, refused),
    };
    let takes = Takes { events: takes_events(&parts.headers) };
    if message.kind() == Kind::Request && message.method() == "initialize" {
        return initialize(gateway, endpoint, parts, &message, request_id).await;
    }
    let session = match find(gateway, endpoint, &parts.headers, refused) {
        Ok(session) => session,
        Err((status, code, say)) => {
            return answer::failure(status, message.id().as_ref(), code, &say);
        }
    };
    pipeline::answer(gateway, &session, message, takes, request_id.clone()).await
}

async fn initialize(
    gateway: &Arc<Gateway>,
    endpoint: &Arc<Endpoint>,
    parts: &Parts,
    message: &Message,
    request_id: &CorrelationId,
) -> HttpAnswer {
    let begun = std::time::Instant::now();
    let id = message.id();
    if gateway.is_draining() {
        let mut refusal = Refusal::new(RefusalCode::Maintenance, "the daemon is stopping")
            .retry_after(gateway.settings.limits.drain);
        refusal.data.request_id = Some(request_id.to_string());
        return answer::message(pipeline::refuse(id.as_ref(), &refusal));
    }
    let principal = Gateway::principal(&parts.headers);
    let opened = handshake::open(gateway, endpoint, principal, message).await;
    let metrics = gateway.metrics.gateway();
    let label = mainstay_telemetry::Method::Initialize;
    let (outcome, answer) = match (opened, id) {
        (Ok((session, result)), Some(id)) => {
            let result = std::str::from_utf8(&result).unwrap_or("{}");
            let mut answer = answer::message(build::result(&id, result));
            if let Ok(token) = HeaderValue::from_str(session.token.as_str()) {
                answer.headers_mut().insert(SESSION, token);
            }
            (mainstay_telemetry::Outcome::Ok, answer)
        }
        (Err(NoSession::Invalid(say)), id) => {
            let body = build::failure(id.as_ref(), codes::INVALID_PARAMS, &say);
            (mainstay_telemetry::Outcome::Error, answer::message(body))
        }
        (Err(NoSession::Refused(mut refusal)), id) => {
            refusal.data.request_id = Some(request_id.to_string());
            metrics.failed(refusal.code.into());
            (
                mainstay_telemetry::Outcome::Refused,
                answer::message(pipeline::refuse(id.as_ref(), &refusal)),
            )
        }
        (Ok(_), None) => (mainstay_telemetry::Outcome::Error, answer::accepted()),
    };
    metrics.finished(label, outcome, begun.elapsed());
    answer
}

/// Opens a stream for what servers say of their own accord.
fn get(
    gateway: &Arc<Gateway>,
    endpoint: &Arc<Endpoint>,
    parts: &Parts,
    refused: &Note<'_>,
) -> HttpAnswer {
    if !takes_events(&parts.headers) {
        refused(Refused::MediaType, text(&parts.headers, "accept"));
        let say = "a GET here opens a stream: Accept must have text/event-stream";
        return answer::failure(StatusCode::NOT_ACCEPTABLE, None, codes::INVALID_REQUEST, say);
    }
    match find(gateway, endpoint, &parts.headers, refused) {
        Ok(session) => {
            session.touch();
            answer::events(session.stand())
        }
        Err((status, code, say)) => answer::failure(status, None, code, &say),
    }
}

fn delete(
    gateway: &Arc<Gateway>,
    endpoint: &Arc<Endpoint>,
    headers: &HeaderMap,
    refused: &Note<'_>,
) -> HttpAnswer {
    match find(gateway, endpoint, headers, refused) {
        Ok(session) => {
            gateway.end_session(&session);
            answer::empty(StatusCode::OK)
        }
        Err((status, code, say)) => answer::failure(status, None, code, &say),
    }
}

/// The session a request names, if it is this caller's and at this address.
fn find(
    gateway: &Gateway,
    endpoint: &Arc<Endpoint>,
    headers: &HeaderMap,
    refused: &Note<'_>,
) -> Result<Arc<Session>, (StatusCode, i32, String)> {
    if let Some(revision) = headers.get(REVISION) {
        let known = revision.to_str().ok().and_then(Revision::parse);
        if known.is_none_or(|known| known > Revision::LATEST_LEGACY) {
            refused(Refused::Revision, text(headers, REVISION));
            let say = format!(
                "bad MCP-Protocol-Version: sessions here speak 2025-03-26, 2025-06-18 or {}; send initialize",
                Revision::LATEST_LEGACY
            );
            return Err((StatusCode::BAD_REQUEST, codes::INVALID_REQUEST, say));
        }
    }
    let Some(token) = headers.get(SESSION) else {
        refused(Refused::UnknownSession, "none");
        let say = "no Mcp-Session-Id: send initialize first, and its answer's Mcp-Session-Id with everything after";
        return Err((StatusCode::BAD_REQUEST, codes::INVALID_REQUEST, say.to_owned()));
    };
    let session = token.to_str().ok().and_then(|token| gateway.sessions.find(token));
    let principal = Gateway::principal(headers);
    match session {
        Some(session)
            if session.principal == principal && Arc::ptr_eq(&session.endpoint, endpoint) =>
        {
            Ok(session)
        }
        found => {
            let reason =
                if found.is_some() { Refused::ForeignSession } else { Refused::UnknownSession };
            // The same answer for both: a stranger learns nothing.
            refused(reason, "");
            let say = "Session not found: it has ended, expired, or belongs to another address; send initialize";
            Err((StatusCode::NOT_FOUND, SESSION_NOT_FOUND, say.to_owned()))
        }
    }
}

/// What the SDKs answer for an unknown session; clients know it.
const SESSION_NOT_FOUND: i32 = -32001;

/// The name in `/mcp/{name}`; none in `/mcp`.
#[expect(clippy::option_option, reason = "no MCP address, the whole gateway, one endpoint")]
fn mcp_path(path: &str) -> Option<Option<&str>> {
    let rest = path.strip_prefix("/mcp")?;
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
    use super::mcp_path;

    #[test]
    fn addresses_are_told_apart() {
        for (path, expected) in [
            ("/mcp", Some(None)),
            ("/mcp/", Some(None)),
            ("/mcp/files", Some(Some("files"))),
            ("/mcp/files/", Some(Some("files"))),
            ("/mcpx", None),
            ("/", None),
            ("/health", None),
        ] {
            assert_eq!(mcp_path(path), expected, "{path}");
        }
    }
}
