//! A checked request of 2026-07-28, and error responses to it.

use http::{HeaderMap, StatusCode};
use mainstay_model::Refusal;
use mainstay_protocol::capabilities::ClientCapabilities;
use mainstay_protocol::revision::Era;
use mainstay_protocol::{Id, Method};
use mainstay_session::LogLevel;
use mainstay_telemetry::CorrelationId;

use crate::answer::{self, HttpAnswer};
use crate::caller::{Accepts, Caller};

/// A request that has passed its checks.
#[derive(Debug)]
pub(crate) struct ModernRequest<'a> {
    pub(crate) id: Id,
    /// None: the method is unknown here.
    pub(crate) method: Option<Method>,
    pub(crate) capabilities: ClientCapabilities,
    /// None: no log messages are wanted.
    pub(crate) log_level: Option<LogLevel>,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) caller: &'a Caller,
    pub(crate) accepts: Accepts,
}

/// Returns a refusal of the gateway.
pub(crate) fn refusal_response(
    id: Option<&Id>,
    mut refusal: Refusal,
    request_id: &CorrelationId,
) -> HttpAnswer {
    refusal.data.request_id = Some(request_id.to_string());
    answer::message(answer::refusal(id, &refusal))
}

/// Returns a JSON-RPC error of the gateway, with the HTTP status of its code.
pub(crate) fn error_response(id: &Id, code: i32, say: &str) -> HttpAnswer {
    answer::failure(http_status(Some(code)), Some(id), code, say)
}

pub(crate) fn http_status(code: Option<i32>) -> StatusCode {
    let status = code.map_or(200, |code| Era::Modern.status_of(code));
    StatusCode::from_u16(status).unwrap_or(StatusCode::OK)
}
