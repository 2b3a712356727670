//! The audit log: who used the `admin` token, or the command socket in its place, for what.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use jiff::Timestamp;
use mainstay_store::{AuditEntry, AuditOutcome};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::problem::{AdminOnly, BadRequest, Rejection, Standard};
use crate::context::Shared;
use crate::web::audited::Note;
use crate::web::read;

/// The newest entries of the audit log.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AuditPage {
    /// Newest first.
    pub entries: Vec<AuditRecord>,
}

/// One use of the `admin` token, or of the command socket in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AuditRecord {
    /// When it was over, as RFC 3339.
    pub at: String,
    /// The name of the token that was shown: `admin` or `read`. Absent for the command socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub token: Option<String>,
    /// Where the request came from: an address, or `socket` with the user at its other end.
    pub peer: String,
    /// The id of the request, as it is in the log.
    pub request_id: String,
    /// The name of the action, or the method and path of what was read or refused. Of refused uses, at most
    /// one a minute is listed for each path; the next one tells how many are left out.
    pub action: String,
    /// What it was done to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub target: Option<String>,
    pub outcome: Outcome,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub why: Option<String>,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Done,
    /// The token that was shown was not enough.
    Denied,
    Failed,
}

/// How much of the log is wanted.
#[derive(Debug, Deserialize)]
struct HowMany {
    /// How many entries at most, as the caller wrote it.
    limit: Option<String>,
}

/// Entries that are given unless more are asked for.
const USUAL: usize = 100;
/// The most entries of one answer.
const MOST: usize = 1000;

// === impl HowMany ===

impl HowMany {
    fn limit(&self) -> Result<usize, Rejection> {
        let Some(text) = &self.limit else { return Ok(USUAL) };
        text.parse().ok().filter(|limit| (1..=MOST).contains(limit)).ok_or_else(|| {
            let error = format!("limit must be a number from 1 to {MOST}");
            let problem = Rejection::new(StatusCode::BAD_REQUEST, error);
            problem.at("query parameter `limit`").hint(format!("ask with `?limit={USUAL}`"))
        })
    }
}

// === impl AuditRecord ===

impl From<AuditEntry> for AuditRecord {
    fn from(entry: AuditEntry) -> Self {
        let at = i64::try_from(entry.at_ms).ok();
        let at = at.and_then(|at_ms| Timestamp::from_millisecond(at_ms).ok()).unwrap_or_default();
        let (outcome, why) = match entry.outcome {
            AuditOutcome::Done => (Outcome::Done, None),
            AuditOutcome::Denied => (Outcome::Denied, None),
            AuditOutcome::Failed(why) => (Outcome::Failed, Some(why)),
        };
        Self {
            at: format!("{at:.3}"),
            token: entry.token,
            peer: entry.peer,
            request_id: entry.request_id,
            action: entry.action,
            target: entry.target,
            outcome,
            why,
        }
    }
}

pub(crate) fn routes() -> OpenApiRouter<Shared> {
    OpenApiRouter::default().routes(routes!(audit))
}

/// Lists the newest uses of the `admin` token, and of the command socket in its place.
#[utoipa::path(
    get,
    path = "/api/audit",
    tag = "audit",
    params((
        "limit" = Option<u64>,
        Query,
        description = "How many entries at most.",
        minimum = 1,
        maximum = 1000,
    )),
    responses(
        (status = 200, description = "The newest entries, newest first.", body = AuditPage),
        BadRequest,
        AdminOnly,
        Standard,
    ),
    security(("token" = [])),
)]
async fn audit(State(admin): State<Shared>, read::Query(asked): read::Query<HowMany>) -> Response {
    let note = Note::reading("audit");
    let limit = match asked.limit() {
        Ok(limit) => limit,
        Err(problem) => return note.on(problem.into_response()),
    };
    let entries = admin.audit.recent(limit).await;
    let answer = match entries {
        Ok(entries) => {
            let entries = entries.into_iter().map(AuditRecord::from).collect();
            Json(AuditPage { entries }).into_response()
        }
        Err(error) => {
            let say = format!("the audit log can't be read: {error}");
            Rejection::new(StatusCode::SERVICE_UNAVAILABLE, say)
                .hint("look at the disk of the state folder, and try again")
                .into_response()
        }
    };
    note.on(answer)
}
