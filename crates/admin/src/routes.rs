//! From a request to its answer, without I/O.

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;
use mainstay_model::status::{DaemonStatus, Health};
use serde::Serialize;
use serde_json::json;

use crate::access::Access;
use crate::health;
use crate::source::Source;

#[cfg(test)]
mod tests;

/// The answer to a request for one of the addresses of this crate; none for any other address.
pub fn answer(
    source: &dyn Source,
    request: &Parts,
    access: Access,
) -> Option<Response<Full<Bytes>>> {
    let route = Route::of(request.uri.path())?;
    let response = if !matches!(request.method, Method::GET | Method::HEAD) {
        method_not_allowed()
    } else if access == Access::Open {
        route.answer(source, request.uri.query())
    } else if route == Route::Live {
        alive(source)
    } else {
        unauthorized()
    };
    Some(if request.method == Method::HEAD { without_body(response) } else { response })
}

/// The paths of this crate.
pub const PATHS: [&str; 9] = [
    "/health",
    "/health/ready",
    "/health/live",
    "/health/detailed",
    "/metrics",
    "/stats/pool",
    "/api/status",
    "/api/servers",
    "/api/sessions",
];

/// The addresses of this crate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    /// `/health` and `/health/ready`: may clients be sent here?
    Ready,
    Live,
    Detailed,
    Metrics,
    Pool,
    Status,
    Servers,
    Sessions,
}

// === impl Route ===

impl Route {
    fn of(path: &str) -> Option<Self> {
        Some(match path {
            "/health" | "/health/ready" => Self::Ready,
            "/health/live" => Self::Live,
            "/health/detailed" => Self::Detailed,
            "/metrics" => Self::Metrics,
            "/stats/pool" => Self::Pool,
            "/api/status" => Self::Status,
            "/api/servers" => Self::Servers,
            "/api/sessions" => Self::Sessions,
            _ => return None,
        })
    }

    fn answer(self, source: &dyn Source, query: Option<&str>) -> Response<Full<Bytes>> {
        match self {
            Self::Ready => ready(&source.status()),
            Self::Live => json(StatusCode::OK, &health::Body::of(&source.status())),
            Self::Detailed | Self::Status => json(StatusCode::OK, &source.status()),
            Self::Metrics => metrics(source),
            Self::Pool => pool(source, query),
            Self::Servers => json(StatusCode::OK, &json!({ "servers": source.status().servers })),
            Self::Sessions => json(StatusCode::OK, &source.status().sessions),
        }
    }
}

fn ready(status: &DaemonStatus) -> Response<Full<Bytes>> {
    let takes_clients = health::takes_clients(status.status);
    let code = if takes_clients { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    json(code, &health::Body::of(status))
}

/// What a stranger gets: that the process answers, and its one word.
fn alive(source: &dyn Source) -> Response<Full<Bytes>> {
    let status: Health = source.health();
    json(StatusCode::OK, &json!({ "status": status, "circuit_breakers": {} }))
}

fn metrics(source: &dyn Source) -> Response<Full<Bytes>> {
    let text = HeaderValue::from_static(mainstay_telemetry::metrics::CONTENT_TYPE);
    respond(StatusCode::OK, text, source.metrics().into())
}

fn pool(source: &dyn Source, query: Option<&str>) -> Response<Full<Bytes>> {
    // Names hold nothing that a URL would escape.
    let pairs = query.unwrap_or_default().split('&');
    let Some(server) = pairs.filter_map(|pair| pair.strip_prefix("server=")).next() else {
        return json(StatusCode::OK, &source.status().connection_pool);
    };
    match source.pool(server) {
        Some(pool) => json(StatusCode::OK, &pool),
        None => {
            let status = source.status();
            let names: Vec<_> = status.servers.iter().map(|server| &server.name).collect();
            json(StatusCode::NOT_FOUND, &json!({ "error": "no such server", "servers": names }))
        }
    }
}

fn method_not_allowed() -> Response<Full<Bytes>> {
    let body = json!({ "error": "this address can only be read" });
    let mut response = json(StatusCode::METHOD_NOT_ALLOWED, &body);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

fn unauthorized() -> Response<Full<Bytes>> {
    let body = json!({
        "error": "from another machine this address wants the daemon's token",
        "hint": "/health/live is open",
    });
    let mut response = json(StatusCode::UNAUTHORIZED, &body);
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

fn json(code: StatusCode, body: &impl Serialize) -> Response<Full<Bytes>> {
    let media = HeaderValue::from_static("application/json");
    let body = serde_json::to_vec(body).expect("the types of status have only text for keys");
    respond(code, media, body.into())
}

fn respond(code: StatusCode, media: HeaderValue, body: Bytes) -> Response<Full<Bytes>> {
    let length = HeaderValue::from(body.len());
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, media);
    headers.insert(CONTENT_LENGTH, length);
    // An old answer about health is a wrong one.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The same headers, the length of the body included, and no body.
fn without_body(mut response: Response<Full<Bytes>>) -> Response<Full<Bytes>> {
    *response.body_mut() = Full::default();
    response
}
