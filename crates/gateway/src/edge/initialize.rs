//! `initialize`: opens a session.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;
use mainstay_protocol::{Message, build, codes};
use mainstay_telemetry::Outcome;

use super::admitted::Admitted;
use super::headers::SESSION;
use super::modern;
use crate::answer::{self, HttpAnswer};
use crate::caller::Caller;
use crate::endpoint::Endpoint;
use crate::gateway::Gateway;
use crate::session::Session;
use crate::sessions::open::{self, OpenError};

/// Handles `initialize`.
pub(super) async fn handle(
    admitted: &Admitted<'_>,
    endpoint: &Arc<Endpoint>,
    message: &Message,
) -> HttpAnswer {
    let (session, bytes) =
        open_session(admitted.gateway, endpoint, &admitted.caller, message).await;
    let mut answer = answer::message(bytes);
    let token = session.and_then(|session| HeaderValue::from_str(session.token.as_str()).ok());
    if let Some(token) = token {
        answer.headers_mut().insert(&SESSION, token);
    }
    answer
}

/// Carries out `initialize`. Returns the session, if one was opened, and the response.
pub(super) async fn open_session(
    gateway: &Arc<Gateway>,
    endpoint: &Arc<Endpoint>,
    caller: &Caller,
    message: &Message,
) -> (Option<Arc<Session>>, Bytes) {
    let begun = std::time::Instant::now();
    let id = message.id();
    let opened = if gateway.serving.is_draining() {
        Err(OpenError::Refused(gateway.serving.draining_refusal(&caller.request_id)))
    } else {
        open::open(&gateway.sessions, endpoint, caller, message).await
    };
    let metrics = gateway.serving.metrics.gateway();
    let (outcome, session, bytes) = match opened {
        Ok((session, result)) => {
            let result = std::str::from_utf8(&result).unwrap_or("{}");
            let bytes = id.as_ref().map(|id| build::result(id, result)).unwrap_or_default();
            (Outcome::Ok, Some(session), bytes)
        }
        Err(OpenError::NoLegacyServer(requested)) => {
            (Outcome::Error, None, modern::unsupported_version(id.as_ref(), &requested))
        }
        Err(OpenError::Invalid(say)) => {
            (Outcome::Error, None, build::failure(id.as_ref(), codes::INVALID_PARAMS, &say))
        }
        Err(OpenError::Refused(mut refusal)) => {
            refusal.data.request_id = Some(caller.request_id.to_string());
            metrics.failed(refusal.code.into());
            (Outcome::Refused, None, answer::refusal(id.as_ref(), &refusal))
        }
    };
    metrics.finished(mainstay_telemetry::Method::Initialize, outcome, begun.elapsed());
    (session, bytes)
}
