//! HTTP+SSE of 2024-11-05: a GET opens the one stream on which everything comes, and its first event
//! says where to POST to.
//!
//! The stream is the session: when it is cut, the session ends, since this transport has no way to
//! take it up again.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, Weak};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::BytesMut;
use http::{Method, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use mainstay_model::{EndpointId, Principal, Refusal, RefusalCode};
use mainstay_protocol::framing::sse;
use mainstay_protocol::{Kind, Message, build, codes};
use mainstay_telemetry::{Refused, StreamKind};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tracing::Instrument;

use super::admit::Admitted;
use super::{Caller, SESSION_NOT_FOUND, read_json, refuse, takes_events, text};
use crate::answer::body::Body;
use crate::answer::{self, HttpAnswer};
use crate::endpoint::Endpoint;
use crate::gateway::Gateway;
use crate::pipeline::{self, Takes};
use crate::session::Session;
use crate::stream::EventStream;
use crate::stream::standing::Standing;

/// Where messages are posted to.
pub(super) const MESSAGES: &str = "/messages";

/// Open streams of this transport, by what stands in the address they announced.
#[derive(Debug, Default)]
pub(crate) struct Conversations {
    open: Mutex<HashMap<String, Arc<Conversation>>>,
}

#[derive(Debug)]
struct Conversation {
    endpoint: EndpointId,
    principal: Principal,
    stream: Arc<EventStream>,
    /// There from `initialize` on.
    session: OnceLock<Arc<Session>>,
    /// One for each request that is being answered.
    places: Arc<Semaphore>,
}

/// Requests of one client being answered at once. A message is taken before it is answered, so
/// unlike elsewhere its connection bounds nothing; beyond this the next one is not taken yet.
const REQUESTS_MAX: usize = 256;

const TAKES: Takes = Takes { events: true };

/// Ends a conversation when its stream's body is dropped.
struct Ending {
    gateway: Weak<Gateway>,
    id: String,
}

/// Answers a request for the address that opens a stream.
pub(super) fn answer(admitted: &Admitted<'_>, endpoint: &Arc<Endpoint>) -> HttpAnswer {
    let headers = admitted.headers();
    match admitted.parts.method {
        Method::GET => {}
        Method::OPTIONS => return refuse::preflight(headers),
        // A client of a later revision tries a POST first; 405 tells it to come with a GET.
        _ => return refuse::method("GET, OPTIONS", admitted),
    }
    if !takes_events(headers) {
        admitted.refused(Refused::MediaType, text(headers, "accept"));
        let say = "a GET here opens a stream: Accept must have text/event-stream";
        return answer::failure(StatusCode::NOT_ACCEPTABLE, None, codes::INVALID_REQUEST, say);
    }
    match open(admitted, endpoint) {
        Ok(answer) => answer,
        Err(refusal) => {
            if refusal.code == RefusalCode::SessionLimit {
                admitted.gateway.metrics.stream_refused(StreamKind::Sse);
            }
            admitted.refused(Refused::SessionLimit, "");
            answer::json(StatusCode::SERVICE_UNAVAILABLE, pipeline::refuse(None, &refusal))
        }
    }
}

fn open(admitted: &Admitted<'_>, endpoint: &Arc<Endpoint>) -> Result<HttpAnswer, Refusal> {
    let Admitted { gateway, caller, prefix, .. } = admitted;
    if gateway.is_draining() {
        return Err(Refusal::new(RefusalCode::Maintenance, "the daemon is stopping"));
    }
    let mut random = [0; 24];
    getrandom::fill(&mut random)
        .map_err(|_| Refusal::new(RefusalCode::Internal, "no session id could be made"))?;
    let id = URL_SAFE_NO_PAD.encode(random);
    let stream = Arc::new(EventStream::default());
    let mut first = BytesMut::new();
    let address = format!("{}?sessionId={id}", address(gateway, prefix.as_deref()));
    sse::encode_event(Some("endpoint"), None, address.as_bytes(), &mut first);
    stream.push(first.freeze());
    let conversation = Conversation {
        endpoint: endpoint.id,
        principal: caller.principal.clone(),
        stream: stream.clone(),
        session: OnceLock::new(),
        places: Arc::new(Semaphore::new(REQUESTS_MAX)),
    };
    gateway.conversations.insert(&id, conversation, gateway.sessions_max())?;
    stream.stands(Standing::open(gateway, endpoint, StreamKind::Sse, &caller.request_id));
    let ending = Ending { gateway: Arc::downgrade(gateway), id };
    Ok(answer::events_until(stream, Box::new(ending)))
}

/// The path clients post to, as it is reached through the proxy in front: what is configured of it
/// counts before what the proxy says.
fn address(gateway: &Gateway, prefix: Option<&str>) -> String {
    match (&gateway.settings.public_url, prefix) {
        (None, Some(prefix)) => format!("{prefix}{MESSAGES}"),
        _ => gateway.public_path(MESSAGES),
    }
}

/// Takes a message of a client at once; its answer comes on the client's stream.
pub(super) async fn messages(admitted: &Admitted<'_>, body: &mut Option<Incoming>) -> HttpAnswer {
    let Admitted { gateway, parts, caller, .. } = admitted;
    match parts.method {
        Method::POST => {}
        Method::OPTIONS => return refuse::preflight(&parts.headers),
        _ => return refuse::method("POST, OPTIONS", admitted),
    }
    let id = parts
        .uri
        .query()
        .and_then(|query| query.split('&').find_map(|pair| pair.strip_prefix("sessionId=")));
    let conversation = id
        .and_then(|id| gateway.conversations.find(id))
        .filter(|conversation| conversation.principal == caller.principal);
    let Some(conversation) = conversation else {
        return unknown(admitted);
    };
    // Its stream ends with it, when whoever has taken it away gets to that.
    let Some(endpoint) = gateway.topology().endpoint_of(conversation.endpoint).cloned() else {
        return unknown(admitted);
    };
    let body = match read_json(admitted, body).await {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let message = match Message::parse(body) {
        Ok(message) => message,
        Err(problem) => return refuse::malformed(&problem, admitted),
    };
    let is_request = message.kind() == Kind::Request;
    let starts = is_request && message.method() == "initialize";
    let session = conversation.session.get().cloned();
    match session {
        // What waits for an answer or a cancellation may hold all places, so these take none.
        Some(session) if !is_request => {
            pipeline::answer(gateway, (&endpoint, &session), message, TAKES, caller).await;
        }
        None if !starts => {
            let say = "send initialize first";
            let id = message.id();
            return answer::failure(
                StatusCode::BAD_REQUEST,
                id.as_ref(),
                codes::INVALID_REQUEST,
                say,
            );
        }
        session => {
            let Ok(place) = conversation.places.clone().acquire_owned().await else {
                return answer::accepted();
            };
            let (of, caller) = (Arc::clone(gateway), caller.clone());
            let forwards = gateway.forwards();
            let answered = async move {
                match session {
                    Some(session) if conversation.stream.is_open() => {
                        let answer =
                            pipeline::answer(&of, (&endpoint, &session), message, TAKES, &caller)
                                .await;
                        forward(answer.into_body(), &conversation.stream).await;
                    }
                    Some(_) => {}
                    None => initialize(&of, &endpoint, &conversation, &caller, &message).await,
                }
                drop((place, forwards));
            };
            gateway.tasks.spawn(answered.in_current_span());
        }
    }
    answer::accepted()
}

async fn initialize(
    gateway: &Arc<Gateway>,
    endpoint: &Arc<Endpoint>,
    conversation: &Conversation,
    caller: &Caller,
    message: &Message,
) {
    let (session, answer) = super::open_session(gateway, endpoint, caller, message).await;
    if let Some(session) = session {
        session.stand_on(&endpoint.lasting, conversation.stream.clone());
        if let Err(second) = conversation.session.set(session) {
            gateway.end_session(&second);
            let say = "this session is initialized already";
            let failure = build::failure(message.id().as_ref(), codes::INVALID_REQUEST, say);
            return conversation.stream.push(answer::event(&failure));
        }
        // Its stream may have been cut meanwhile, and whoever ends it then has found no session.
        if let (Some(session), false) = (conversation.session.get(), conversation.stream.is_open())
        {
            gateway.end_session(session);
        }
    }
    conversation.stream.push(answer::event(&answer));
}

/// What is said where no stream is waiting for answers.
fn unknown(admitted: &Admitted<'_>) -> HttpAnswer {
    admitted.refused(Refused::UnknownSession, "");
    let say = "Session not found: its stream has ended; open a new one with GET";
    answer::failure(StatusCode::NOT_FOUND, None, SESSION_NOT_FOUND, say)
}

/// Puts an answer on the stream: a message as an event, events as they are. Waits for a client that
/// reads slowly, so that what belongs to a call waits within the call's own bounds.
async fn forward(body: Body, stream: &EventStream) {
    match body {
        Body::Whole(whole) => {
            let message = whole.collect().await.map(http_body_util::Collected::to_bytes);
            if let Ok(message) = message
                && !message.is_empty()
            {
                stream.room().await;
                stream.push(answer::event(&message));
            }
        }
        Body::Events(_) => {
            let mut body = body;
            while let Some(Ok(frame)) = body.frame().await {
                if let Ok(event) = frame.into_data() {
                    stream.room().await;
                    stream.push(event);
                }
            }
        }
    }
}

// === impl Conversations ===

impl Conversations {
    fn insert(&self, id: &str, conversation: Conversation, max: usize) -> Result<(), Refusal> {
        let mut open = self.open.lock();
        if open.len() >= max {
            return Err(Refusal::new(
                RefusalCode::SessionLimit,
                format!("there are {max} sessions, and no more are allowed"),
            )
            .limit(format!("max_sessions: {max}")));
        }
        open.insert(id.to_owned(), Arc::new(conversation));
        Ok(())
    }

    fn find(&self, id: &str) -> Option<Arc<Conversation>> {
        self.open.lock().get(id).cloned()
    }

    fn remove(&self, id: &str) -> Option<Arc<Conversation>> {
        self.open.lock().remove(id)
    }

    /// Ends the streams at endpoints that are gone.
    pub(crate) fn end_at(&self, endpoints: &[EndpointId]) {
        let open = self.open.lock();
        for conversation in open.values().filter(|it| endpoints.contains(&it.endpoint)) {
            conversation.stream.end();
        }
    }

    /// Ends every stream.
    pub(crate) fn end_all(&self) {
        for conversation in self.open.lock().values() {
            conversation.stream.end();
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let Some(gateway) = self.gateway.upgrade() else { return };
        let conversation = gateway.conversations.remove(&self.id);
        if let Some(session) =
            conversation.and_then(|conversation| conversation.session.get().cloned())
        {
            gateway.end_session(&session);
        }
    }
}
