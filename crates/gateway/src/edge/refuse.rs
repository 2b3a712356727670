//! Responses to refused requests, and CORS headers.

use http::{HeaderValue, StatusCode, header};
use mainstay_protocol::{Malformed, build, codes};
use mainstay_telemetry::Refused;

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
