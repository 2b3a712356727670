//! Status, servers, sessions and pools: what is read from [`Source`](crate::Source).

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::pools::PoolNumbers;
use super::problem::{BadRequest, Forbidden, Problem, Rejection, Standard};
use super::servers::Servers;
use super::sessions::Sessions;
use super::status::DaemonStatus;
use crate::context::Shared;
use crate::web::read;

/// Which pools count.
#[derive(Debug, Deserialize)]
struct Which {
    /// Only the pool of this server.
    server: Option<String>,
}

pub(crate) fn routes() -> OpenApiRouter<Shared> {
    let lists = OpenApiRouter::default().routes(routes!(status)).routes(routes!(servers));
    lists.routes(routes!(sessions)).routes(routes!(pool))
}

/// Gives the whole status of the daemon.
#[utoipa::path(
    get,
    path = "/api/status",
    tag = "status",
    responses((status = 200, description = "The whole status.", body = DaemonStatus), Forbidden, Standard),
    security((), ("token" = [])),
)]
async fn status(State(admin): State<Shared>) -> Json<DaemonStatus> {
    Json(admin.source.status())
}

/// Lists the servers and their instances.
#[utoipa::path(
    get,
    path = "/api/servers",
    tag = "status",
    responses((status = 200, description = "All servers.", body = Servers), Forbidden, Standard),
    security((), ("token" = [])),
)]
async fn servers(State(admin): State<Shared>) -> Json<Servers> {
    Json(Servers { servers: admin.source.status().servers })
}

/// Counts the sessions of clients.
#[utoipa::path(
    get,
    path = "/api/sessions",
    tag = "status",
    responses((status = 200, description = "The numbers of sessions.", body = Sessions), Forbidden, Standard),
    security((), ("token" = [])),
)]
async fn sessions(State(admin): State<Shared>) -> Json<Sessions> {
    Json(admin.source.status().sessions)
}

/// Sums the numbers of all pools, or gives those of one server.
#[utoipa::path(
    get,
    path = "/stats/pool",
    tag = "status",
    params(("server" = Option<String>, Query, description = "Only the pool of this server.")),
    responses(
        (status = 200, description = "The numbers.", body = PoolNumbers),
        (status = 404, description = "There is no such server.", body = Problem),
        BadRequest,
        Forbidden,
        Standard,
    ),
    security((), ("token" = [])),
)]
async fn pool(
    State(admin): State<Shared>,
    read::Query(which): read::Query<Which>,
) -> Result<Json<PoolNumbers>, Rejection> {
    let Some(server) = which.server else {
        return Ok(Json(admin.source.status().connection_pool));
    };
    match admin.source.pool(&server) {
        Some(pool) => Ok(Json(pool)),
        None => {
            let servers = admin.source.status().servers;
            let names = servers.iter().map(|server| server.name.to_string());
            Err(Rejection::no_such_server("query parameter `server`", names))
        }
    }
}
