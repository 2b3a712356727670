//! A conversation with a server through the gateway, as any MCP client leads it.
//!
//! With `initialize`, `notifications/initialized`, requests and `DELETE`, as in 2025-11-25; where
//! only 2026-07-28 is spoken, with requests alone ([`stateless`]). Each request is a POST of its
//! own; the answer is one JSON body or an event stream that carries notifications before it. We
//! declare no capabilities, so a server may ask us for nothing but `ping`.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use mainstay_protocol::envelope::Kind;
use mainstay_protocol::framing::sse::SseDecoder;
use mainstay_protocol::initialize::initialize_params;
use mainstay_protocol::revision::Era;
use mainstay_protocol::{Message, Method as Asked, Revision, build, codes};
use serde::Deserialize;
use tokio::time::timeout;

use self::stateless::Stateless;
pub use self::stateless::headers;
use super::{ANSWER_BYTES_MAX, Client, ClientError, Exchange};

mod stateless;

/// Who we say to be.
const NAME: &str = "mainstay";
const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const PROTOCOL: HeaderName = HeaderName::from_static("mcp-protocol-version");

/// How long a session that is no longer needed may take to end: the command is done already, and
/// a session nobody ends expires.
const CLOSE: Duration = Duration::from_secs(2);

/// A conversation with one endpoint.
#[derive(Debug)]
pub struct Conversation {
    client: Client,
    /// `/mcp` or `/mcp/NAME`.
    path: String,
    manner: Manner,
    next_id: u64,
}

/// What holds its requests together.
#[derive(Debug)]
enum Manner {
    Session(Session),
    Stateless(Stateless),
}

#[derive(Debug, Default)]
struct Session {
    id: Option<HeaderValue>,
    /// What was agreed on; none before the handshake.
    revision: Option<HeaderValue>,
}

/// A notification that came before an answer.
#[derive(Debug)]
pub struct Notice<'a> {
    pub method: &'a str,
    /// Its `params`, as JSON text.
    pub params: &'a str,
}

/// Why a request has no result.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The gateway or the server said no.
    #[error("{message}")]
    Refused { code: i64, message: String, data: serde_json::Value },
    #[error("the answer is not a valid message")]
    NotAMessage(#[source] mainstay_protocol::Malformed),
    #[error("the answer stream ended without an answer")]
    NoAnswer,
    #[error("the server supports no revision that this command supports")]
    NoRevision,
}

/// The `error` member.
#[derive(Deserialize)]
struct ErrorMember {
    code: i64,
    message: String,
    #[serde(default)]
    data: serde_json::Value,
}

type OnNotice<'a> = &'a mut (dyn FnMut(Notice<'_>) + Send);

// === impl Conversation ===

impl Conversation {
    /// Begins a conversation with an endpoint, `/mcp` or `/mcp/NAME`, in the way that is spoken
    /// there: with a session if there is a choice.
    ///
    /// # Errors
    /// [`ClientError::Status`] with 404 for an endpoint that does not exist; a refusal when the
    /// server is not to be had.
    pub async fn open(client: &Client, path: &str, version: &str) -> Result<Self, CallError> {
        match Self::open_as(Era::Legacy, client, path, version).await {
            // Only who speaks nothing else answers `initialize` so.
            Err(CallError::Refused { code, .. })
                if i32::try_from(code).is_ok_and(codes::is_modern) =>
            {
                Self::open_as(Era::Modern, client, path, version).await
            }
            opened => opened,
        }
    }

    /// The same as clients of one era do it.
    ///
    /// # Errors
    /// As for [`open`](Self::open); a refusal, too, where this era is not spoken.
    pub async fn open_as(
        era: Era,
        client: &Client,
        path: &str,
        version: &str,
    ) -> Result<Self, CallError> {
        let manner = match era {
            Era::Legacy => Manner::Session(Session::default()),
            Era::Modern => Manner::Stateless(Stateless::new(NAME, version)),
        };
        let (client, path) = (client.clone(), path.to_owned());
        let mut conversation = Self { client, path, manner, next_id: 1 };
        match era {
            Era::Legacy => conversation.shake_hands(version).await?,
            Era::Modern => {
                let method = Asked::ServerDiscover.as_str();
                let found = conversation.request(method, None, &mut |_| {}).await?;
                stateless::check(&found)?;
            }
        }
        Ok(conversation)
    }

    /// Asks for the log messages that come with calls, where they have to be asked for.
    pub fn hear_messages(&mut self) {
        if let Manner::Stateless(stateless) = &mut self.manner {
            stateless.hear_messages();
        }
    }

    /// Changes the longest wait for the answer to each later request.
    pub fn set_deadline(&mut self, deadline: Duration) {
        self.client = self.client.with_deadline(deadline);
    }

    async fn shake_hands(&mut self, version: &str) -> Result<(), CallError> {
        let params = initialize_params(Revision::LATEST_LEGACY, "{}", NAME, version);
        let method = Asked::Initialize.as_str();
        let answer = self.request(method, Some(&params), &mut |_| {}).await?;
        let answer: serde_json::Value =
            serde_json::from_slice(&answer).map_err(ClientError::Unexpected)?;
        let revision = answer["protocolVersion"].as_str();
        let revision = revision.unwrap_or(Revision::LATEST_LEGACY.as_str());
        if let Manner::Session(session) = &mut self.manner {
            session.revision = HeaderValue::from_str(revision).ok();
        }
        let told = self.notify("notifications/initialized").await;
        if told.is_err() {
            self.end_session().await;
        }
        told
    }

    /// The result of a request, as JSON text. `params` must be JSON text too. What the server
    /// says meanwhile goes to `on_notice`. The deadline is that of the client.
    pub async fn request(
        &mut self,
        method: &str,
        params: Option<&str>,
        on_notice: OnNotice<'_>,
    ) -> Result<Bytes, CallError> {
        let id = self.next_id;
        self.next_id += 1;
        let deadline = self.client.deadline;
        let message = match &self.manner {
            Manner::Session(_) => build::request(id, method, params),
            Manner::Stateless(of) => build::request(id, method, Some(&of.params(params)?)),
        };
        let message = Message::parse(message).map_err(CallError::NotAMessage)?;
        let answer = self.ask(message, id, on_notice);
        let answer = timeout(deadline, answer).await;
        let answer = answer.map_err(|_| ClientError::Deadline(deadline))??;
        if let Manner::Stateless(stateless) = &mut self.manner {
            stateless.learn(method, &answer);
        }
        Ok(answer)
    }

    /// How it is led.
    pub fn era(&self) -> Era {
        match self.manner {
            Manner::Session(_) => Era::Legacy,
            Manner::Stateless(_) => Era::Modern,
        }
    }

    /// Ends it. That a session can't be ended is no concern of the caller.
    pub async fn close(self) {
        self.end_session().await;
    }

    async fn end_session(&self) {
        if let Manner::Session(Session { id: Some(_), .. }) = &self.manner {
            let request = self.headed(Method::DELETE, None);
            let _ = timeout(CLOSE, self.client.exchange(request)).await;
        }
    }

    async fn ask(
        &mut self,
        message: Message,
        id: u64,
        on_notice: OnNotice<'_>,
    ) -> Result<Bytes, CallError> {
        let request = self.headed(Method::POST, Some(&message));
        let exchange = self.client.exchange(request).await?;
        let head = &exchange.response;
        if head.status() != StatusCode::OK {
            return Err(refusal_by_status(exchange).await);
        }
        if let (Manner::Session(session), Some(id)) =
            (&mut self.manner, head.headers().get(SESSION))
        {
            session.id = Some(id.clone());
        }
        let media = head.headers().get(CONTENT_TYPE).and_then(|media| media.to_str().ok());
        if media.is_some_and(|media| media.starts_with("text/event-stream")) {
            let Exchange { response, _driver } = exchange;
            return self.answer_of_stream(response.into_body(), id, on_notice).await;
        }
        let body = exchange.whole().await?.body;
        result_of(&Message::parse(body).map_err(CallError::NotAMessage)?)
    }

    /// Reads an event stream up to the answer.
    async fn answer_of_stream(
        &self,
        mut body: Incoming,
        id: u64,
        on_notice: OnNotice<'_>,
    ) -> Result<Bytes, CallError> {
        let mut decoder = SseDecoder::new(ANSWER_BYTES_MAX);
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(ClientError::Http)?.into_data() else { continue };
            decoder.push(&data);
            while let Some(event) = decoder.next_event() {
                let event = event.map_err(|_| ClientError::TooLarge)?;
                // An event without data only says where to resume.
                if event.data.is_empty() {
                    continue;
                }
                let message = Message::parse(event.data).map_err(CallError::NotAMessage)?;
                if message.is_answer() && message.id_number() == Some(id) {
                    return result_of(&message);
                }
                match message.kind() {
                    Kind::Request => self.reply(&message).await?,
                    Kind::Notification => {
                        let params = message.body().unwrap_or("{}");
                        on_notice(Notice { method: message.method(), params });
                    }
                    _ => {}
                }
            }
        }
        Err(CallError::NoAnswer)
    }

    /// Answers what a server asks of its client.
    async fn reply(&self, request: &Message) -> Result<(), CallError> {
        let Some(id) = request.id() else { return Ok(()) };
        let reply = match request.method() {
            "ping" => build::result(&id, "{}"),
            _ => build::failure(Some(&id), -32601, "this client has no such capability"),
        };
        self.post(reply).await
    }

    async fn notify(&self, method: &str) -> Result<(), CallError> {
        let deadline = self.client.deadline;
        let sent = self.post(build::notification(method, None));
        timeout(deadline, sent).await.map_err(|_| ClientError::Deadline(deadline))?
    }

    /// Sends what has no answer.
    async fn post(&self, message: Bytes) -> Result<(), CallError> {
        let message = Message::parse(message).map_err(CallError::NotAMessage)?;
        let exchange = self.client.exchange(self.headed(Method::POST, Some(&message))).await?;
        if exchange.response.status().is_success() {
            return Ok(());
        }
        Err(refusal_by_status(exchange).await)
    }

    fn headed(&self, method: Method, message: Option<&Message>) -> Request<Full<Bytes>> {
        let body = message.map(|message| message.bytes().clone()).unwrap_or_default();
        let mut request = super::request(method, &self.path, body);
        let headers = request.headers_mut();
        let accepted = HeaderValue::from_static("application/json, text/event-stream");
        headers.insert(ACCEPT, accepted);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        match (&self.manner, message) {
            (Manner::Session(session), _) => {
                let own = [(SESSION, &session.id), (PROTOCOL, &session.revision)];
                let own = own.into_iter().filter_map(|(name, value)| Some((name, value.clone()?)));
                headers.extend(own);
            }
            (Manner::Stateless(stateless), Some(message)) => {
                headers.extend(stateless.headers(message));
            }
            (Manner::Stateless(_), None) => {}
        }
        request
    }
}

/// The result, or the error it is instead.
fn result_of(message: &Message) -> Result<Bytes, CallError> {
    match message.kind() {
        Kind::Error => Err(refusal(message.body().unwrap_or_default())),
        _ if message.is_answer() => Ok(message.body_bytes().unwrap_or_default()),
        _ => Err(CallError::NoAnswer),
    }
}

fn refusal(error: &str) -> CallError {
    match serde_json::from_str::<ErrorMember>(error) {
        Ok(ErrorMember { code, message, data }) => CallError::Refused { code, message, data },
        Err(source) => ClientError::Unexpected(source).into(),
    }
}

/// A status that is no success may still carry an error message that says more.
async fn refusal_by_status(exchange: Exchange) -> CallError {
    let answer = match exchange.whole().await {
        Ok(answer) => answer,
        Err(error) => return error.into(),
    };
    match Message::parse(answer.body.clone()) {
        Ok(message) if message.kind() == Kind::Error => refusal(message.body().unwrap_or_default()),
        _ => answer.into_error().into(),
    }
}
