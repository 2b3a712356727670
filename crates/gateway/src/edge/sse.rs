//! HTTP+SSE of 2024-11-05: a GET opens the one stream that carries everything to the client, and
//! its first event names the path to POST to.
//!
//! The stream is the session: when it is cut, the session ends, because this transport can't resume
//! it.
//!
//! A request that is refused by its body is answered on the stream, too, if its id can be told: some
//! clients take a refused POST for the end of the connection, and none gets an answer otherwise.

use std::sync::{Arc, OnceLock};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::BytesMut;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use mainstay_model::{MemoryKind, Refusal, RefusalCode};
use mainstay_protocol::framing::sse;
use mainstay_protocol::{Id, Kind, Message, build, codes};
use mainstay_telemetry::{Refused, StreamKind};
use tokio::sync::Semaphore;
use tracing::Instrument;

use super::admitted::Admitted;
use super::body;
use super::cors;
use super::headers::{accepts_event_stream, text};
use super::initialize::open_session;
use super::{refuse, uninitialized};
use crate::answer::body::Body;
use crate::answer::{self, HttpAnswer};
use crate::caller::{Accepts, Caller};
use crate::endpoint::Endpoint;
use crate::gateway::Gateway;
use crate::pipeline;
use crate::sse_streams::SseStream;
use crate::stream::open_stream::OpenStreamGuard;
use crate::stream::{EventStream, event};

/// Path to which clients post messages.
pub(crate) const MESSAGES_PATH: &str = "/messages";

/// Largest number of requests of one client that are answered at once. Messages are accepted before
/// they are answered, so the connection does not bound them; past this number the next one waits.
const REQUESTS_MAX: usize = 256;

/// Memory that a request takes until it is answered, in addition to its own bytes.
const REQUEST_BYTES: usize = 4 << 10;

const ACCEPTS: Accepts = Accepts { event_stream: true };

/// Ends the session when the body of its stream is dropped.
struct SseStreamGuard {
    gateway: Arc<Gateway>,
    id: String,
}

/// Handles a request for the path that opens a stream.
pub(super) fn handle_stream(admitted: &Admitted<'_>, endpoint: &Arc<Endpoint>) -> HttpAnswer {
    let headers = admitted.headers();
    match admitted.parts.method {
        Method::GET => {}
        Method::OPTIONS => return cors::preflight(headers),
        // Clients of later revisions try a POST first. 405 tells them to use GET.
        _ => return refuse::method_not_allowed("GET, OPTIONS", admitted),
    }
    if !accepts_event_stream(headers) {
        admitted.count_refusal(Refused::MediaType, text(headers, "accept"));
        return refuse::NOT_ACCEPTABLE.to_response(None, &admitted.caller.request_id);
    }
    match open(admitted, endpoint) {
        Ok(answer) => answer,
        Err(refusal) => {
            if refusal.code == RefusalCode::SessionLimit {
                admitted.gateway.serving.metrics.stream_refused(StreamKind::Sse);
            }
            admitted.count_refusal(Refused::SessionLimit, "");
            refuse::refusal(StatusCode::SERVICE_UNAVAILABLE, refusal, &admitted.caller.request_id)
        }
    }
}

fn open(admitted: &Admitted<'_>, endpoint: &Arc<Endpoint>) -> Result<HttpAnswer, Refusal> {
    let Admitted { gateway, caller, prefix, .. } = admitted;
    if gateway.serving.is_draining() {
        return Err(Refusal::new(RefusalCode::Maintenance, "the daemon is stopping"));
    }
    let mut random = [0; 24];
    getrandom::fill(&mut random).map_err(|_| {
        Refusal::new(RefusalCode::Internal, "the system gave no random bytes for a session id")
    })?;
    let id = URL_SAFE_NO_PAD.encode(random);
    let stream = Arc::new(EventStream::plain(gateway.serving.budget));
    let mut first = BytesMut::new();
    let address = format!("{}?sessionId={id}", messages_path(gateway, prefix.as_deref()));
    sse::encode_event(Some("endpoint"), None, address.as_bytes(), &mut first);
    stream.push(first.freeze());
    let sse_stream = SseStream {
        endpoint: endpoint.id,
        principal: caller.principal.clone(),
        stream: stream.clone(),
        session: OnceLock::new(),
        request_slots: Arc::new(Semaphore::new(REQUESTS_MAX)),
    };
    gateway.sse_streams.insert(&id, sse_stream, gateway.sessions_max())?;
    let at = &endpoint.state.streams;
    let serving = &gateway.serving;
    stream.set_open_guard(OpenStreamGuard::open(serving, at, StreamKind::Sse, &caller.request_id));
    let guard = SseStreamGuard { gateway: Arc::clone(gateway), id };
    Ok(answer::events_until(stream, Box::new(guard)))
}

/// Returns the path that clients post to, as they reach it through a proxy in front. The configured
/// public URL counts before what the proxy says.
fn messages_path(gateway: &Gateway, prefix: Option<&str>) -> String {
    match (&gateway.serving.settings().public_url, prefix) {
        (None, Some(prefix)) => format!("{prefix}{MESSAGES_PATH}"),
        _ => gateway.public_path(MESSAGES_PATH),
    }
}

/// Accepts a message of a client at once. The response comes on the client's stream.
pub(super) async fn handle_message(
    admitted: &Admitted<'_>,
    body: &mut Option<Incoming>,
) -> HttpAnswer {
    let Admitted { gateway, parts, caller, .. } = admitted;
    match parts.method {
        Method::POST => {}
        Method::OPTIONS => return cors::preflight(&parts.headers),
        _ => return refuse::method_not_allowed("POST, OPTIONS", admitted),
    }
    let id = parts
        .uri
        .query()
        .and_then(|query| query.split('&').find_map(|pair| pair.strip_prefix("sessionId=")));
    let sse_stream = id
        .and_then(|id| gateway.sse_streams.get(id))
        .filter(|sse_stream| sse_stream.principal == caller.principal);
    let Some(sse_stream) = sse_stream else {
        return no_stream(admitted);
    };
    // The removal of an endpoint also ends its streams, soon after this.
    let Some(endpoint) = gateway.directory.endpoint(sse_stream.endpoint) else {
        return no_stream(admitted);
    };
    if let Some(refusal) = body::media_type_refusal(admitted) {
        return refusal;
    }
    let settings = gateway.serving.settings();
    let limits = &settings.limits;
    let body = match body::read_message(admitted, body).await {
        Ok(body) => body,
        Err(mut refused) => {
            refused.read_ends(body.take(), limits).await;
            let Some(answer) = refused.as_message() else { return refused.into_answer() };
            sse_stream.stream.push(event(&answer));
            return answer::accepted();
        }
    };
    let message = match Message::parse(body) {
        Ok(message) => message,
        Err(problem) => return refuse::malformed(&problem, admitted),
    };
    let is_request = message.kind() == Kind::Request;
    let starts = is_request && message.method() == "initialize";
    let session = sse_stream.session.get().cloned();
    match session {
        // Calls that wait for an answer or a cancellation may occupy all slots, so these messages take
        // none.
        Some(session) if !is_request => {
            pipeline::handle_message(
                &gateway.sessions,
                (&endpoint, &session),
                message,
                ACCEPTS,
                caller,
            )
            .await;
        }
        // Notifications and answers to questions need a session that they belong to.
        None if !is_request => {}
        session => {
            let Ok(slot) = sse_stream.request_slots.clone().acquire_owned().await else {
                return answer::accepted();
            };
            // The response comes later, so the connection does not bound what waits here.
            let waiting = message.bytes().len() + REQUEST_BYTES;
            let charge = match gateway.serving.budget.take(MemoryKind::Bodies, waiting) {
                Ok(charge) => charge,
                Err(exceeded) => {
                    let refusal = exceeded.refusal();
                    let limit = refusal.data.limit.as_deref().unwrap_or_default();
                    admitted.count_refusal(Refused::Memory, limit);
                    let answer = answer::refusal(message.id().as_ref(), &refusal);
                    sse_stream.stream.push(event(&answer));
                    return answer::accepted();
                }
            };
            let (of, caller) = (Arc::clone(gateway), caller.clone());
            let forwards = gateway.serving.begin_forward();
            let answered = async move {
                match session {
                    Some(session) if sse_stream.stream.is_open() => {
                        let id = message.id().map(|id| id.detached());
                        let answer = pipeline::handle_message(
                            &of.sessions,
                            (&endpoint, &session),
                            message,
                            ACCEPTS,
                            &caller,
                        )
                        .await;
                        forward(answer.into_body(), &sse_stream.stream, id.as_ref()).await;
                    }
                    Some(_) => {}
                    None if starts => {
                        initialize(&of, &endpoint, &sse_stream, &caller, &message).await;
                    }
                    None => {
                        let answer = uninitialized::answer(&message);
                        sse_stream.stream.wait_for_room().await;
                        push(&sse_stream.stream, &answer, message.id().as_ref());
                    }
                }
                drop((slot, forwards, charge));
            };
            gateway.serving.tasks.spawn(answered.in_current_span());
        }
    }
    answer::accepted()
}

async fn initialize(
    gateway: &Arc<Gateway>,
    endpoint: &Arc<Endpoint>,
    sse_stream: &SseStream,
    caller: &Caller,
    message: &Message,
) {
    let (session, answer) = open_session(gateway, endpoint, caller, message).await;
    if let Some(session) = session {
        // An open stream counts as use of the session.
        session.mark_used();
        endpoint.state.audience.use_only_stream(&session, sse_stream.stream.clone());
        if let Err(second) = sse_stream.session.set(session) {
            gateway.sessions.end(&second);
            let say = "this session is initialized already";
            let failure = build::failure(message.id().as_ref(), codes::INVALID_REQUEST, say);
            return push(&sse_stream.stream, &failure, message.id().as_ref());
        }
        // If the stream was cut meanwhile, its end found no session to end, so the session ends here.
        if let (Some(session), false) = (sse_stream.session.get(), sse_stream.stream.is_open()) {
            gateway.sessions.end(session);
        }
    }
    push(&sse_stream.stream, &answer, message.id().as_ref());
}

/// Adds an answer to the stream, or a refusal if there is no memory for it.
fn push(stream: &EventStream, answer: &[u8], id: Option<&Id>) {
    if let Err(exceeded) = stream.push_within_budget(event(answer)) {
        stream.push(event(&answer::refusal(id, &exceeded.refusal())));
    }
}

/// Returns the response for a session without a stream.
fn no_stream(admitted: &Admitted<'_>) -> HttpAnswer {
    admitted.count_refusal(Refused::UnknownSession, "");
    refuse::NO_STREAM.to_response(None, &admitted.caller.request_id)
}

/// Forwards a response to the stream: a message as an event, events as they are. Waits for a client
/// that reads slowly, so that what belongs to a call waits within the bounds of that call.
async fn forward(body: Body, stream: &EventStream, id: Option<&Id>) {
    match body {
        Body::Whole(whole) => {
            let message = whole.collect().await.map(http_body_util::Collected::to_bytes);
            if let Ok(message) = message
                && !message.is_empty()
            {
                stream.wait_for_room().await;
                let encoded = event(&message);
                // The message makes room for its event.
                drop(message);
                if let Err(exceeded) = stream.push_within_budget(encoded) {
                    stream.push(event(&answer::refusal(id, &exceeded.refusal())));
                }
            }
        }
        Body::Events(_) | Body::Boxed(_) => {
            let mut body = body;
            while let Some(Ok(frame)) = body.frame().await {
                if let Ok(data) = frame.into_data() {
                    stream.wait_for_room().await;
                    stream.push_forwarded(data);
                }
            }
        }
    }
}

impl Drop for SseStreamGuard {
    fn drop(&mut self) {
        let sse_stream = self.gateway.sse_streams.remove(&self.id);
        if let Some(session) = sse_stream.and_then(|sse_stream| sse_stream.session.get().cloned()) {
            self.gateway.sessions.end(&session);
        }
    }
}
