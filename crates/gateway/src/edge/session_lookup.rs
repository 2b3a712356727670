//! Finds the session that an HTTP request names.

use std::sync::Arc;

use http::{HeaderValue, StatusCode, header};
use mainstay_model::Refusal;
use mainstay_protocol::{Id, Revision, codes};
use mainstay_telemetry::{CorrelationId, Refused};

use super::admitted::Admitted;
use super::headers::{REVISION, SESSION, SESSION_NOT_FOUND, text};
use super::refuse::Problem;
use crate::answer::{self, HttpAnswer};
use crate::endpoint::Endpoint;
use crate::session::Session;
use crate::sessions::restore::{self, LookupError};

const BAD_REVISION: Problem<'_> = Problem {
    status: StatusCode::BAD_REQUEST,
    code: codes::INVALID_REQUEST,
    say: "bad MCP-Protocol-Version: sessions use 2025-03-26, 2025-06-18 or 2025-11-25; send initialize",
    hint: "send the revision that the answer to initialize names",
};
const NO_SESSION_ID: Problem<'_> = Problem {
    status: StatusCode::BAD_REQUEST,
    code: codes::INVALID_REQUEST,
    say: "no Mcp-Session-Id: send initialize first, then repeat the Mcp-Session-Id of its response",
    hint: "send initialize first",
};
const SESSION_UNKNOWN: Problem<'_> = Problem {
    status: StatusCode::NOT_FOUND,
    code: SESSION_NOT_FOUND,
    say: "Session not found: it has ended, expired, or belongs to another address; send initialize",
    hint: "send initialize for a new session",
};

/// Why no session was found.
pub(super) enum NoSession {
    Invalid(Problem<'static>),
    /// The session may exist, but is not available now.
    Refused(Refusal),
}

/// Finds the session that a request names, if it belongs to this caller and endpoint. Waits only
/// where the session has to be restored.
pub(super) async fn find_session(
    admitted: &Admitted<'_>,
    endpoint: &Arc<Endpoint>,
) -> Result<Arc<Session>, NoSession> {
    let headers = admitted.headers();
    if let Some(revision) = headers.get(&REVISION) {
        let known = revision.to_str().ok().and_then(Revision::parse);
        if known.is_none_or(|known| known > Revision::LATEST_LEGACY) {
            admitted.count_refusal(Refused::Revision, text(headers, REVISION.as_str()));
            return Err(NoSession::Invalid(BAD_REVISION));
        }
    }
    let Some(token) = headers.get(&SESSION) else {
        admitted.count_refusal(Refused::UnknownSession, "none");
        return Err(NoSession::Invalid(NO_SESSION_ID));
    };
    let principal = &admitted.caller.principal;
    let found = match token.to_str() {
        Ok(token) => {
            restore::find_or_restore(&admitted.gateway.sessions, endpoint, principal, token).await
        }
        Err(_) => Err(LookupError::Unknown),
    };
    let reason = match found {
        Ok(session) => return Ok(session),
        Err(LookupError::TableFull(refusal)) => {
            admitted.count_refusal(Refused::SessionLimit, "");
            return Err(NoSession::Refused(refusal));
        }
        Err(LookupError::StoreUnavailable(refusal)) => {
            admitted.count_refusal(Refused::Store, "");
            return Err(NoSession::Refused(refusal));
        }
        Err(LookupError::Foreign) => Refused::ForeignSession,
        Err(LookupError::Unknown) => Refused::UnknownSession,
    };
    // Both cases get the same answer, so that a stranger learns nothing.
    admitted.count_refusal(reason, "");
    Err(NoSession::Invalid(SESSION_UNKNOWN))
}

// === impl NoSession ===

impl NoSession {
    pub(super) fn into_response(self, id: Option<&Id>, request_id: &CorrelationId) -> HttpAnswer {
        match self {
            Self::Invalid(problem) => problem.to_response(id, request_id),
            Self::Refused(mut refusal) => {
                refusal.data.request_id = Some(request_id.to_string());
                let body = answer::refusal(id, &refusal);
                if id.is_some() {
                    return answer::message(body);
                }
                let mut answer = answer::json(StatusCode::SERVICE_UNAVAILABLE, body);
                let seconds = refusal.data.retry_after_ms.unwrap_or(1000).div_ceil(1000);
                answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
                answer
            }
        }
    }
}
