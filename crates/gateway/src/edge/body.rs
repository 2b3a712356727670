//! Reads request bodies whole, bounded in bytes and time.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use mainstay_model::budget::UNCHARGED_BYTES_MAX;
use mainstay_model::settings::Limits;
use mainstay_model::{Budget, BudgetExceeded, Charge, MemoryKind, Refusal, RefusalCode};
use mainstay_protocol::framing::Ends;
use mainstay_protocol::{build, depth, oversized};
use mainstay_telemetry::Refused;

use super::admitted::Admitted;
use super::headers::{is_json, text};
use super::refuse;
use crate::answer::{self, HttpAnswer};

/// Why a body could not be read.
enum ReadBodyError {
    TooLarge,
    Slow,
    Broken,
    /// The memory budget has no room for the body.
    OverBudget(BudgetExceeded),
}

/// A body that was refused, and what is known of it.
pub(super) struct RefusedBody {
    status: StatusCode,
    refusal: Refusal,
    /// The body was not read to its end, so the connection can't carry another request.
    closes: bool,
    /// The first and the last bytes, if the body was read to its end.
    ends: Ends,
}

/// The bytes of a body that arrives in several pieces, and what is charged for them.
struct Collected {
    /// The first piece, until there is a second. A body in one piece, as nearly all are, is not
    /// copied.
    first: Bytes,
    rest: Vec<u8>,
    charge: Charge,
    max: usize,
}

/// How much a body of unknown length grows at a time: as much as has arrived, within these bounds.
const GROWTH_MIN: usize = 16 << 10;
const GROWTH_MAX: usize = 1 << 20;

/// The longest body that is read only to learn which request is refused.
const SKIPPED_BYTES_MAX: u64 = 64 << 20;

/// Reads a body that can be a message: of the right type, whole, within its bounds.
pub(super) async fn read_json(
    admitted: &Admitted<'_>,
    body: &mut Option<Incoming>,
) -> Result<Bytes, HttpAnswer> {
    if let Some(refusal) = media_type_refusal(admitted) {
        return Err(refusal);
    }
    read_message(admitted, body).await.map_err(|refused| refused.into_answer())
}

/// Returns the refusal of a body that is not declared as JSON. None: it is.
pub(super) fn media_type_refusal(admitted: &Admitted<'_>) -> Option<HttpAnswer> {
    let headers = admitted.headers();
    if is_json(headers) {
        return None;
    }
    admitted.count_refusal(Refused::MediaType, text(headers, "content-type"));
    Some(refuse::NOT_JSON.to_response(None, &admitted.caller.request_id))
}

/// Reads a body whole, within its bounds. A body that is refused because of its announced length stays in
/// `body`.
pub(super) async fn read_message(
    admitted: &Admitted<'_>,
    body: &mut Option<Incoming>,
) -> Result<Bytes, Box<RefusedBody>> {
    let settings = admitted.gateway.serving.settings();
    let limits = &settings.limits;
    let budget = admitted.gateway.serving.budget;
    let body = match read_body(limits, admitted.headers(), body, budget).await {
        Ok(body) => body,
        Err(problem) => return Err(refused_body(&problem, admitted)),
    };
    let depth_max = limits.depth_max;
    if !depth::within_depth(&body, depth_max) {
        admitted.count_refusal(Refused::Depth, "");
        let refusal = Refusal::new(RefusalCode::LimitExceeded, "the message is nested too deeply")
            .limit(format!("max_depth: {depth_max}"));
        let mut refused = RefusedBody::new(StatusCode::BAD_REQUEST, refusal, admitted);
        refused.ends = Ends::of(&body);
        return Err(refused);
    }
    Ok(body)
}

/// Reads a body whole, bounded in bytes and time.
async fn read_body(
    limits: &Limits,
    headers: &HeaderMap,
    body: &mut Option<Incoming>,
    budget: Budget,
) -> Result<Bytes, ReadBodyError> {
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > limits.body_bytes_max) {
        return Err(ReadBodyError::TooLarge);
    }
    let collected = Collected::new(announced, limits.body_bytes_max, budget)?;
    let body = body.take().ok_or(ReadBodyError::Broken)?;
    let mut collecting = pin!(collected.read(body));
    // Most bodies arrive together with their heads, so no timer is started before the first poll.
    if let Some(body) = poll_twice(collecting.as_mut()).await {
        // Reading the body wakes the connection task, which polls this future once more anyway. Returning
        // here avoids one poll in vain.
        yield_once().await;
        return body;
    }
    tokio::time::timeout(limits.receive, collecting).await.map_err(|_| ReadBodyError::Slow)?
}

/// Yields to everything else that is ready, once.
async fn yield_once() {
    let mut again = true;
    poll_fn(|cx| {
        if std::mem::replace(&mut again, false) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(())
    })
    .await;
}

/// Polls a future at once, and again after everything else that is ready. None: it is still
/// pending.
async fn poll_twice<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    let mut again = true;
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if std::mem::replace(&mut again, false) => {
            cx.waker().wake_by_ref();
            Poll::Pending
        }
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

// === impl Collected ===

impl Collected {
    /// Reserves the memory for a body of known length, unless it is small.
    fn new(announced: Option<usize>, max: usize, budget: Budget) -> Result<Self, ReadBodyError> {
        let charge = budget.charge(MemoryKind::Bodies);
        if let Some(length) = announced.filter(|length| *length > UNCHARGED_BYTES_MAX) {
            charge.try_grow(length).map_err(ReadBodyError::OverBudget)?;
        }
        Ok(Self { first: Bytes::new(), rest: Vec::new(), charge, max })
    }

    /// Reads the frames of a body to its end.
    async fn read(mut self, mut body: Incoming) -> Result<Bytes, ReadBodyError> {
        // A body of known length that is complete needs no further poll.
        while !body.is_end_stream()
            && let Some(frame) = body.frame().await
        {
            let frame = frame.map_err(|_| ReadBodyError::Broken)?;
            if let Ok(data) = frame.into_data() {
                self.push(data)?;
            }
        }
        Ok(self.finish())
    }

    fn push(&mut self, data: Bytes) -> Result<(), ReadBodyError> {
        let length = self.first.len() + self.rest.len() + data.len();
        if length > self.max {
            return Err(ReadBodyError::TooLarge);
        }
        if length > UNCHARGED_BYTES_MAX && length > self.charge.bytes() {
            let room = length.saturating_add(length.clamp(GROWTH_MIN, GROWTH_MAX)).min(self.max);
            self.charge.resize(room).map_err(ReadBodyError::OverBudget)?;
        }
        if self.first.is_empty() && self.rest.is_empty() {
            self.first = data;
            return Ok(());
        }
        // The charge equals the allocated capacity.
        match self.charge.bytes() {
            0 => self.rest.reserve(length - self.rest.len()),
            charged => self.rest.reserve_exact(charged.max(length) - self.rest.len()),
        }
        if self.rest.is_empty() {
            self.rest.extend_from_slice(&std::mem::take(&mut self.first));
        }
        self.rest.extend_from_slice(&data);
        Ok(())
    }

    /// Returns the body, which stays charged until its last copy is gone.
    fn finish(self) -> Bytes {
        let body = if self.rest.is_empty() { self.first } else { self.rest.into() };
        if self.charge.bytes() == 0 { body } else { self.charge.hold(body) }
    }
}

// === impl RefusedBody ===

impl RefusedBody {
    fn new(status: StatusCode, mut refusal: Refusal, admitted: &Admitted<'_>) -> Box<Self> {
        refusal.data.request_id = Some(admitted.caller.request_id.to_string());
        Box::new(Self { status, refusal, closes: false, ends: Ends::default() })
    }

    pub(super) fn into_answer(self) -> HttpAnswer {
        let body = build::error(None, &self.refusal.to_json());
        let mut answer = answer::json(self.status, body);
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            let seconds = BudgetExceeded::RETRY_AFTER.as_secs();
            answer.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.closes {
            close_connection(&mut answer);
        }
        answer
    }

    /// Reads the rest of the body as far as it tells the id of the request that is refused: what is in
    /// between is dropped. Longer bodies than [`SKIPPED_BYTES_MAX`] are not read.
    pub(super) async fn read_ends(&mut self, rest: Option<Incoming>, limits: &Limits) {
        let Some(mut rest) = rest else { return };
        if rest.size_hint().upper().is_none_or(|length| length > SKIPPED_BYTES_MAX) {
            return;
        }
        let mut ends = Ends::default();
        let reading = async {
            while let Some(Ok(frame)) = rest.frame().await {
                ends.push(&frame.into_data().unwrap_or_default());
            }
            rest.is_end_stream()
        };
        let is_whole = tokio::time::timeout(limits.receive, reading).await.unwrap_or_default();
        if is_whole {
            (self.ends, self.closes) = (ends.close(), false);
        }
    }

    /// The answer to the request that the body was meant as, if its id can be told.
    pub(super) fn as_message(&self) -> Option<Bytes> {
        let id = oversized::asked_id(&self.ends)?;
        Some(answer::refusal(Some(&id), &self.refusal))
    }
}

fn refused_body(problem: &ReadBodyError, admitted: &Admitted<'_>) -> Box<RefusedBody> {
    let settings = admitted.gateway.serving.settings();
    let limits = &settings.limits;
    let (status, reason, say, limit) = match problem {
        ReadBodyError::OverBudget(exceeded) => {
            let refusal = exceeded.refusal();
            let limit = refusal.data.limit.as_deref().unwrap_or_default();
            admitted.count_refusal(Refused::Memory, limit);
            let status = match exceeded.is_alone {
                true => StatusCode::PAYLOAD_TOO_LARGE,
                false => StatusCode::SERVICE_UNAVAILABLE,
            };
            let mut refused = RefusedBody::new(status, refusal, admitted);
            refused.closes = true;
            return refused;
        }
        ReadBodyError::TooLarge => (
            StatusCode::PAYLOAD_TOO_LARGE,
            Refused::BodySize,
            "the request body is too large",
            format!("max_body: {} bytes", limits.body_bytes_max),
        ),
        ReadBodyError::Slow => (
            StatusCode::REQUEST_TIMEOUT,
            Refused::Slow,
            "the request body did not arrive in time",
            format!("receive_timeout: {:?}", limits.receive),
        ),
        ReadBodyError::Broken => (
            StatusCode::BAD_REQUEST,
            Refused::Malformed,
            "the request body was cut off",
            String::new(),
        ),
    };
    admitted.count_refusal(reason, &limit);
    let mut refusal = Refusal::new(RefusalCode::LimitExceeded, say);
    if !limit.is_empty() {
        refusal = refusal.limit(limit);
    }
    let mut refused = RefusedBody::new(status, refusal, admitted);
    refused.closes = true;
    refused
}

/// Marks the connection as closed after this response.
pub(super) fn close_connection(answer: &mut HttpAnswer) {
    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
}
