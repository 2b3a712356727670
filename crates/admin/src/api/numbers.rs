//! Status, servers, services, the graph, sessions and pools: what is read from [`Source`](crate::Source).

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::breakers::CircuitBreakers;
use super::configuration::{AskedReload, Configuration};
use super::graph::Graph;
use super::pools::PoolNumbers;
use super::problem::{BadRequest, Forbidden, Problem, Rejection, Standard};
use super::servers::Servers;
use super::services::Services;
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

/// Which services are asked for.
#[derive(Debug, Deserialize)]
struct WhichServices {
    /// Only this one.
    name: Option<String>,
}

/// Which reload is asked for.
#[derive(Debug, Deserialize)]
struct WhichReload {
    /// Its number. None: the one that ended last.
    reload: Option<u64>,
}

pub(crate) fn routes() -> OpenApiRouter<Shared> {
    let lists = OpenApiRouter::default().routes(routes!(status)).routes(routes!(servers));
    let lists = lists.routes(routes!(services)).routes(routes!(graph));
    lists
        .routes(routes!(sessions))
        .routes(routes!(pool))
        .routes(routes!(breakers))
        .routes(routes!(configuration))
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

/// Lists the services, or gives one of them.
///
/// With the `admin` token, and over the command socket, it has command lines, whole reasons and output, too.
#[utoipa::path(
    get,
    path = "/api/services",
    tag = "status",
    params(("name" = Option<String>, Query, description = "Only this service.")),
    responses(
        (status = 200, description = "The services.", body = Services),
        (status = 404, description = "There is no such service.", body = Problem),
        BadRequest,
        Forbidden,
        Standard,
    ),
    security((), ("token" = [])),
)]
async fn services(
    State(admin): State<Shared>,
    visitor: Visitor,
    read::Query(which): read::Query<WhichServices>,
) -> Result<Json<Services>, Rejection> {
    let mut services = admin.source.services(visitor.view());
    let Some(name) = which.name else { return Ok(Json(Services { services })) };
    match services.iter().position(|service| service.name.as_str() == name) {
        Some(at) => Ok(Json(Services { services: vec![services.swap_remove(at)] })),
        None => {
            let names = services.iter().map(|service| service.name.to_string());
            let missing = Rejection::new(StatusCode::NOT_FOUND, "no such service");
            Err(missing.at("query parameter `name`").names(names))
        }
    }
}

/// Gives the dependency graph: what needs what, and who waits for whom.
///
/// With the `admin` token, and over the command socket, it has whole reasons and what probes found, too.
#[utoipa::path(
    get,
    path = "/api/graph",
    tag = "status",
    responses((status = 200, description = "The graph.", body = Graph), Forbidden, Standard),
    security((), ("token" = [])),
)]
async fn graph(State(admin): State<Shared>, visitor: Visitor) -> Json<Graph> {
    Json(admin.source.graph(visitor.view()))
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

/// Says when the configuration was read, and how the last reload went.
///
/// With the `admin` token, and over the command socket, it has reasons and what is wrong in the file, too.
#[utoipa::path(
    get,
    path = "/api/configuration",
    tag = "status",
    params((
        "reload" = Option<u64>,
        Query,
        description = "The number of a reload: `last` is that one, or null until it has ended. The daemon keeps \
                       the last 32.",
    )),
    responses(
        (status = 200, description = "The configuration in force.", body = Configuration),
        BadRequest,
        (status = 404, description = "There is no reload of this number (any more).", body = Problem),
        Forbidden,
        Standard,
    ),
    security((), ("token" = [])),
)]
async fn configuration(
    State(admin): State<Shared>,
    read::Query(asked): read::Query<WhichReload>,
    visitor: Visitor,
) -> Result<Json<Configuration>, Rejection> {
    let view = visitor.view();
    let configuration = admin.source.configuration(view);
    let Some(number) = asked.reload else { return Ok(Json(configuration)) };
    let last = match admin.source.reload(view, number) {
        AskedReload::Ended(report) => Some(*report),
        AskedReload::UnderWay => None,
        AskedReload::Unknown => {
            let error = format!("the daemon knows of no reload {number}");
            return Err(Rejection::new(StatusCode::NOT_FOUND, error)
                .at("query parameter `reload`")
                .hint("it keeps the last 32, and counts from 1 when it starts"));
        }
    };
    Ok(Json(Configuration { last, ..configuration }))
}
