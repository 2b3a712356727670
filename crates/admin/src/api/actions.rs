//! Changes of the daemon, each at a path of its own.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use mainstay_model::Need;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::configuration::Reload;
use super::problem::{AdminOnly, BadBody, Problem, Rejection, Standard};
use super::words;
use crate::action::{Action, ActionError, Done, LogLevel};
use crate::context::Shared;
use crate::web::audited::Note;
use crate::web::read::JsonBody;

/// The beginning of the paths of all actions.
pub(crate) const BELOW: &str = "/api/actions/";

/// The body of `stop`.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StopRequest {
    /// Changes nothing, and says what would be done.
    #[serde(default)]
    pub dry_run: bool,
}

/// The body of `log-level`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LogLevelRequest {
    pub level: LogLevel,
    /// Changes nothing, and says what would be done.
    #[serde(default)]
    pub dry_run: bool,
}

/// The body of `refresh`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefreshRequest {
    /// The name of the server.
    pub server: String,
    /// Changes nothing, and says what would be done.
    #[serde(default)]
    pub dry_run: bool,
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

/// The body of `reload`.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReloadRequest {
    /// Changes nothing, and says what would be done.
    #[serde(default)]
    pub dry_run: bool,
}

/// What an action did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ActionDone {
    /// The last part of the action's path.
    pub action: String,
    /// Whether nothing was changed because only a description was asked for.
    pub dry_run: bool,
    /// What was done or would be done, as a sentence.
    pub message: String,
    /// Only where something stops: the calls in flight when it was asked, which may finish first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub calls: Option<usize>,
    /// Only where something stops: the longest wait for calls in flight, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub drain_timeout_ms: Option<u64>,
    /// Only for `stop-node` and `restart-node`: the calls that were in flight when the time was up, and were
    /// ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub cut_off: Option<usize>,
    /// Only for `stop-node` and `restart-node`: what depends on it, directly or through others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(schema_with = words::needs, required = false)]
    pub dependants: Vec<Need>,
    /// Only for `reload`: what changes, or would change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub reload: Option<Box<Reload>>,
}

// === impl ActionDone ===

impl ActionDone {
    fn new(action: &str, dry_run: bool, done: Done) -> Self {
        let timeout = done.drain.map(|drain| drain.timeout.as_millis());
        Self {
            action: action.to_owned(),
            dry_run,
            message: done.message,
            calls: done.drain.map(|drain| drain.calls),
            drain_timeout_ms: timeout.map(|ms| u64::try_from(ms).unwrap_or(u64::MAX)),
            cut_off: done.cut_off,
            dependants: done.dependants,
            reload: done.reload,
        }
    }
}

pub(crate) fn routes() -> OpenApiRouter<Shared> {
    let routes = OpenApiRouter::default().routes(routes!(log_level)).routes(routes!(refresh));
    routes.routes(routes!(reset_breaker)).routes(routes!(reload))
}

pub(crate) fn stop_routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::default().routes(routes!(stop))
}

/// Stops the daemon.
///
/// The daemon accepts no new work, lets calls in flight finish within `gateway.drain_timeout`, and ends with
/// all servers that it started. The answer is sent when that has begun.
#[utoipa::path(
    post,
    path = "/api/actions/stop",
    tag = "actions",
    request_body(content = Option<StopRequest>, description = "May be left out."),
    responses(
        (status = 200, description = "What would be done.", body = ActionDone),
        (status = 202, description = "The daemon is stopping.", body = ActionDone),
        BadBody,
        AdminOnly,
        Standard,
    ),
    security(("token" = [])),
)]
async fn stop(State(admin): State<Shared>, JsonBody(asked): JsonBody<StopRequest>) -> Response {
    let code = if asked.dry_run { StatusCode::OK } else { StatusCode::ACCEPTED };
    carry_out(&admin, Action::Stop, asked.dry_run, code).await
}

/// Changes the level of the log until the daemon ends.
#[utoipa::path(
    post,
    path = "/api/actions/log-level",
    tag = "actions",
    request_body = LogLevelRequest,
    responses(
        (status = 200, description = "The log level was changed.", body = ActionDone),
        (status = 409, description = "The log can't be changed.", body = Problem),
        BadBody,
        AdminOnly,
        Standard,
    ),
    security(("token" = [])),
)]
async fn log_level(
    State(admin): State<Shared>,
    JsonBody(asked): JsonBody<LogLevelRequest>,
) -> Response {
    carry_out(&admin, Action::SetLogLevel(asked.level), asked.dry_run, StatusCode::OK).await
}

/// Fetches the lists of a server again: tools, prompts and resources.
#[utoipa::path(
    post,
    path = "/api/actions/refresh",
    tag = "actions",
    request_body = RefreshRequest,
    responses(
        (status = 200, description = "The lists were fetched again.", body = ActionDone),
        (status = 404, description = "There is no such server.", body = Problem),
        (status = 409, description = "The server is not ready.", body = Problem),
        BadBody,
        AdminOnly,
        Standard,
    ),
    security(("token" = [])),
)]
async fn refresh(
    State(admin): State<Shared>,
    JsonBody(asked): JsonBody<RefreshRequest>,
) -> Response {
    let action = Action::Refresh { server: asked.server };
    carry_out(&admin, action, asked.dry_run, StatusCode::OK).await
}

/// Closes a circuit breaker, or all of them.
///
/// Calls pass again at once; if they fail, it opens again.
#[utoipa::path(
    post,
    path = "/api/actions/reset-breaker",
    tag = "actions",
    request_body(content = Option<ResetBreakerRequest>, description = "Without a name, or without a body, all are closed."),
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

/// Reads the configuration again, and changes what differs.
///
/// A server whose start changes gets a new instance, which is ready before the old one stops taking calls. Nothing
/// changes if the configuration is wrong. The answer is sent when the reload is under way, with its number;
/// `/api/configuration` says how it goes. With `dry_run` the answer has what would change, or what is wrong.
#[utoipa::path(
    post,
    path = "/api/actions/reload",
    tag = "actions",
    request_body(content = Option<ReloadRequest>, description = "May be left out."),
    responses(
        (status = 200, description = "What would be done.", body = ActionDone),
        (status = 202, description = "The reload is under way.", body = ActionDone),
        (status = 409, description = "It can't be read now.", body = Problem),
        BadBody,
        AdminOnly,
        Standard,
    ),
    security(("token" = [])),
)]
async fn reload(State(admin): State<Shared>, JsonBody(asked): JsonBody<ReloadRequest>) -> Response {
    let code = if asked.dry_run { StatusCode::OK } else { StatusCode::ACCEPTED };
    carry_out(&admin, Action::Reload, asked.dry_run, code).await
}

pub(super) async fn carry_out(
    admin: &Shared,
    action: Action,
    dry_run: bool,
    code: StatusCode,
) -> Response {
    let name = action.name();
    let note = Note::action(&action, dry_run);
    let answer = match admin.actions.carry_out(action, dry_run).await {
        Ok(done) => (code, Json(ActionDone::new(name, dry_run, done))).into_response(),
        Err(error) => problem(error).into_response(),
    };
    note.on(answer)
}

fn problem(error: ActionError) -> Rejection {
    let text = error.to_string();
    match error {
        ActionError::NoSuchServer { servers, .. } => {
            Rejection::no_such_server("member `server`", servers.into_iter())
        }
        ActionError::NoSuchNode { names, .. } | ActionError::NoSuchBreaker { names, .. } => {
            Rejection::new(StatusCode::NOT_FOUND, text).at("member `name`").names(names.into_iter())
        }
        ActionError::NotNow(_) => Rejection::new(StatusCode::CONFLICT, text)
            .hint("`mainstay status` says how it is; try again later"),
        ActionError::Impossible(_) => Rejection::new(StatusCode::CONFLICT, text),
    }
}
