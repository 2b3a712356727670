//! A call as one HTTP exchange, driven by the task that waits for the answer.

mod collected;
#[cfg(test)]
mod tests;
mod verdict;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body::Body as _;
use http_body_util::Full;
use hyper::body::Incoming as HttpBody;
use mainstay_model::BudgetExceeded;
use mainstay_protocol::framing::sse::SseDecoder;
use mainstay_supervisor::backoff::Backoff;
use tokio::time::Sleep;

use self::collected::Collected;
use self::verdict::Suspicion;
use super::coding::{BodyDecoder, NotDecoded};
use super::connection::{Connection, Failed, Idle, ResponseFuture, poll_driven};
use super::events::is_event_stream;
use super::redirect::{HOPS_MAX, Redirect};
use super::refused::Head;
use super::retry::Retry;
use super::session::HttpSession;
use crate::intake::Intake;
use crate::link::Link;
use crate::request::{Fate, Incoming, Lost};
use crate::slot::Slot;
use crate::transport::OwnExchange;
use crate::turn::Turn;

/// A call under way at a remote server.
pub(crate) struct RemoteExchange {
    session: Arc<HttpSession>,
    state: State,
    /// The server has no sessions, no streams to take up again, and asks nothing.
    modern: bool,
    again: Again,
    /// The position at which a stream that the server closed can be resumed (2025-11-25).
    resume: Resume,
    intake: Intake,
    turn: Turn,
    has_yielded: bool,
}

/// What is needed to send the request once more, to where the server redirects it.
struct Again {
    body: Bytes,
    /// All headers, where they are not those of every request in the session.
    headers: Option<Box<HeaderMap>>,
    hops: u8,
}

type Connecting = Pin<Box<dyn Future<Output = Result<Box<Connection>, Failed>> + Send>>;

enum State {
    Ready(Request<Full<Bytes>>),
    Connecting(Connecting, Request<Full<Bytes>>),
    Sent(Box<Connection>, ResponseFuture),
    Reading(Box<Connection>, HttpBody, BodyReader),
    /// The request was refused, as if the session were gone.
    Suspecting(Box<Suspicion>),
    /// The server closed the stream and asked us to come back.
    Pausing(Pin<Box<Sleep>>),
    Done,
}

struct BodyReader {
    coding: Option<Box<BodyDecoder>>,
    kind: BodyKind,
}

enum BodyKind {
    Whole { head: Head, collected: Collected },
    Events(SseDecoder),
}

#[derive(Default)]
struct Resume {
    last_event_id: Option<String>,
    retry: Retry,
}

enum Step {
    Again,
    Yield(Incoming),
    Wait,
}

/// Wait before a closed stream is resumed, where the server named none.
const RETRY_DEFAULT: Duration = Duration::from_secs(1);
/// Shortest wait before a stream is resumed, whatever the server demands. It grows while no message
/// arrives.
const RETRY_MIN: Duration = Duration::from_millis(500);
const RETRY_MIN_MAX: Duration = Duration::from_secs(30);

// === impl RemoteExchange ===

impl RemoteExchange {
    /// An exchange that sends `request`, which has this `body`.
    pub(super) fn new(
        session: &Arc<HttpSession>,
        request: Request<Full<Bytes>>,
        body: Bytes,
        modern: bool,
    ) -> Self {
        // Headers of a modern request repeat parts of its body.
        let headers = modern.then(|| Box::new(request.headers().clone()));
        Self {
            session: session.clone(),
            state: State::Ready(request),
            modern,
            again: Again { body, headers, hops: 0 },
            resume: Resume::default(),
            intake: Intake::new(session.limits.budget),
            turn: Turn::default(),
            has_yielded: false,
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
                    let is_gone = failed.fate == Fate::Unsent;
                    if is_gone {
                        link.close(&failed.reason);
                    }
                    lost(failed.reason, failed.fate, is_gone)
                }
                Poll::Pending => {
                    self.state = State::Connecting(connecting, request);
                    Step::Wait
                }
            },
            State::Sent(mut connection, mut response) => {
                match poll_driven(&mut connection, cx, |cx| response.as_mut().poll(cx)) {
                    Poll::Ready(Ok(response)) => self.on_response(link, slot, connection, response),
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
            State::Suspecting(mut suspicion) => match suspicion.poll(cx) {
                Poll::Ready(incoming) => Step::Yield(incoming),
                Poll::Pending => {
                    self.state = State::Suspecting(suspicion);
                    Step::Wait
                }
            },
            State::Pausing(mut sleep) => {
                if sleep.as_mut().poll(cx).is_pending() {
                    self.state = State::Pausing(sleep);
                    return Step::Wait;
                }
                self.state = State::Ready(self.resumption());
                Step::Again
            }
            State::Done => Step::Wait,
        }
    }

    /// The request for the rest of a stream that the server closed.
    fn resumption(&self) -> Request<Full<Bytes>> {
        let mut request = self.session.request(Method::GET, Bytes::new());
        let last = self.resume.last_event_id.as_deref().unwrap_or_default();
        if let Ok(last) = http::HeaderValue::from_str(last) {
            request.headers_mut().insert("last-event-id", last);
        }
        request
    }

    /// The connection broke before the response began.
    fn on_failure(&mut self, failed: Failed) -> Step {
        if self.resume.last_event_id.is_some() {
            return self.pause();
        }
        self.broke_off(failed.reason, failed.fate)
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
        slot: &Slot,
        connection: Box<Connection>,
        response: Response<HttpBody>,
    ) -> Step {
        link.life().note_heard();
        let status = response.status();
        let retry_after = self.session.note_head(&response);
        if status.is_redirection() {
            let method = self.method();
            match self.session.redirect(&self.session.address(), &response, &method) {
                Redirect::None => {}
                Redirect::To(address) if self.again.hops < HOPS_MAX => {
                    return self.follow(address, connection, response);
                }
                Redirect::To(_) => {
                    let reason = format!("the server redirects more than {HOPS_MAX} times");
                    return self.on_refused(link, slot, refused(reason, status));
                }
                Redirect::Refused(reason) => {
                    return self.on_refused(link, slot, refused(reason, status));
                }
            }
        }
        self.session.note_status(status);
        if !self.modern {
            self.session.keep_session(response.headers());
        }
        let coding = match BodyDecoder::new(response.headers()) {
            Ok(coding) => coding.map(Box::new),
            Err(error) => return self.on_refused(link, slot, undecodable(&error, status)),
        };
        let is_stream = status == StatusCode::OK && is_event_stream(response.headers());
        // A stream that can't be resumed was cut for good.
        if self.resume.last_event_id.is_some() && !is_stream {
            let reason = format!(
                "the server closed the stream and answered HTTP {status} when asked for its rest"
            );
            return lost(reason, Fate::Unknown, link.is_closed());
        }
        let kind = if is_stream {
            BodyKind::Events(SseDecoder::new(self.session.message_bytes_max))
        } else {
            let head = Head { status, retry_after };
            BodyKind::Whole { head, collected: Collected::default() }
        };
        self.state = State::Reading(connection, response.into_body(), BodyReader { coding, kind });
        Step::Again
    }

    fn method(&self) -> Method {
        if self.resume.last_event_id.is_some() { Method::GET } else { Method::POST }
    }

    /// Sends the request again, to where the server redirects it.
    fn follow(
        &mut self,
        address: Uri,
        connection: Box<Connection>,
        response: Response<HttpBody>,
    ) -> Step {
        self.again.hops += 1;
        let (session, tasks) = (&self.session, &self.session.tasks);
        Idle::put_after(&session.idle, tasks, connection, response.into_body());
        let mut request = match self.method() {
            Method::GET => self.resumption(),
            _ => session.post(self.again.body.clone()),
        };
        if let Some(headers) = &self.again.headers {
            request.headers_mut().clone_from(headers);
        }
        *request.uri_mut() = address;
        self.state = State::Ready(request);
        Step::Again
    }

    fn read(
        &mut self,
        link: &Arc<Link>,
        slot: &Slot,
        (mut connection, mut body, mut reader): (Box<Connection>, HttpBody, BodyReader),
        cx: &mut Context<'_>,
    ) -> Step {
        if let BodyKind::Events(decoder) = &mut reader.kind {
            while let Some(event) = decoder.next_event() {
                let Ok(event) = event else { return self.oversized() };
                self.turn.add_message(0);
                if !self.modern {
                    self.resume.keep(event.id, event.retry);
                }
                let data = match self.intake.finish(event.data) {
                    Ok(data) => data,
                    Err(exceeded) => return over_budget(exceeded),
                };
                if let Some(incoming) = verdict::take_event(link, slot, &data) {
                    self.resume.retry.reward();
                    return match incoming {
                        Incoming::Answer(answer) => {
                            let session = &self.session;
                            Idle::put_after(&session.idle, &session.tasks, connection, body);
                            self.on_answer(link, slot, answer)
                        }
                        incoming => {
                            self.state = State::Reading(connection, body, reader);
                            Step::Yield(incoming)
                        }
                    };
                }
                if self.turn.is_over() {
                    self.state = State::Reading(connection, body, reader);
                    return Step::Again;
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
                link.life().note_heard();
                if let Ok(data) = frame.into_data()
                    && let Err(end) = self.take_data(data, &mut reader)
                {
                    return end;
                }
                if let BodyKind::Whole { head, collected } = &mut reader.kind
                    // A body of known length needs no wait for its end.
                    && body.is_end_stream()
                {
                    self.session.idle.put(connection);
                    let (head, body) = (*head, std::mem::take(collected).into_bytes());
                    return self.on_charged(link, slot, head, body);
                }
                self.state = State::Reading(connection, body, reader);
                Step::Again
            }
            Poll::Ready(Some(Err(error))) => match reader.kind {
                BodyKind::Events(_) if self.resume.last_event_id.is_some() => self.pause(),
                _ => {
                    let cause = super::connection::root_cause(&error);
                    self.broke_off(format!("the answer was cut off: {cause}"), Fate::Unknown)
                }
            },
            Poll::Ready(None) => {
                self.session.idle.put(connection);
                match reader.kind {
                    BodyKind::Events(_) if self.resume.last_event_id.is_some() => self.pause(),
                    BodyKind::Events(_) => {
                        let reason = "the server ended the stream without an answer";
                        let lost = Lost::new(reason, Fate::Unknown, false);
                        self.on_refused(link, slot, lost.with_status(StatusCode::OK))
                    }
                    BodyKind::Whole { head, collected } => {
                        self.on_charged(link, slot, head, collected.into_bytes())
                    }
                }
            }
        }
    }

    /// Adds a piece of the body.
    fn take_data(&mut self, data: Bytes, reader: &mut BodyReader) -> Result<(), Step> {
        let bytes_max = self.session.message_bytes_max;
        let data = match &mut reader.coding {
            None => data,
            Some(coding) => coding.decode(&data, bytes_max).map_err(|error| match error {
                NotDecoded::TooLarge => self.oversized(),
                error => Step::Yield(Incoming::Lost(undecodable(&error, StatusCode::OK))),
            })?,
        };
        match &mut reader.kind {
            BodyKind::Events(decoder) => {
                self.turn.add_parsed(data.len());
                decoder.push(&data);
                self.intake.note_held(decoder.held_bytes()).map_err(over_budget)?;
            }
            BodyKind::Whole { collected, .. } => {
                if collected.len() + data.len() > bytes_max {
                    return Err(self.oversized());
                }
                self.intake.note_held(collected.len() + data.len()).map_err(over_budget)?;
                self.turn.add_copied(data.len());
                collected.push(data);
            }
        }
        Ok(())
    }

    /// Handles a whole response, once there is room for it.
    fn on_charged(&mut self, link: &Arc<Link>, slot: &Slot, head: Head, body: Bytes) -> Step {
        match self.intake.finish(body) {
            Ok(body) => self.on_whole(link, slot, head, &body),
            Err(exceeded) => over_budget(exceeded),
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
            self.has_yielded = self.turn.poll_pass(cx).is_pending();
            if self.has_yielded {
                return Poll::Pending;
            }
            match self.step(link, slot, cx) {
                Step::Again => {}
                Step::Yield(incoming) => return Poll::Ready(incoming),
                Step::Wait => {
                    // Out of budget: the runtime's timers are not asked either.
                    self.has_yielded = !tokio::task::coop::has_budget_remaining();
                    self.turn.begin();
                    return Poll::Pending;
                }
            }
        }
    }

    fn has_yielded(&self) -> bool {
        self.has_yielded
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

// === helpers ===

fn lost(reason: impl Into<String>, fate: Fate, link_dead: bool) -> Step {
    Step::Yield(Incoming::Lost(Lost::new(reason, fate, link_dead)))
}

fn over_budget(exceeded: BudgetExceeded) -> Step {
    Step::Yield(Incoming::Lost(Lost::over_budget(exceeded)))
}

fn undecodable(error: &NotDecoded, status: StatusCode) -> Lost {
    Lost::new(error.to_string(), Fate::Unknown, false).with_status(status)
}

fn refused(reason: String, status: StatusCode) -> Lost {
    Lost::new(reason, Fate::Refused, false).with_status(status)
}
