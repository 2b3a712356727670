//! JSON-RPC batches, which only 2025-03-26 knows. Each message is handled as if it had come alone,
//! and the responses go back together.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::join_all;
use http::StatusCode;
use http_body_util::{BodyExt, Collected};
use mainstay_model::{MemoryKind, Refusal, RefusalCode};
use mainstay_protocol::{Kind, Malformed, Message, build, codes, envelope};
use mainstay_telemetry::Refused;

use super::admitted::Admitted;
use super::refuse;
use super::session_lookup::find_session;
use crate::answer::{self, HttpAnswer};
use crate::caller::Accepts;
use crate::endpoint::Endpoint;
use crate::pipeline;
use crate::session::Session;

/// Largest number of messages in a batch. Each may be a call, and all run at once.
const BATCH_MESSAGES_MAX: usize = 100;

pub(super) async fn handle(
    admitted: &Admitted<'_>,
    endpoint: &Arc<Endpoint>,
    body: &Bytes,
) -> HttpAnswer {
    let messages = match envelope::batch(body) {
        Ok(messages) => messages,
        Err(problem) => return refuse::malformed(&problem, admitted),
    };
    let session = match find_session(admitted, endpoint).await {
        Ok(session) => session,
        Err(missing) => return missing.into_response(None, &admitted.caller.request_id),
    };
    if !session.revision.rules().batches {
        return refuse::malformed(&Malformed::Batch, admitted);
    }
    if messages.len() > BATCH_MESSAGES_MAX {
        admitted.count_refusal(Refused::BodySize, "batch");
        let mut refusal =
            Refusal::new(RefusalCode::LimitExceeded, "the batch has too many messages")
                .limit(format!("messages: {BATCH_MESSAGES_MAX}"));
        refusal.data.request_id = Some(admitted.caller.request_id.to_string());
        return answer::json(StatusCode::BAD_REQUEST, build::error(None, &refusal.to_json()));
    }
    let each = messages.into_iter().map(|bytes| handle_one(admitted, (endpoint, &session), bytes));
    let answers = join_all(each).await;
    // No more than this, and each answer is dropped once it is copied.
    let mut out =
        Vec::with_capacity(answers.iter().map(|answer| answer.len() + 1).sum::<usize>() + 2);
    out.push(b'[');
    for answer in answers.into_iter().filter(|answer| !answer.is_empty()) {
        if out.len() > 1 {
            out.push(b',');
        }
        out.extend_from_slice(&answer);
    }
    if out.len() == 1 {
        return answer::accepted();
    }
    out.push(b']');
    answer::message(admitted.gateway.serving.budget.hold_over(MemoryKind::Answers, out.into()))
}

/// Returns the response to one message. Empty: there is none.
async fn handle_one(
    admitted: &Admitted<'_>,
    at: (&Arc<Endpoint>, &Arc<Session>),
    bytes: Bytes,
) -> Bytes {
    let message = match Message::parse(bytes) {
        Ok(message) => message,
        Err(problem) => {
            return build::failure(problem.id(), problem.code(), &problem.to_string());
        }
    };
    if message.kind() == Kind::Request && message.method() == "initialize" {
        let say = "initialize must not be part of a batch";
        return build::failure(message.id().as_ref(), codes::INVALID_REQUEST, say);
    }
    // One body carries all answers, so no message of the batch can be answered with a stream.
    let accepts = Accepts { event_stream: false };
    let (sessions, caller) = (&admitted.gateway.sessions, &admitted.caller);
    let answer = pipeline::handle_message(sessions, at, message, accepts, caller).await;
    // Reading fails only for bodies of the non-MCP service.
    answer.into_body().collect().await.map(Collected::to_bytes).unwrap_or_default()
}
