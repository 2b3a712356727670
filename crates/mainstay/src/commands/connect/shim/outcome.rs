//! Error answers for requests that the daemon does not answer.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use mainstay_model::{Refusal, RefusalCode};
use mainstay_protocol::framing::lines::LineTooLong;
use mainstay_protocol::{Kind, Malformed, Message, build, codes};
use serde::Deserialize;

use super::effect::End;
use super::limits::RETRY_MAX;
use crate::output::format;

/// Most characters shown of an error page.
const SHOWN_CHARS_MAX: usize = 300;

pub(super) fn unknown() -> String {
    Refusal::new(
        RefusalCode::OutcomeUnknown,
        "the connection to the daemon was lost after the request was sent; it may have been \
         carried out",
    )
    .hint("check what the call has done before you repeat it")
    .to_json()
}

pub(super) fn unavailable(why: Option<&str>) -> String {
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    let message = format!("no Mainstay daemon can be reached{why}");
    Refusal::new(RefusalCode::ServerUnavailable, message)
        .retry_after(RETRY_MAX)
        .hint("`mainstay up` starts a daemon, `mainstay status` shows its state")
        .to_json()
}

pub(super) fn lost_again_and_again() -> String {
    Refusal::new(
        RefusalCode::ServerUnavailable,
        "the connection to the daemon was lost each time the request was sent",
    )
    .retry_after(RETRY_MAX)
    .to_json()
}

pub(super) fn too_many(max: usize) -> String {
    Refusal::new(RefusalCode::TooManyRequests, format!("Too many waiting requests (max: {max})"))
        .retry_after(RETRY_MAX)
        .limit(format!("waiting requests: {max}"))
        .to_json()
}

/// The answer to a line that is no valid message.
pub(super) fn malformed(problem: &Malformed) -> Bytes {
    build::failure(problem.id(), problem.code(), &problem.to_string())
}

pub(super) fn too_long(line: &LineTooLong) -> Bytes {
    let refusal = Refusal::new(RefusalCode::LimitExceeded, "the line is too long and was dropped")
        .limit(format!("line: {} MiB", line.max_bytes >> 20));
    build::error(None, &refusal.to_json())
}

/// The daemon's refusal, in its own words if it has any.
pub(super) fn refused(end: &End) -> String {
    let End::Refused { status, body } = end else { return unavailable(None) };
    if let Some(error) = answer_in(end).as_ref().and_then(Message::body) {
        return error.to_owned();
    }
    let text = match serde_json::from_slice::<Nowhere>(body) {
        Ok(Nowhere { error, endpoints }) if *status == StatusCode::NOT_FOUND => {
            format!("{error}; known endpoints: {}", endpoints.join(", "))
        }
        _ => page(*status, body),
    };
    if status.is_server_error() {
        return Refusal::new(RefusalCode::ServerUnavailable, text).retry_after(RETRY_MAX).to_json();
    }
    build::error_member(codes::INVALID_REQUEST, &text)
}

/// The JSON-RPC error in the body of a refusal.
pub(super) fn answer_in(end: &End) -> Option<Message> {
    let End::Refused { body, .. } = end else { return None };
    Message::parse(body.clone()).ok().filter(|message| message.kind() == Kind::Error)
}

/// Whether an error says that the daemon is stopping and did nothing.
pub(super) fn is_stopping(answer: &Message) -> bool {
    // The name is compared, because servers use error numbers of their own.
    read::<Named>(answer).is_some_and(|error| error.data.code == RefusalCode::Maintenance.name())
}

/// The wait that a refusal demands before a retry.
pub(super) fn retry_after(answer: &Message) -> Option<Duration> {
    let Name { code, retry_after_ms } = read::<Named>(answer)?.data;
    let is_ours = RefusalCode::ALL.into_iter().any(|of| of.name() == code);
    retry_after_ms.filter(|_| is_ours).map(Duration::from_millis)
}

/// The code of a JSON-RPC error.
pub(super) fn code(answer: &Message) -> Option<i32> {
    Some(read::<Numbered>(answer)?.code)
}

fn read<'a, T: Deserialize<'a>>(answer: &'a Message) -> Option<T> {
    let error = answer.body().filter(|_| answer.kind() == Kind::Error)?;
    serde_json::from_str(error).ok()
}

fn page(status: StatusCode, body: &[u8]) -> String {
    let shown: String = String::from_utf8_lossy(body).chars().take(SHOWN_CHARS_MAX).collect();
    let shown = format::harmless(shown.trim());
    let detail = if shown.is_empty() { String::new() } else { format!(": {shown}") };
    let remedy = match status {
        StatusCode::UNAUTHORIZED => " (give a token with --token-file or MAINSTAY_TOKEN)",
        _ => "",
    };
    format!("the daemon answered {status}{detail}{remedy}")
}

/// The body of a 404 for an unknown endpoint.
#[derive(Deserialize)]
struct Nowhere {
    error: String,
    endpoints: Vec<String>,
}

#[derive(Deserialize)]
struct Named {
    data: Name,
}

#[derive(Deserialize)]
struct Name {
    code: String,
    #[serde(default)]
    retry_after_ms: Option<u64>,
}

#[derive(Deserialize)]
struct Numbered {
    code: i32,
}
