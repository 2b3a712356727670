//! Circuit breakers, and the action that closes them.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use mainstay_model::{Name, Need, NodeKind};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::actions::{ActionDone, carry_out};
use super::problem::{AdminOnly, BadBody, Forbidden, Problem, Standard};
use super::words;
use crate::access::Visitor;
use crate::action::Action;
use crate::context::Shared;
use crate::web::read::JsonBody;

/// All circuit breakers, in the order of the configuration: those of servers, then services and externals.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CircuitBreakers {
    pub breakers: Vec<CircuitBreaker>,
}

/// The circuit breaker of a server, service or external.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CircuitBreaker {
    /// What it belongs to.
    #[schema(schema_with = words::name)]
    pub name: Name,
    #[schema(schema_with = words::node_kind)]
    pub kind: NodeKind,
    /// `CLOSED`: calls pass. `HALF_OPEN`: one call passes as a trial. `OPEN`: calls are refused.
    #[schema(schema_with = words::breaker)]
    pub state: String,
    /// Since when it is in this state, as RFC 3339.
    pub since: String,
    /// Whether it can open.
    pub enabled: bool,
    /// Failures in a row, up to the newest result.
    pub failures: u32,
    /// It opens on this many failures in a row.
    pub failures_max: u32,
    /// Failures that counted since the daemon started.
    pub failures_total: u64,
    /// The time from its opening to the next trial, in milliseconds.
    pub recovery_ms: u64,
    /// The last failure. For the operator: with what the target said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub last_error: Option<String>,
    /// Milliseconds since the last failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub last_error_ago_ms: Option<u64>,
    /// Milliseconds until the next trial is possible, while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub next_trial_in_ms: Option<u64>,
    /// Whether a trial is under way.
    pub trial_under_way: bool,
}

/// Tools of a server that are refused at the moment, because something is down that they need.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RefusedTools {
    #[schema(schema_with = words::need)]
    pub need: Need,
    /// The state of the need; `breaker-open` or `breaker-half-open` if its circuit breaker is the reason.
    pub state: String,
    /// Since when it is down, as RFC 3339.
    pub since: String,
    /// What is wrong, as the rest of a sentence that names the need first.
    pub reason: String,
    /// Milliseconds until it is tried next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub retry_in_ms: Option<u64>,
    /// The patterns of the rules that name the need.
    pub patterns: Vec<String>,
    /// The tools that they match, by the server's own names, as far as its list is known.
    pub tools: Vec<String>,
}

/// The body of `reset-breaker`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ResetBreakerRequest {
    /// The server, service or external whose breaker is closed. Absent or null: all breakers.
    #[serde(default)]
    pub name: Option<String>,
    /// Changes nothing, and says what would be done.
    #[serde(default)]
    pub dry_run: bool,
}

pub(crate) fn read_routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::default().routes(routes!(breakers))
}

pub(crate) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::default().routes(routes!(reset_breaker))
}

/// Lists the circuit breakers.
///
/// With the `admin` token, and over the command socket, the last error has what the target said, too.
#[utoipa::path(
    get,
    path = "/api/breakers",
    tag = "status",
    responses((status = 200, description = "All breakers.", body = CircuitBreakers), Forbidden, Standard),
    security((), ("token" = [])),
)]
async fn breakers(State(admin): State<Shared>, visitor: Visitor) -> Json<CircuitBreakers> {
    Json(CircuitBreakers { breakers: admin.source.breakers(visitor.view()) })
}

/// Closes a circuit breaker, or all of them.
///
/// Calls pass again at once; if they fail, it opens again.
#[utoipa::path(
    post,
    path = "/api/actions/reset-breaker",
    tag = "actions",
    request_body = ResetBreakerRequest,
    responses(
        (status = 200, description = "It is closed.", body = ActionDone),
        (status = 404, description = "Nothing with a breaker has this name.", body = Problem),
        BadBody,
        AdminOnly,
        Standard,
    ),
    security(("token" = [])),
)]
async fn reset_breaker(
    State(admin): State<Shared>,
    JsonBody(asked): JsonBody<ResetBreakerRequest>,
) -> Response {
    let action = Action::ResetBreaker { name: asked.name };
    carry_out(&admin, action, asked.dry_run, StatusCode::OK).await
}
