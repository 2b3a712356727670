//! Responses to refused requests. Each says in JSON what was wrong, what helps, and under which id the
//! log has it.

use http::uri::Authority;
use http::{HeaderValue, StatusCode, header};
use mainstay_model::{Refusal, RefusalCode};
use mainstay_protocol::{Id, Malformed, build, codes};
use mainstay_telemetry::{CorrelationId, Refused};

use super::admitted::Admitted;
use super::headers::{SESSION_NOT_FOUND, text};
use crate::admission::gate::ForeignHeader;
use crate::admission::target::BadTarget;
use crate::answer::{self, HttpAnswer};

/// An HTTP request that is wrong as such: its status, the JSON-RPC code, the message, and what helps.
#[derive(Debug, Clone, Copy)]
pub(super) struct Problem<'a> {
    pub(super) status: StatusCode,
    pub(super) code: i32,
    pub(super) say: &'a str,
    pub(super) hint: &'a str,
}

/// A GET that accepts no stream of events.
pub(super) const NOT_ACCEPTABLE: Problem<'_> = Problem {
    status: StatusCode::NOT_ACCEPTABLE,
    code: codes::INVALID_REQUEST,
    say: "a GET here opens a stream: Accept must include text/event-stream",
    hint: "send `Accept: text/event-stream`",
};

/// A message for HTTP+SSE whose stream is not open.
pub(super) const NO_STREAM: Problem<'_> = Problem {
    status: StatusCode::NOT_FOUND,
    code: SESSION_NOT_FOUND,
    say: "Session not found: its stream has ended; open a new one with GET",
    hint: "open a new stream with GET and post to the address in its first event",
};

/// A body that is not declared as JSON.
pub(super) const NOT_JSON: Problem<'_> = Problem {
    status: StatusCode::UNSUPPORTED_MEDIA_TYPE,
    code: codes::INVALID_REQUEST,
    say: "Content-Type must be application/json",
    hint: "send `Content-Type: application/json`",
};

const MALFORMED_HINT: &str = "send one JSON-RPC 2.0 message as JSON in UTF-8";

// === impl Problem ===

impl Problem<'_> {
    pub(super) fn to_response(self, id: Option<&Id>, request_id: &CorrelationId) -> HttpAnswer {
        answer::json(self.status, build::error(id, &self.error(request_id)))
    }

    /// The JSON-RPC `error` member.
    fn error(&self, request_id: &CorrelationId) -> String {
        format!(
            r#"{{"code":{},"message":{},"data":{}}}"#,
            self.code,
            build::string(self.say),
            data(codes::name(self.code), self.hint, request_id)
        )
    }
}

fn data(code: &str, hint: &str, request_id: &CorrelationId) -> String {
    let (hint, request_id) = (build::string(hint), build::string(&request_id.to_string()));
    format!(r#"{{"code":"{code}","hint":{hint},"request_id":{request_id}}}"#)
}

pub(super) fn malformed(problem: &Malformed, admitted: &Admitted<'_>) -> HttpAnswer {
    let say = problem.to_string();
    admitted.count_refusal(Refused::Malformed, &say);
    let (status, code) = (StatusCode::BAD_REQUEST, problem.code());
    let hint = MALFORMED_HINT;
    Problem { status, code, say: &say, hint }.to_response(problem.id(), &admitted.caller.request_id)
}

/// Returns a refusal of the gateway to a request that no message was read of.
pub(super) fn refusal(
    status: StatusCode,
    mut refusal: Refusal,
    request_id: &CorrelationId,
) -> HttpAnswer {
    refusal.data.request_id = Some(request_id.to_string());
    answer::json(status, answer::refusal(None, &refusal))
}

/// Returns the response to a request that does not say clearly which host it is for, or which page
/// sends it (RFC 9112, section 3.2).
pub(super) fn bad_target(bad: BadTarget, request: &Admitted<'_>) -> HttpAnswer {
    let say = bad.to_string();
    request.count_refusal(Refused::Host, &say);
    let (status, code) = (StatusCode::BAD_REQUEST, codes::INVALID_REQUEST);
    let hint =
        "send one Host header, with the host and port of the address, and at most one Origin";
    Problem { status, code, say: &say, hint }.to_response(None, &request.caller.request_id)
}

/// Returns the response for a `Host` or `Origin` that is not allowed. It reveals nothing about the
/// daemon. `host` is the host that the request is for.
pub(super) fn foreign_header(
    foreign: ForeignHeader,
    host: &str,
    request: &Admitted<'_>,
) -> HttpAnswer {
    let headers = request.headers();
    let (status, reason, name, setting) = match foreign {
        ForeignHeader::Host => {
            (StatusCode::MISDIRECTED_REQUEST, Refused::Host, "host", "gateway.allowed_hosts")
        }
        ForeignHeader::ForwardedHost => {
            let is_listed = headers.contains_key("x-forwarded-host");
            let name = if is_listed { "x-forwarded-host" } else { "forwarded" };
            (StatusCode::MISDIRECTED_REQUEST, Refused::Host, name, "gateway.allowed_hosts")
        }
        ForeignHeader::Origin => {
            (StatusCode::FORBIDDEN, Refused::Origin, "origin", "gateway.allowed_origins")
        }
    };
    let value = if foreign == ForeignHeader::Host { host } else { text(headers, name) };
    request.count_refusal(reason, value);
    let say = format!("{name} {value:?} is not allowed here; add it to {setting}");
    let hint = how_to_allow(foreign, value);
    let refused = Refusal::new(RefusalCode::Forbidden, say).hint(hint);
    refusal(status, refused, &request.caller.request_id)
}

/// What to write so that the header is allowed.
fn how_to_allow(foreign: ForeignHeader, value: &str) -> String {
    let (key, value) = match foreign {
        ForeignHeader::Origin => ("allowed_origins", value),
        // Every port of the host, since proxies and containers change ports.
        ForeignHeader::Host => {
            let authority = value.parse::<Authority>().ok();
            return to_allow("allowed_hosts", authority.as_ref().map_or(value, Authority::host));
        }
        ForeignHeader::ForwardedHost => return "add it to gateway.allowed_hosts".to_owned(),
    };
    to_allow(key, value)
}

fn to_allow(key: &str, value: &str) -> String {
    format!(
        "if it is one of this daemon's own, write `{key} = [{}]` in [gateway] of its configuration, or \
         add it to that list, then `mainstay reload`",
        build::string(value)
    )
}

/// Returns 404 with the paths of all endpoints, as the transport of the address serves them.
pub(super) fn not_found(admitted: &Admitted<'_>, path: &str) -> HttpAnswer {
    admitted.count_refusal(Refused::Path, path);
    let Admitted { gateway, caller, .. } = admitted;
    let root = if caller.serves.http { "/mcp" } else { "/sse" };
    let topology = gateway.topology();
    let endpoints = topology.endpoints().iter();
    let mut paths: Vec<_> = endpoints
        .map(|endpoint| endpoint.path().replacen("/mcp", root, 1))
        .map(|own| build::string(&gateway.public_path(&own)))
        .collect();
    paths.sort();
    let others = gateway.non_mcp().map(|found| &*found.paths).unwrap_or_default();
    let others: Vec<_> = others.iter().map(|path| build::string(path)).collect();
    let hint = "MCP is at the paths in `endpoints`, everything else at those in `paths`";
    let body = format!(
        r#"{{"error":{},"endpoints":[{}],"paths":[{}],"data":{}}}"#,
        build::string(&format!("nothing is at {path}")),
        paths.join(","),
        others.join(","),
        data("NOT_FOUND", hint, &caller.request_id)
    );
    answer::json(StatusCode::NOT_FOUND, body.into())
}

/// Returns 405 with the methods that the path allows.
pub(super) fn method_not_allowed(allowed: &'static str, admitted: &Admitted<'_>) -> HttpAnswer {
    let method = admitted.parts.method.as_str();
    admitted.count_refusal(Refused::HttpMethod, method);
    let (say, hint) = (format!("{method} is not allowed here"), format!("allowed are {allowed}"));
    let (status, code) = (StatusCode::METHOD_NOT_ALLOWED, codes::INVALID_REQUEST);
    let problem = Problem { status, code, say: &say, hint: &hint };
    let mut answer = problem.to_response(None, &admitted.caller.request_id);
    answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    answer
}
