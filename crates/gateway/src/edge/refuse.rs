//! Responses to refused requests, and CORS headers.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use mainstay_protocol::{Malformed, build, codes, headers};
use mainstay_telemetry::{Refused, correlation};

use super::admit::Admitted;
use super::headers::text;
use crate::admission::gate::ForeignHeader;
use crate::answer::{self, HttpAnswer};

pub(super) fn malformed(problem: &Malformed, admitted: &Admitted<'_>) -> HttpAnswer {
    admitted.count_refusal(Refused::Malformed, &problem.to_string());
    answer::failure(StatusCode::BAD_REQUEST, problem.id(), problem.code(), &problem.to_string())
}

/// Returns the response for a `Host` or `Origin` that is not allowed. It reveals nothing about the
/// daemon.
pub(super) fn foreign_header(foreign: ForeignHeader, request: &Admitted<'_>) -> HttpAnswer {
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
    let value = text(headers, name);
    request.count_refusal(reason, value);
    let say = format!("{name} {value:?} is not allowed here; add it to {setting}");
    answer::failure(status, None, codes::INVALID_REQUEST, &say)
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
    let body = format!(
        r#"{{"error":{},"endpoints":[{}],"paths":[{}]}}"#,
        build::string(&format!("nothing is at {path}")),
        paths.join(","),
        others.join(",")
    );
    answer::json(StatusCode::NOT_FOUND, body.into())
}

/// Returns 405 with the methods that the path allows.
pub(super) fn method_not_allowed(allowed: &'static str, admitted: &Admitted<'_>) -> HttpAnswer {
    admitted.count_refusal(Refused::HttpMethod, admitted.parts.method.as_str());
    let mut answer = answer::empty(StatusCode::METHOD_NOT_ALLOWED);
    answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allowed));
    answer
}

/// Headers that a page may send. Headers that repeat arguments are added by request, since their
/// names aren't known beforehand.
const ALLOWED_HEADERS: [&str; 9] = [
    "authorization",
    "content-type",
    "accept",
    headers::SESSION_ID,
    headers::PROTOCOL_VERSION,
    headers::LAST_EVENT_ID,
    headers::METHOD,
    headers::NAME,
    correlation::HEADER,
];

pub(super) fn preflight(request: &HeaderMap) -> HttpAnswer {
    let mut answer = answer::empty(StatusCode::NO_CONTENT);
    let allowed = &mut answer.headers_mut();
    for (name, value) in [
        (header::ACCESS_CONTROL_ALLOW_METHODS, "POST, GET, DELETE, OPTIONS"),
        (header::ACCESS_CONTROL_MAX_AGE, "600"),
    ] {
        allowed.insert(name, HeaderValue::from_static(value));
    }
    let asked = text(request, "access-control-request-headers").to_ascii_lowercase();
    let mirrored = asked.split(',').map(str::trim).filter(|name| {
        name.starts_with(headers::PARAM_PREFIX) && HeaderName::try_from(*name).is_ok()
    });
    let names: Vec<_> = ALLOWED_HEADERS.into_iter().chain(mirrored).collect();
    if let Ok(names) = HeaderValue::from_str(&names.join(", ")) {
        allowed.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, names);
    }
    answer
}

/// Lets a page of an allowed origin read the response. Only origins that passed the gate get here.
pub(super) fn allow_origin(request: &HeaderMap, answer: &mut HttpAnswer) {
    let status = answer.status();
    if let Some(origin) = request.get(header::ORIGIN)
        && status != StatusCode::FORBIDDEN
        && status != StatusCode::MISDIRECTED_REQUEST
    {
        let headers = answer.headers_mut();
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(header::VARY, HeaderValue::from_static("origin"));
        let expose = HeaderValue::from_static("mcp-session-id, mcp-protocol-version");
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, expose);
    }
}
