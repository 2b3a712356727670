//! Checks of the stack, made when they are asked for.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use mainstay_model::Name;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::problem::{AdminOnly, BadBody, Problem, Rejection, Standard};
use super::words;
use crate::context::Shared;
use crate::verify::Verification;
use crate::web::audited::Note;
use crate::web::read::JsonBody;

/// The time limit for all checks together that holds where none is asked for, in milliseconds.
pub const TIMEOUT_MS: u64 = 120_000;
/// The longest time limit that can be asked for.
pub const TIMEOUT_MS_MAX: u64 = 3_600_000;

/// The body of `verify`.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyRequest {
    /// Names of servers, services, externals and checks. Empty: everything is checked.
    #[serde(default)]
    pub names: Vec<String>,
    /// The time limit for all checks together, in milliseconds. Each has its own, too.
    #[serde(default = "timeout_ms")]
    #[schema(default = 120_000, minimum = 1, maximum = 3_600_000)]
    pub timeout_ms: u64,
}

/// What came of all checks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VerifyReport {
    /// Whether no check failed.
    pub passed: bool,
    /// How long all of them took together, in milliseconds.
    pub took_ms: u64,
    /// The checks that the configuration declares, whether or not they were made.
    pub declared: usize,
    /// First what is built in, by layers of the graph, then what is declared, in the order of the configuration.
    pub checks: Vec<CheckResult>,
}

/// What came of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckResult {
    /// The name of the check; for what is built in, that of the server, service or external.
    pub name: String,
    /// The server, service or external that it says something about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = words::name)]
    pub of: Option<Name>,
    /// `ready` for what is built in; `call`, `tools`, `http`, `tcp`, `command`, `redis` or `postgres` for what is
    /// declared.
    pub kind: String,
    pub outcome: CheckOutcome,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// What must be so, as a phrase.
    pub expected: String,
    /// What is so, as a sentence without its end: what came, what was different, or why it was not checked.
    /// Without secrets, and cut.
    pub found: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub hint: Option<String>,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum CheckOutcome {
    Passed,
    Failed,
    /// It was not made: what it is about was stopped by hand, or is held for that.
    Skipped,
}

// === impl CheckOutcome ===

impl CheckOutcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

// === impl VerifyReport ===

impl VerifyReport {
    /// How many checks ended so.
    pub fn count(&self, outcome: CheckOutcome) -> usize {
        self.checks.iter().filter(|check| check.outcome == outcome).count()
    }
}

fn timeout_ms() -> u64 {
    TIMEOUT_MS
}

pub(crate) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::default().routes(routes!(verify))
}

/// Checks the stack.
///
/// Servers must be ready and list their tools, services must be ready, and externals pass their probes; then
/// come the checks that the configuration declares. They are made at the same time. The answer is sent when all
/// have ended. Checks that fail are no error of the request: `passed` says whether any did.
#[utoipa::path(
    post,
    path = "/api/verify",
    tag = "actions",
    request_body(content = Option<VerifyRequest>, description = "May be left out."),
    responses(
        (status = 200, description = "What came of the checks.", body = VerifyReport),
        (status = 404, description = "Nothing has that name.", body = Problem),
        BadBody,
        AdminOnly,
        Standard,
    ),
    security(("token" = [])),
)]
async fn verify(State(admin): State<Shared>, JsonBody(asked): JsonBody<VerifyRequest>) -> Response {
    let VerifyRequest { names, timeout_ms } = asked;
    let note = Note::named("verify", (!names.is_empty()).then(|| names.join(", ")));
    if !(1..=TIMEOUT_MS_MAX).contains(&timeout_ms) {
        let error = format!("the time limit is not 1 to {TIMEOUT_MS_MAX} milliseconds");
        let rejection = Rejection::new(StatusCode::BAD_REQUEST, error).at("member `timeout_ms`");
        return note.on(rejection.into_response());
    }
    let timeout = Duration::from_millis(timeout_ms);
    let answer = match admin.verifier.verify(Verification { names, timeout }).await {
        Ok(report) => Json(report).into_response(),
        Err(unknown) => Rejection::new(StatusCode::NOT_FOUND, unknown.to_string())
            .at("member `names`")
            .names(unknown.names.into_iter())
            .into_response(),
    };
    note.on(answer)
}
