//! Routes that need the `admin` token: nobody else gets to them, and each use is in the audit log.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use mainstay_store::{AuditEntry, AuditOutcome};
use mainstay_telemetry::events::AdminUsed;
use tokio::time::Instant;

use super::bounds::caught;
use crate::access::{Access, Peer, Shown, Visitor};
use crate::action::Action;
use crate::api::problem::Why;
use crate::context::Shared;

/// What an entry of the audit log says was asked for. A handler adds it to its answer; without one the entry
/// names method and path.
#[derive(Debug, Clone)]
pub(crate) struct Note {
    action: String,
    target: Option<String>,
}

// === impl Note ===

impl Note {
    pub(crate) fn action(action: &Action, dry_run: bool) -> Self {
        let name = action.name();
        let action_name = if dry_run { format!("{name} (dry run)") } else { name.to_owned() };
        Self { action: action_name, target: action.target() }
    }

    pub(crate) fn named(action: &str, target: Option<String>) -> Self {
        Self { action: action.to_owned(), target }
    }

    pub(crate) fn reading(what: &str) -> Self {
        Self { action: format!("read {what}"), target: None }
    }

    /// A refused use, with the number of those before it that have no entry.
    fn refused(asked: String, before: u64) -> Self {
        let action = match before {
            0 => asked,
            _ => format!("{asked} (and {before} times before)"),
        };
        Self { action, target: None }
    }

    pub(crate) fn on(self, mut answer: Response) -> Response {
        answer.extensions_mut().insert(self);
        answer
    }
}

/// Lets `admin` through, and records what came of it. Who goes away before the answer changes nothing of
/// that: what has begun goes on, within its deadline, and is recorded.
pub(crate) async fn admin_only(
    State(admin): State<Shared>,
    visitor: Visitor,
    request: Request,
    next: Next,
) -> Response {
    let asked = format!("{} {}", request.method(), request.uri().path());
    if let Err(problem) = visitor.require(Access::Admin) {
        // Whoever shows no token of ours could fill the log.
        if visitor.shown == Shown::Read
            && let Some(before) = admin.refusals.count(&asked, Instant::now())
        {
            let note = Note::refused(asked, before);
            record(&admin, entry(&visitor, note, AuditOutcome::Denied));
        }
        return problem.into_response();
    }
    let answering = tokio::spawn(async move {
        let answer = caught(next.run(request), &admin.metrics, &visitor.request_id).await;
        let mut answer = answer.unwrap_or_else(IntoResponse::into_response);
        let note = answer.extensions_mut().remove::<Note>();
        let note = note.unwrap_or(Note { action: asked, target: None });
        record(&admin, entry(&visitor, note, outcome(&answer)));
        answer
    });
    // Ends only with an answer: it is never aborted, and panics are caught inside.
    answering.await.unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}

/// Lets callers through who may read. A read with the `admin` token shows what others do not see, and is
/// recorded.
pub(crate) async fn readers(
    State(admin): State<Shared>,
    visitor: Visitor,
    request: Request,
    next: Next,
) -> Response {
    if let Err(problem) = visitor.require(Access::Read) {
        return problem.into_response();
    }
    let by_token = matches!(visitor.peer, Peer::Address(_)) && visitor.shown == Shown::Admin;
    let read = by_token.then(|| Note::reading(request.uri().path()));
    let answer = next.run(request).await;
    if let Some(note) = read {
        record(&admin, entry(&visitor, note, outcome(&answer)));
    }
    answer
}

/// Writes an entry to the audit log, and a line to the log.
fn record(admin: &Shared, entry: AuditEntry) {
    let outcome = match &entry.outcome {
        AuditOutcome::Done => "done",
        AuditOutcome::Denied => "denied",
        AuditOutcome::Failed(why) => why,
    };
    let (token, target) = (entry.token.as_deref(), entry.target.as_deref());
    let (peer, request_id, action) = (&entry.peer, &entry.request_id, &entry.action);
    AdminUsed { token, peer, request_id, action, target, outcome }.emit(&admin.metrics);
    admin.audit.record(entry);
}

fn outcome(answer: &Response) -> AuditOutcome {
    if answer.status().is_success() {
        return AuditOutcome::Done;
    }
    let why = answer.extensions().get::<Why>().map(|why| why.0.clone());
    AuditOutcome::Failed(why.unwrap_or_else(|| answer.status().to_string()))
}

fn entry(visitor: &Visitor, note: Note, outcome: AuditOutcome) -> AuditEntry {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let token = match (visitor.peer, visitor.shown) {
        (Peer::Socket(_), _) => None,
        (_, Shown::Admin) => Some("admin".to_owned()),
        (_, Shown::Read) => Some("read".to_owned()),
        (_, Shown::Nothing | Shown::Unknown) => None,
    };
    AuditEntry {
        at_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
        token,
        peer: visitor.peer.to_string(),
        request_id: visitor.request_id.to_string(),
        action: note.action,
        target: note.target,
        outcome,
    }
}
