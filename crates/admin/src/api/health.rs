//! Health for load balancers, service managers and people.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use mainstay_model::Name;
use mainstay_model::status::Health;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::problem::{Forbidden, Problem, Standard};
use super::status::DaemonStatus;
use super::words;
use crate::access::{Access, Visitor};
use crate::context::Shared;
use crate::health;
use crate::source::View;

/// The state of the daemon in one word, and what follows from it.
#[derive(Debug, Serialize, ToSchema)]
struct HealthReport {
    #[schema(schema_with = words::health)]
    status: Health,
    /// Names of breakers with `CLOSED`, `HALF_OPEN` or `OPEN`.
    circuit_breakers: BTreeMap<String, String>,
    /// Required servers and services that are not ready.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(schema_with = words::names, required = false)]
    waiting_for: Vec<Name>,
    /// The version of the daemon.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    version: Option<String>,
}

/// The state of the daemon for callers from elsewhere that have no token.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct BareHealth {
    #[schema(schema_with = words::health)]
    status: Health,
}

/// The report, or the state alone where strangers ask; with code 503 also why there is neither.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "only its schema is used")]
enum HealthAnswer {
    Report(HealthReport),
    Bare(BareHealth),
    Problem(Problem),
}

// === impl HealthReport ===

impl HealthReport {
    fn of(status: DaemonStatus) -> Self {
        let servers = status.servers.into_iter().map(|it| (it.name, it.required, it.state));
        let services = status.services.into_iter().map(|it| (it.name, it.required, it.state));
        let unready = servers.chain(services);
        let unready = unready.filter(|(_, required, state)| *required && !state.serves());
        Self {
            status: status.status,
            circuit_breakers: status.circuit_breakers,
            waiting_for: unready.map(|(name, ..)| name).collect(),
            version: Some(status.version),
        }
    }
}

/// Routes that anybody may ask, from anywhere.
pub(crate) fn open_routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::default().routes(routes!(overall)).routes(routes!(live))
}

pub(crate) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::default().routes(routes!(ready)).routes(routes!(detailed))
}

/// Says whether clients should be sent here.
///
/// From another machine without a token, the answer is the state alone.
#[utoipa::path(
    get,
    path = "/health",
    tag = "health",
    responses(
        (status = 200, description = "Clients are served.", body = HealthAnswer),
        (status = 503, description = "A required server or service is not ready, or the daemon is stopping; or too many requests.", body = HealthAnswer),
        Standard,
    ),
    security((), ("token" = [])),
)]
async fn overall(State(admin): State<Shared>, visitor: Visitor) -> Response {
    if visitor.access == Access::Bare {
        let status = admin.source.health();
        return (code(status), Json(BareHealth { status })).into_response();
    }
    readiness(&admin)
}

/// Says whether clients should be sent here.
#[utoipa::path(
    get,
    path = "/health/ready",
    tag = "health",
    responses(
        (status = 200, description = "Clients are served.", body = HealthReport),
        (status = 503, description = "A required server is not ready, or the daemon is stopping; or too many requests.", body = HealthAnswer),
        Forbidden,
        Standard,
    ),
    security((), ("token" = [])),
)]
async fn ready(State(admin): State<Shared>) -> Response {
    readiness(&admin)
}

/// Answers while the process works.
#[utoipa::path(
    get,
    path = "/health/live",
    tag = "health",
    responses(
        (status = 200, description = "The process works.", body = HealthReport),
        (status = 503, description = "Too many requests are being answered.", body = Problem),
        Standard,
    ),
    security((), ("token" = [])),
)]
async fn live(State(admin): State<Shared>, visitor: Visitor) -> Json<HealthReport> {
    if visitor.access == Access::Bare {
        let (status, circuit_breakers) = (admin.source.health(), BTreeMap::new());
        let waiting_for = Vec::new();
        return Json(HealthReport { status, circuit_breakers, waiting_for, version: None });
    }
    Json(HealthReport::of(admin.source.status(View::Open)))
}

/// Gives the whole status, always with code 200.
///
/// With the `admin` token, and over the command socket, it has command lines, addresses and output, too.
#[utoipa::path(
    get,
    path = "/health/detailed",
    tag = "health",
    responses((status = 200, description = "The whole status.", body = DaemonStatus), Forbidden, Standard),
    security((), ("token" = [])),
)]
async fn detailed(State(admin): State<Shared>, visitor: Visitor) -> Json<DaemonStatus> {
    Json(admin.source.status(visitor.view()))
}

fn readiness(admin: &Shared) -> Response {
    let report = HealthReport::of(admin.source.status(View::Open));
    (code(report.status), Json(report)).into_response()
}

fn code(health: Health) -> StatusCode {
    if health::takes_clients(health) { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}
