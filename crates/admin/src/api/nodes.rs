//! Starts and stops servers and services, the nodes of the dependency graph that the daemon runs.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::actions::{ActionDone, carry_out};
use super::problem::{AdminOnly, BadBody, Problem, Standard};
use crate::action::Action;
use crate::context::Shared;
use crate::web::read::JsonBody;

/// The body of `start-node`, `stop-node` and `restart-node`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NodeRequest {
    /// The name of the server or service.
    pub name: String,
    /// Changes nothing, and says what would be done.
    #[serde(default)]
    pub dry_run: bool,
}

pub(crate) fn routes() -> OpenApiRouter<Shared> {
    let routes = OpenApiRouter::default().routes(routes!(start_node)).routes(routes!(stop_node));
    routes.routes(routes!(restart_node))
}

/// Starts a server or service.
///
/// One that was stopped by hand is no longer. One that waits for its next attempt is tried now. The answer is
/// sent when the start is under way, or waits for what it needs.
#[utoipa::path(
    post,
    path = "/api/actions/start-node",
    tag = "actions",
    request_body = NodeRequest,
    responses(
        (status = 200, description = "The start is under way.", body = ActionDone),
        (status = 404, description = "There is no such server or service.", body = Problem),
        (status = 409, description = "It can't be started.", body = Problem),
        BadBody,
        AdminOnly,
        Standard,
    ),
    security(("token" = [])),
)]
async fn start_node(
    State(admin): State<Shared>,
    JsonBody(asked): JsonBody<NodeRequest>,
) -> Response {
    let action = Action::StartNode { name: asked.name };
    carry_out(&admin, action, asked.dry_run, StatusCode::OK).await
}

/// Stops a server or service until it is started by hand.
///
/// It accepts no new calls, and calls in flight finish within `gateway.drain_timeout`; those that have not are
/// ended. What depends on it is held. It stays stopped when the daemon is restarted. The answer is sent when it
/// has stopped.
#[utoipa::path(
    post,
    path = "/api/actions/stop-node",
    tag = "actions",
    request_body = NodeRequest,
    responses(
        (status = 200, description = "It has stopped.", body = ActionDone),
        (status = 404, description = "There is no such server or service.", body = Problem),
        (status = 409, description = "It can't be stopped.", body = Problem),
        BadBody,
        AdminOnly,
        Standard,
    ),
    security(("token" = [])),
)]
async fn stop_node(
    State(admin): State<Shared>,
    JsonBody(asked): JsonBody<NodeRequest>,
) -> Response {
    let action = Action::StopNode { name: asked.name };
    carry_out(&admin, action, asked.dry_run, StatusCode::OK).await
}

/// Stops a server or service, as `stop-node` does, and starts it again.
///
/// The answer is sent when the start is under way.
#[utoipa::path(
    post,
    path = "/api/actions/restart-node",
    tag = "actions",
    request_body = NodeRequest,
    responses(
        (status = 200, description = "It has stopped, and the start is under way.", body = ActionDone),
        (status = 404, description = "There is no such server or service.", body = Problem),
        (status = 409, description = "It can't be restarted.", body = Problem),
        BadBody,
        AdminOnly,
        Standard,
    ),
    security(("token" = [])),
)]
async fn restart_node(
    State(admin): State<Shared>,
    JsonBody(asked): JsonBody<NodeRequest>,
) -> Response {
    let action = Action::RestartNode { name: asked.name };
    carry_out(&admin, action, asked.dry_run, StatusCode::OK).await
}
