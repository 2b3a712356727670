//! A call as one HTTP exchange, driven by the task that waits for the answer.

#[cfg(test)]
mod tests;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Method, Request, Response, StatusCode, header};
use http_body::Body as _;
use http_body_util::Full;
use hyper::body::Incoming as HttpBody;
use mainstay_protocol::framing::sse::SseDecoder;
use mainstay_protocol::tolerant::{self, Meant, Unusable};
use mainstay_protocol::{Era, Kind, Message, Scope};
use mainstay_supervisor::backoff::Backoff;
use mainstay_telemetry::Dropped;
use tokio::time::Sleep;

use super::connection::{Connection, Failed, Idle, ResponseFuture, poll_driven};
use super::retry::Retry;
use super::session::HttpSession;
use crate::link::Link;
use crate::request::{Fate, Incoming, Lost};
use crate::slot::Slot;
use crate::transport::OwnExchange;

/// A call under way at a remote server.
pub(crate) struct RemoteExchange {
    session: Arc<HttpSession>,
    state: State,
    /// The server has no sessions, no streams to take up again, and asks nothing.
    modern: bool,
    /// The position at which a stream that the server closed can be resumed (2025-11-25).
    resume: Resume,
}

type Connecting = Pin<Box<dyn Future<Output = Result<Box<Connection>, Failed>> + Send>>;

enum State {
    Ready(Request<Full<Bytes>>),
    Connecting(Connecting, Request<Full<Bytes>>),
    Sent(Box<Connection>, ResponseFuture),
    Reading(Box<Connection>, HttpBody, BodyReader),
    /// The server closed the stream and asked us to come back.
    Pausing(Pin<Box<Sleep>>),
    Done,
}

enum BodyReader {
    Whole { status: StatusCode, collected: Collected },
    Events(SseDecoder),
}

#[derive(Default)]
struct Resume {
    last_event_id: Option<String>,
    retry: Retry,
}

/// The bytes of a body; a body of one piece is not copied.
#[derive(Default)]
struct Collected {
    first: Bytes,
    rest: BytesMut,
}

enum Step {
    Again,
    Yield(Incoming),
    Wait,
}

/// Wait before a closed stream is resumed, where the server named none.
const RETRY_DEFAULT: Duration = Duration::from_secs(1);
/// Shortest wait before a retry, whatever the server demands. It grows while no event arrives.
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MIN_MAX: Duration = Duration::from_secs(2);

/// A longer text is a page, which may say anything.
const WORDS_BYTES_MAX: usize = 256;

// === impl RemoteExchange ===

impl RemoteExchange {
    pub(super) fn new(
        session: &Arc<HttpSession>,
        request: Request<Full<Bytes>>,
        modern: bool,
    ) -> Self {
        Self {
            session: session.clone(),
            state: State::Ready(request),
            modern,
            resume: Resume::default(),
        }
    }

    fn step(&mut self, link: &Arc<Link>, slot: &Slot, cx: &mut Context<'_>) -> Step {
        match std::mem::replace(&mut self.state, State::Done) {
            State::Ready(request) => {
                self.state = match self.session.idle.take() {
                    Some(mut connection) => {
                        let response = connection.send(request);
                        State::Sent(connection, response)
                    }
                    None => {
                        State::Connecting(Box::pin(self.session.idle.clone().connect()), request)
                    }
                };
                Step::Again
            }
            State::Connecting(mut connecting, request) => match connecting.as_mut().poll(cx) {
                Poll::Ready(Ok(mut connection)) => {
                    let response = connection.send(request);
                    self.state = State::Sent(connection, response);
                    Step::Again
                }
                Poll::Ready(Err(failed)) => {
                    link.close(&failed.reason);
                    lost(failed.reason, Fate::Unsent, true)
                }
                Poll::Pending => {
                    self.state = State::Connecting(connecting, request);
                    Step::Wait
                }
            },
            State::Sent(mut connection, mut response) => {
                match poll_driven(&mut connection, cx, |cx| response.as_mut().poll(cx)) {
                    Poll::Ready(Ok(response)) => self.on_response(link, connection, response),
                    Poll::Ready(Err(error)) => self.on_failure(error.into()),
                    Poll::Pending => {
                        self.state = State::Sent(connection, response);
                        Step::Wait
                    }
                }
            }
            State::Reading(connection, body, reader) => {
                self.read(link, slot, (connection, body, reader), cx)
            }
            State::Pausing(mut sleep) => {
                if sleep.as_mut().poll(cx).is_pending() {
                    self.state = State::Pausing(sleep);
                    return Step::Wait;
                }
                let mut request = self.session.request(Method::GET, Bytes::new());
                let last = self.resume.last_event_id.as_deref().unwrap_or_default();
                if let Ok(last) = http::HeaderValue::from_str(last) {
                    request.headers_mut().insert("last-event-id", last);
                }
                self.state = State::Ready(request);
                Step::Again
            }
            State::Done => Step::Wait,
        }
    }

    /// The connection broke before the response began.
    fn on_failure(&mut self, failed: Failed) -> Step {
        if self.resume.last_event_id.is_some() {
            return self.pause();
        }
        let fate = if failed.sent { Fate::Unknown } else { Fate::Unsent };
        self.broke_off(failed.reason, fate)
    }

    /// Reports a broken connection, and closes all idle ones: a server that cut one has often cut
    /// them all.
    fn broke_off(&self, reason: String, fate: Fate) -> Step {
        self.session.idle.clear();
        lost(reason, fate, false)
    }

    fn on_response(
        &mut self,
        link: &Arc<Link>,
        connection: Box<Connection>,
        response: Response<HttpBody>,
    ) -> Step {
        let status = response.status();
        self.session.note_status(status);
        if !self.modern {
            self.session.keep_session(response.headers());
        }
        let kind =
            response.headers().get(header::CONTENT_TYPE).map_or(&b""[..], |it| it.as_bytes());
        let reader = if status == StatusCode::OK && kind.starts_with(b"text/event-stream") {
            BodyReader::Events(SseDecoder::new(self.session.message_bytes_max))
        } else {
            BodyReader::Whole { status, collected: Collected::default() }
        };
        // A stream that can't be resumed was cut for good.
        if self.resume.last_event_id.is_some() && matches!(reader, BodyReader::Whole { .. }) {
            let reason = format!(
                "the server closed the stream and answered HTTP {status} when asked for its rest"
            );
            return lost(reason, Fate::Unknown, link.is_closed());
        }
        self.state = State::Reading(connection, response.into_body(), reader);
        Step::Again
    }

    fn read(
        &mut self,
        link: &Arc<Link>,
        slot: &Slot,
        (mut connection, mut body, mut reader): (Box<Connection>, HttpBody, BodyReader),
        cx: &mut Context<'_>,
    ) -> Step {
        if let BodyReader::Events(decoder) = &mut reader {
            while let Some(event) = decoder.next_event() {
                let Ok(event) = event else { return self.oversized() };
                if !self.modern {
                    self.resume.keep(event.id, event.retry);
                }
                if let Some(incoming) = take_event(link, slot, &event.data) {
                    self.resume.retry.reward();
                    if matches!(incoming, Incoming::Answer(_)) {
                        Idle::put_after(&self.session.idle, &self.session.tasks, connection, body);
                    } else {
                        self.state = State::Reading(connection, body, reader);
                    }
                    return Step::Yield(incoming);
                }
            }
            if decoder.is_overflowing() {
                return self.oversized();
            }
        }
        match poll_driven(&mut connection, cx, |cx| Pin::new(&mut body).poll_frame(cx)) {
            Poll::Pending => {
                self.state = State::Reading(connection, body, reader);
                Step::Wait
            }
            Poll::Ready(Some(Ok(frame))) => {
                let Ok(data) = frame.into_data() else {
                    self.state = State::Reading(connection, body, reader);
                    return Step::Again;
                };
                match &mut reader {
                    BodyReader::Events(decoder) => decoder.push(&data),
                    BodyReader::Whole { status, collected } => {
                        if collected.len() + data.len() > self.session.message_bytes_max {
                            return self.oversized();
                        }
                        collected.push(data);
                        // A body of known length needs no wait for its end.
                        if body.is_end_stream() {
                            self.session.idle.put(connection);
                            let collected = std::mem::take(collected).into_bytes();
                            return judge(link, &self.session, slot, *status, &collected);
                        }
                    }
                }
                self.state = State::Reading(connection, body, reader);
                Step::Again
            }
            Poll::Ready(Some(Err(error))) => match reader {
                BodyReader::Events(_) if self.resume.last_event_id.is_some() => self.pause(),
                _ => {
                    let cause = super::connection::root_cause(&error);
                    self.broke_off(format!("the answer broke off: {cause}"), Fate::Unknown)
                }
            },
            Poll::Ready(None) => {
                self.session.idle.put(connection);
                match reader {
                    BodyReader::Events(_) if self.resume.last_event_id.is_some() => self.pause(),
                    BodyReader::Events(_) => {
                        lost("the server ended the stream without an answer", Fate::Unknown, false)
                    }
                    BodyReader::Whole { status, collected } => {
                        judge(link, &self.session, slot, status, &collected.into_bytes())
                    }
                }
            }
        }
    }

    fn oversized(&self) -> Step {
        Step::Yield(Incoming::Lost(Lost::oversized(self.session.message_bytes_max)))
    }

    fn pause(&mut self) -> Step {
        let floor = Backoff::try_new(RETRY_MIN, RETRY_MIN_MAX).unwrap_or_default();
        let pause = self.resume.retry.next(floor, RETRY_DEFAULT);
        self.state = State::Pausing(Box::pin(tokio::time::sleep(pause)));
        Step::Again
    }
}

impl OwnExchange<Link> for RemoteExchange {
    fn poll_next(&mut self, link: &Arc<Link>, slot: &Slot, cx: &mut Context<'_>) -> Poll<Incoming> {
        loop {
            match self.step(link, slot, cx) {
                Step::Again => {}
                Step::Yield(incoming) => return Poll::Ready(incoming),
                Step::Wait => return Poll::Pending,
            }
        }
    }
}

impl std::fmt::Debug for RemoteExchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RemoteExchange")
    }
}

// === impl Resume ===

impl Resume {
    fn keep(&mut self, id: Option<String>, retry: Option<Duration>) {
        if let Some(id) = id {
            self.last_event_id = Some(id).filter(|id| !id.is_empty());
        }
        self.retry.asked = retry.or(self.retry.asked);
    }
}

// === impl Collected ===

impl Collected {
    fn len(&self) -> usize {
        self.first.len() + self.rest.len()
    }

    fn push(&mut self, data: Bytes) {
        if self.first.is_empty() && self.rest.is_empty() {
            self.first = data;
            return;
        }
        if self.rest.is_empty() {
            self.rest.extend_from_slice(&std::mem::take(&mut self.first));
        }
        self.rest.extend_from_slice(&data);
    }

    fn into_bytes(self) -> Bytes {
        if self.rest.is_empty() { self.first } else { self.rest.freeze() }
    }
}

// === helpers ===

fn lost(reason: impl Into<String>, fate: Fate, link_dead: bool) -> Step {
    Step::Yield(Incoming::Lost(Lost::new(reason, fate, link_dead)))
}

/// Handles a message on the exchange's own stream. It belongs to the call, whatever its id is.
fn take_event(link: &Arc<Link>, slot: &Slot, data: &Bytes) -> Option<Incoming> {
    if data.is_empty() {
        return None;
    }
    let message = match tolerant::read(data, link.depth_max()) {
        Ok(message) => message,
        Err(unusable) if unusable.is_batch() => {
            take_batch(link, slot, &unusable.parts(data));
            return None;
        }
        Err(unusable) => return take_unusable(link, data, &unusable),
    };
    take_message(link, slot, message)
}

fn take_message(link: &Arc<Link>, slot: &Slot, message: Message) -> Option<Incoming> {
    match message.kind() {
        Kind::Result | Kind::Error => return Some(Incoming::Answer(message)),
        Kind::Request if link.era() == Era::Modern => {
            link.listener().dropped(Dropped::Unasked);
        }
        Kind::Request if link.answer_ping(&message) => {}
        Kind::Request => return Some(Incoming::Question(message)),
        Kind::Notification => match message.scope() {
            Scope::Server => link.listener().notification(message),
            // A token of another call must not come out of this one, nor a mark of another listen.
            Scope::Progress(Some(id)) | Scope::Subscription(Some(id)) if id == slot.id => {
                return Some(Incoming::Notification(message));
            }
            Scope::Progress(_) | Scope::Subscription(_) => {
                link.listener().dropped(Dropped::Unasked);
            }
            Scope::Call => return Some(Incoming::Notification(message)),
        },
    }
    None
}

/// Handles the messages of a batch, which servers of 2025-03-26 may send. Those for the call go to its slot.
/// Returns whether one ends the call.
#[cold]
fn take_batch(link: &Arc<Link>, slot: &Slot, parts: &[Bytes]) -> bool {
    let mut ends = false;
    for part in parts {
        let incoming = match tolerant::read(part, link.depth_max()) {
            Ok(message) => take_message(link, slot, message),
            Err(unusable) => take_unusable(link, part, &unusable),
        };
        if let Some(incoming) = incoming.filter(|_| !ends) {
            ends = matches!(incoming, Incoming::Answer(_) | Incoming::Lost(_));
            if !slot.push(incoming) {
                link.listener().dropped(Dropped::SlowClient);
            }
        }
    }
    ends
}

/// Handles an event that is no message. One that was meant as an answer ends the call, whatever its id is.
#[cold]
fn take_unusable(link: &Arc<Link>, data: &Bytes, unusable: &Unusable) -> Option<Incoming> {
    match unusable.meant {
        Meant::NoAnswer => {
            link.listener().stray(data, &unusable.to_string());
            None
        }
        Meant::Answer(_) => {
            link.listener().unusable_answer(&unusable.to_string());
            Some(Incoming::Lost(Lost::unusable(unusable)))
        }
    }
}

/// A response that is no stream.
fn judge(
    link: &Arc<Link>,
    session: &HttpSession,
    slot: &Slot,
    status: StatusCode,
    body: &Bytes,
) -> Step {
    match tolerant::read(body, link.depth_max()) {
        Ok(message) if session_is_gone(session, status, &message) => return session_lost(link),
        Ok(message) if message.is_answer() => return Step::Yield(Incoming::Answer(message)),
        Ok(_) => {}
        Err(_) if !status.is_success() => {}
        Err(unusable) if unusable.is_batch() => {
            if take_batch(link, slot, &unusable.parts(body)) {
                // It is in the slot.
                return Step::Wait;
            }
        }
        Err(unusable) => {
            if let Some(lost) = take_unusable(link, body, &unusable) {
                return Step::Yield(lost);
            }
        }
    }
    // Some servers report it in plain text.
    let gone = match status {
        StatusCode::NOT_FOUND => true,
        StatusCode::BAD_REQUEST if body.len() <= WORDS_BYTES_MAX => {
            body.to_ascii_lowercase().windows(7).any(|word| word == b"session")
        }
        _ => false,
    };
    if gone && session.has_session() && session.is_settled() {
        return session_lost(link);
    }
    tracing::debug!(id = slot.id, %status, "unusable answer");
    let (fate, reason) = unusable(status);
    Step::Yield(Incoming::Lost(Lost::new(reason, fate, false).with_status(status)))
}

/// The fate of a request whose response has this status and no answer.
pub(super) fn unusable(status: StatusCode) -> (Fate, String) {
    let fate = match status.as_u16() {
        // The server has not taken it, and would not take it a second time either.
        400..=499 | 503 => Fate::Refused,
        _ => Fate::Unknown,
    };
    let reason = match status.as_u16() {
        401 | 403 => format!("the server refused Mainstay's credentials (HTTP {status})"),
        202 => "the server took the request and gave no answer".to_owned(),
        200 => "the server's answer is no JSON-RPC message".to_owned(),
        _ => format!("the server answered HTTP {status}"),
    };
    (fate, reason)
}

fn session_lost(link: &Arc<Link>) -> Step {
    let reason = "the server no longer knows our session";
    link.close(reason);
    lost(reason, Fate::Unsent, true)
}

/// Whether an error answer says that the session is gone. The specification demands 404; servers in
/// the field answer 400 with an error of their own.
fn session_is_gone(session: &HttpSession, status: StatusCode, message: &Message) -> bool {
    if message.kind() != Kind::Error || !session.has_session() || !session.is_settled() {
        return false;
    }
    let error = message.body().unwrap_or_default();
    match status {
        StatusCode::NOT_FOUND => true,
        StatusCode::BAD_REQUEST => {
            let error = error.to_ascii_lowercase();
            error.contains("session") || error.contains("not initialized")
        }
        _ => false,
    }
}
