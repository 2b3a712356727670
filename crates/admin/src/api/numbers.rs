//! Status, servers, sessions and pools: what is read from [`Source`](crate::Source).

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::pools::PoolNumbers;
use super::problem::{BadRequest, Forbidden, Problem, Rejection, Standard};
use super::servers::Servers;
use super::sessions::{SessionList, Sessions};
use super::status::DaemonStatus;
use crate::access::Visitor;
use crate::context::Shared;
use crate::source::View;
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
///
/// With the `admin` token, and over the command socket, it has command lines, addresses and output, too.
#[utoipa::path(
    get,
    path = "/api/status",
    tag = "status",
    responses((status = 200, description = "The whole status.", body = DaemonStatus), Forbidden, Standard),
    security((), ("token" = [])),
)]
async fn status(State(admin): State<Shared>, visitor: Visitor) -> Json<DaemonStatus> {
    Json(admin.source.status(visitor.view()))
}

/// Lists the servers and their instances.
///
/// With the `admin` token, and over the command socket, it has command lines, addresses and output, too.
#[utoipa::path(
    get,
    path = "/api/servers",
    tag = "status",
    responses((status = 200, description = "All servers.", body = Servers), Forbidden, Standard),
    security((), ("token" = [])),
)]
async fn servers(State(admin): State<Shared>, visitor: Visitor) -> Json<Servers> {
    Json(Servers { servers: admin.source.status(visitor.view()).servers })
}

/// Counts and lists the sessions of clients.
#[utoipa::path(
    get,
    path = "/api/sessions",
    tag = "status",
    responses((status = 200, description = "All sessions.", body = SessionList), Forbidden, Standard),
    security((), ("token" = [])),
)]
async fn sessions(State(admin): State<Shared>) -> Json<SessionList> {
    let active_sessions = admin.source.sessions();
    // Sessions may have begun or ended since the list was made.
    let active = active_sessions.len();
    let Sessions { max, calls, listens, streams, unstored, .. } =
        admin.source.status(View::Open).sessions;
    Json(SessionList { active, max, calls, listens, streams, unstored, active_sessions })
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
        return Ok(Json(admin.source.status(View::Open).connection_pool.numbers()));
    };
    match admin.source.pool(&server) {
        Some(pool) => Ok(Json(pool)),
        None => {
            let servers = admin.source.status(View::Open).servers;
            let names = servers.iter().map(|server| server.name.to_string());
            Err(Rejection::no_such_server("query parameter `server`", names))
        }
    }
}
