//! Recognises requests of 2026-07-28, and checks them before anything acts on them.
//!
//! Each stands alone: `_meta` says which revision it uses and what its client supports, and headers
//! repeat what intermediaries need. The body counts; a header that contradicts it is refused
//! (2026-07-28 basic/transports/streamable-http, Server Validation).

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use mainstay_pool::EraSupport;
use mainstay_protocol::capabilities::ClientCapabilities;
use mainstay_protocol::headers::{self, HeaderMismatch};
use mainstay_protocol::params::{Field, Params};
use mainstay_protocol::revision::Era;
use mainstay_protocol::{Id, Kind, Message, Method, Revision, build, codes};
use mainstay_session::LogLevel;
use mainstay_telemetry::{CorrelationId, Refused};

use super::admitted::Admitted;
use super::headers::{REVISION, SESSION, accepts_event_stream};
use super::refuse::Problem;
use crate::answer::{self, HttpAnswer};
use crate::caller::Accepts;
use crate::endpoint::Endpoint;
use crate::stateless;
use crate::stateless::request::{self, ModernRequest};

#[cfg(test)]
mod tests;

/// Why a request is invalid. Each reason has an HTTP status.
#[derive(Debug, PartialEq, Eq)]
enum InvalidRequest {
    NotARequest,
    /// The member of `_meta` that is missing or of another type than it must be.
    Meta(&'static str),
    Params(String),
    Header(HeaderMismatch),
    Version(String),
    UnknownMethod,
}

/// Whether a message claims to be of a modern revision: its header names one, or its `_meta` does. In
/// a session only the header counts, because clients may put the members of `_meta` into any request.
/// Only `_meta` counts for `initialize`, which asks for a revision that is yet to be negotiated.
pub(super) fn is_modern_request(headers: &HeaderMap, message: &Message) -> bool {
    let by_header = || headers.get(&REVISION).is_some_and(|it| is_modern_version(it.as_bytes()));
    match message.kind() {
        Kind::Request if message.method() == Method::Initialize.as_str() => {
            message.is_modern() && names_modern_version(message)
        }
        _ => by_header() || !headers.contains_key(&SESSION) && message.is_modern(),
    }
}

/// Whether the revision in `_meta` is a modern one. A handshake may repeat an older one there.
fn names_modern_version(message: &Message) -> bool {
    let params = message.params().ok();
    let version = params.as_ref().and_then(|params| params.meta.protocol_version.as_ref()?.text());
    version.is_some_and(|version| is_modern_version(version.as_bytes()))
}

/// Whether a version is a date not before 2026-07-28. A later revision that nobody knows yet is
/// refused as such.
fn is_modern_version(version: &[u8]) -> bool {
    let dated = version.len() == Revision::LATEST.as_str().len()
        && version.iter().enumerate().all(|(at, byte)| match at {
            4 | 7 => *byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    dated && version >= Revision::V2026_07_28.as_str().as_bytes()
}

/// Handles one message.
pub(super) async fn handle(
    admitted: &Admitted<'_>,
    endpoint: &Arc<Endpoint>,
    message: Message,
) -> HttpAnswer {
    let Admitted { gateway, caller, .. } = admitted;
    let id = message.id();
    match endpoint.era_support(Era::Modern, gateway.serving.settings().limits.list).await {
        EraSupport::Yes => {}
        EraSupport::No => {
            admitted.count_refusal(Refused::Revision, "no server here supports it");
            return initialize_instead(id.as_ref(), &caller.request_id);
        }
        EraSupport::NotYet(refusal) => {
            return request::refusal_response(id.as_ref(), refusal, &caller.request_id);
        }
    }
    // Clients of one era are not yet served by servers of the other era.
    let asks = message.method() == Method::ServerDiscover.as_str();
    if asks && endpoint.legacy_serves_more() {
        admitted.count_refusal(Refused::Revision, "more servers here support older ones");
        return initialize_instead(id.as_ref(), &caller.request_id);
    }
    let meta = match check_request(admitted.headers(), &message) {
        Ok(Some(meta)) => meta,
        // The only notification of this era cancels a request. Over HTTP, closing the stream does that.
        Ok(None) => return answer::accepted(),
        Err(invalid) => {
            admitted.count_refusal(invalid.reason(), &invalid.to_string());
            return invalid.to_response(id.as_ref(), &caller.request_id);
        }
    };
    let RequestMeta { id, method, capabilities, log_level } = meta;
    let headers = admitted.headers();
    let accepts = Accepts { event_stream: accepts_event_stream(headers) };
    let request = ModernRequest { id, method, capabilities, log_level, headers, caller, accepts };
    stateless::handle_request(&gateway.stateless, endpoint, message, request).await
}

/// Returns the response of a server that knows only older revisions. Clients that know both begin
/// again with `initialize`.
fn initialize_instead(id: Option<&Id>, request_id: &CorrelationId) -> HttpAnswer {
    let problem = Problem {
        status: StatusCode::BAD_REQUEST,
        code: codes::INVALID_REQUEST,
        say: "this address supports 2025-03-26, 2025-06-18 and 2025-11-25 only; begin with initialize",
        hint: "begin with initialize",
    };
    problem.to_response(id, request_id)
}

/// What a request says about itself in `_meta`.
#[derive(Debug)]
struct RequestMeta {
    id: Id,
    method: Option<Method>,
    capabilities: ClientCapabilities,
    log_level: Option<LogLevel>,
}

/// Checks a request. None: it is a notification.
fn check_request(
    headers: &HeaderMap,
    message: &Message,
) -> Result<Option<RequestMeta>, InvalidRequest> {
    match message.kind() {
        Kind::Request => {}
        Kind::Notification => return Ok(None),
        Kind::Result | Kind::Error => return Err(InvalidRequest::NotARequest),
    }
    let id = message.id().ok_or(InvalidRequest::NotARequest)?;
    let params = message.params().map_err(|error| InvalidRequest::Params(error.to_string()))?;
    let version = params.meta.protocol_version.as_ref().and_then(Field::text);
    let version = version.ok_or(InvalidRequest::Meta("protocolVersion"))?;
    let capabilities = params.meta.client_capabilities.as_ref();
    let capabilities = capabilities
        .filter(|of| of.raw.starts_with('{'))
        .ok_or(InvalidRequest::Meta("clientCapabilities"))?;
    let log_level = match &params.meta.log_level {
        None => None,
        Some(level) => Some(LogLevel::parse(level.raw).ok_or(InvalidRequest::Meta("logLevel"))?),
    };
    headers::check_version(header_values(headers, headers::PROTOCOL_VERSION), &version)
        .map_err(InvalidRequest::Header)?;
    if version != Revision::V2026_07_28.as_str() {
        return Err(InvalidRequest::Version(version.into_owned()));
    }
    let method = Method::parse(message.method());
    if method.is_some_and(is_removed) {
        return Err(InvalidRequest::UnknownMethod);
    }
    headers::check_method(header_values(headers, headers::METHOD), message.method())
        .map_err(InvalidRequest::Header)?;
    check_name(headers, method, &params)?;
    let capabilities = ClientCapabilities::from_json(capabilities.raw);
    Ok(Some(RequestMeta { id, method, capabilities, log_level }))
}

/// Checks the name header. A name that is not a string is left to the method to refuse.
fn check_name(
    headers: &HeaderMap,
    method: Option<Method>,
    params: &Params<'_>,
) -> Result<(), InvalidRequest> {
    let subject = method.and_then(|method| params.subject(method)).and_then(Field::text);
    match subject {
        Some(subject) => headers::check_name(header_values(headers, headers::NAME), &subject)
            .map_err(InvalidRequest::Header),
        None => Ok(()),
    }
}

/// Whether a method belongs to older revisions only, or is one that servers send.
fn is_removed(method: Method) -> bool {
    matches!(
        method,
        Method::Initialize
            | Method::Ping
            | Method::LoggingSetLevel
            | Method::ResourcesSubscribe
            | Method::ResourcesUnsubscribe
            | Method::TasksList
            | Method::TasksResult
    ) || method.is_from_server()
}

fn header_values<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a [u8]> {
    headers.get_all(name).into_iter().map(http::HeaderValue::as_bytes)
}

/// Returns the error for a revision that is not supported.
pub(super) fn unsupported_version(id: Option<&Id>, requested: &str) -> Bytes {
    let error = format!(
        r#"{{"code":{},"message":"this address does not support the revision","data":{{"supported":["{}"],"requested":{}}}}}"#,
        codes::UNSUPPORTED_PROTOCOL_VERSION,
        Revision::V2026_07_28,
        build::string(requested)
    );
    build::error(id, &error)
}

// === impl InvalidRequest ===

impl InvalidRequest {
    fn code(&self) -> i32 {
        match self {
            Self::NotARequest => codes::INVALID_REQUEST,
            Self::Meta(_) | Self::Params(_) => codes::INVALID_PARAMS,
            Self::Header(_) => codes::HEADER_MISMATCH,
            Self::Version(_) => codes::UNSUPPORTED_PROTOCOL_VERSION,
            Self::UnknownMethod => codes::METHOD_NOT_FOUND,
        }
    }

    fn reason(&self) -> Refused {
        match self {
            Self::NotARequest | Self::Meta(_) | Self::Params(_) | Self::UnknownMethod => {
                Refused::Malformed
            }
            Self::Header(_) | Self::Version(_) => Refused::Revision,
        }
    }

    /// The hint for the client: where to look.
    fn hint(&self) -> &'static str {
        match self {
            Self::NotARequest => "send the request again, with the answer to the question in it",
            Self::Meta(_) => "each request carries its revision and capabilities in `_meta`",
            Self::Params(_) => "look at `params`",
            Self::Header(_) => "the headers must repeat what the body says",
            Self::Version(_) => "use a revision of `supported`",
            Self::UnknownMethod => "look at what server/discover lists",
        }
    }

    fn to_response(&self, id: Option<&Id>, request_id: &CorrelationId) -> HttpAnswer {
        let status = match self {
            Self::UnknownMethod => StatusCode::NOT_FOUND,
            _ => StatusCode::BAD_REQUEST,
        };
        match self {
            Self::Version(requested) => answer::json(status, unsupported_version(id, requested)),
            _ => Problem { status, code: self.code(), say: &self.to_string(), hint: self.hint() }
                .to_response(id, request_id),
        }
    }
}

impl std::fmt::Display for InvalidRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotARequest => f.write_str("only requests and notifications are accepted: answer a question of a server by sending its request again"),
            Self::Meta(member) => write!(f, "`_meta` must have a valid io.modelcontextprotocol/{member}"),
            Self::Params(problem) => f.write_str(problem),
            Self::Header(mismatch) => mismatch.fmt(f),
            Self::Version(requested) => write!(f, "this address does not support revision {requested:?}"),
            Self::UnknownMethod => write!(f, "{} has no such method", Revision::V2026_07_28),
        }
    }
}
