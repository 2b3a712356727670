//! One HTTP exchange with the daemon: a POST with its answer, or the stream of a GET.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use mainstay_protocol::Message;
use mainstay_protocol::framing::sse::SseDecoder;
use mainstay_protocol::headers::{LAST_EVENT_ID, METHOD, SESSION_ID};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::connections::{Connection, Connections, root_cause};
use super::shim::{End, News};
use super::upload::Upload;

/// An exchange in flight, and where its news go.
#[derive(Debug, Clone)]
pub(super) struct Exchange {
    pub(super) connections: Arc<Connections>,
    pub(super) number: u64,
    pub(super) news: mpsc::Sender<(u64, News)>,
}

/// Reads an event stream and resumes it after an interruption.
struct Events<'a> {
    of: &'a Exchange,
    headers: HeaderMap,
    /// Whether the stream is that of a POST, which ends with its answer.
    ends_with_answer: bool,
    last_event_id: Option<String>,
    retry: Duration,
    answered: bool,
}

/// Largest message accepted from the daemon, in bytes: the gateway's limit for a server's message.
pub(super) const MESSAGE_BYTES_MAX: usize = 64 << 20;
/// Most bytes read of an error response.
const REFUSAL_BYTES_MAX: usize = 64 << 10;
/// Longest silence on a stream. The gateway sends a comment every 15 s.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// Longest wait for a stream's end after its answer. Then the connection is closed.
const STREAM_END_MAX: Duration = Duration::from_secs(1);
/// Wait before an interrupted stream is resumed, unless the daemon names a longer one.
const RESUME_AFTER: Duration = Duration::from_millis(500);
/// Longest wait that a `retry` field can demand.
const RESUME_AFTER_MAX: Duration = Duration::from_secs(30);
/// Most resumptions in a row without an event.
const RESUMES_MAX: u32 = 5;

// === impl Exchange ===

impl Exchange {
    /// POSTs a message and passes on what comes back. `within` is the deadline for the response's
    /// head.
    pub(super) async fn post(self, message: Bytes, headers: HeaderMap, within: Duration) {
        let end = self.post_and_read(message, headers, within).await.unwrap_or_else(|end| end);
        self.tell(News::Ended(end)).await;
    }

    /// Opens the stream for messages outside of calls and passes them on.
    pub(super) async fn listen(self, headers: HeaderMap, after: Option<String>, within: Duration) {
        let mut events = Events::new(&self, headers, false);
        events.last_event_id = after;
        let end = events.open_and_read(within).await.unwrap_or_else(|end| end);
        self.tell(News::Ended(end)).await;
    }

    async fn post_and_read(
        &self,
        message: Bytes,
        headers: HeaderMap,
        within: Duration,
    ) -> Result<End, End> {
        let in_session = headers.contains_key(SESSION_ID);
        let (response, connection) =
            self.ask(Method::POST, headers.clone(), message, within).await?;
        match response.status() {
            StatusCode::OK => {}
            status if status.is_success() => {
                self.read_whole(response, connection, REFUSAL_BYTES_MAX).await?;
                return Ok(End::Done);
            }
            status => return Err(self.refused(status, response, connection, in_session).await),
        }
        if let Some(id) = response.headers().get(SESSION_ID) {
            self.tell(News::Session(id.clone())).await;
        }
        if is_stream(&response) {
            let mut events = Events::new(self, headers, true);
            let cut = events.read(response, connection).await;
            return events.resume(cut).await;
        }
        let body = self.read_whole(response, connection, MESSAGE_BYTES_MAX).await?;
        match Message::parse(body) {
            Ok(message) => self.tell(News::Came(message)).await,
            Err(problem) => tracing::warn!(%problem, "the answer is not a valid message"),
        }
        Ok(End::Done)
    }

    /// Sends a request. Sends it again with a new token when the daemon refuses the old one.
    async fn ask(
        &self,
        method: Method,
        headers: HeaderMap,
        body: Bytes,
        within: Duration,
    ) -> Result<(Response<Incoming>, Connection), End> {
        let request = self.request(method.clone(), headers.clone(), body.clone());
        let (response, connection) = self.send(request, within).await?;
        let is_refused = response.status() == StatusCode::UNAUTHORIZED;
        if !is_refused || !self.connections.target.access.renews().await {
            return Ok((response, connection));
        }
        self.send(self.request(method, headers, body), within).await
    }

    async fn send(
        &self,
        request: Request<Upload>,
        within: Duration,
    ) -> Result<(Response<Incoming>, Connection), End> {
        let late = |_| End::Lost(format!("no answer within {} s", within.as_secs()));
        timeout(within, self.connections.send(request)).await.map_err(late)?
    }

    async fn read_whole(
        &self,
        response: Response<Incoming>,
        connection: Connection,
        bytes_max: usize,
    ) -> Result<Bytes, End> {
        let body = Limited::new(response.into_body(), bytes_max);
        let read = timeout(SILENCE_MAX, body.collect()).await;
        let read = read.map_err(|_| End::Lost("the answer stopped halfway".to_owned()))?;
        let whole = read.map_err(|error| End::Lost(root_cause(error.as_ref())))?.to_bytes();
        self.connections.put(connection);
        Ok(whole)
    }

    /// Maps an error status to the end of the exchange.
    async fn refused(
        &self,
        status: StatusCode,
        response: Response<Incoming>,
        connection: Connection,
        in_session: bool,
    ) -> End {
        let body = self.read_whole(response, connection, REFUSAL_BYTES_MAX).await;
        match status {
            StatusCode::NOT_FOUND if in_session => End::SessionGone,
            // The daemon refused it before reading it, or the proxy found no daemon.
            StatusCode::SERVICE_UNAVAILABLE => End::Unreached(status.to_string()),
            // The proxy lost the daemon after passing the request on.
            StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT => End::Lost(status.to_string()),
            _ => End::Refused { status, body: body.unwrap_or_default() },
        }
    }

    async fn tell(&self, news: News) {
        // The receiver is gone when the program is ending.
        let _ = self.news.send((self.number, news)).await;
    }

    fn request(&self, method: Method, mut headers: HeaderMap, body: Bytes) -> Request<Upload> {
        let target = &self.connections.target;
        headers.insert(HOST, target.host.clone());
        let accept = match method {
            Method::GET => "text/event-stream",
            _ => "application/json, text/event-stream",
        };
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        if method == Method::POST {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some(authorization) = target.access.header() {
            headers.insert(AUTHORIZATION, authorization);
        }
        let mut request = Upload::request(body);
        *request.method_mut() = method;
        *request.uri_mut() = target.path.clone();
        request.headers_mut().extend(headers);
        request
    }
}

// === impl Events ===

impl<'a> Events<'a> {
    fn new(of: &'a Exchange, headers: HeaderMap, ends_with_answer: bool) -> Self {
        let retry = RESUME_AFTER;
        Self { of, headers, ends_with_answer, last_event_id: None, retry, answered: false }
    }

    /// Opens a stream by GET, after the last known event if there is one.
    async fn open_and_read(&mut self, within: Duration) -> Result<End, End> {
        let mut headers = self.headers.clone();
        let last = self.last_event_id.as_deref();
        if let Some(last) = last.and_then(|last| HeaderValue::from_str(last).ok()) {
            headers.insert(HeaderName::from_static(LAST_EVENT_ID), last);
        }
        let (response, connection) =
            self.of.ask(Method::GET, headers, Bytes::new(), within).await?;
        match response.status() {
            StatusCode::OK if is_stream(&response) => Ok(self.read(response, connection).await),
            StatusCode::METHOD_NOT_ALLOWED => Err(End::NoStream),
            status => Err(self.of.refused(status, response, connection, true).await),
        }
    }

    /// Reads a stream until it ends or is interrupted.
    async fn read(&mut self, response: Response<Incoming>, connection: Connection) -> End {
        let mut body = response.into_body();
        let mut decoder = SseDecoder::new(MESSAGE_BYTES_MAX);
        loop {
            let wait_max = if self.answered { STREAM_END_MAX } else { SILENCE_MAX };
            match timeout(wait_max, body.frame()).await {
                Ok(Some(Ok(frame))) => {
                    let Ok(data) = frame.into_data() else { continue };
                    decoder.push(&data);
                }
                Ok(None) => {
                    self.of.connections.put(connection);
                    return End::Done;
                }
                Ok(Some(Err(error))) => return End::Lost(root_cause(&error)),
                Err(_) => return End::Lost("the stream went silent".to_owned()),
            }
            while let Some(event) = decoder.next_event() {
                match event {
                    Ok(event) => self.event(event).await,
                    Err(error) => tracing::warn!(%error, "an event was dropped"),
                }
            }
        }
    }

    async fn event(&mut self, event: mainstay_protocol::framing::sse::Event) {
        if let Some(retry) = event.retry {
            self.retry = retry.clamp(RESUME_AFTER, RESUME_AFTER_MAX);
        }
        if let Some(id) = event.id {
            if !self.ends_with_answer {
                self.of.tell(News::Mark(id.clone())).await;
            }
            self.last_event_id = Some(id).filter(|id| !id.is_empty());
        }
        // An event without data only carries the id to resume after.
        if event.data.is_empty() {
            return;
        }
        match Message::parse(event.data) {
            Ok(message) => {
                self.answered |= self.ends_with_answer && message.is_answer();
                self.of.tell(News::Came(message)).await;
            }
            Err(problem) => tracing::warn!(%problem, "the event is not a valid message"),
        }
    }

    /// Resumes a POST's stream until the answer arrives, if the daemon has sent event ids.
    async fn resume(mut self, mut cut: End) -> Result<End, End> {
        let mut in_vain = 0;
        // Since 2026-07-28 streams can't be resumed: an interrupted one is lost.
        let resumes = !self.headers.contains_key(METHOD);
        while resumes && !self.answered && self.last_event_id.is_some() && in_vain < RESUMES_MAX {
            tokio::time::sleep(self.retry).await;
            let before = self.last_event_id.clone();
            match self.open_and_read(SILENCE_MAX).await {
                Ok(end) => cut = end,
                Err(_) => return Err(End::Lost("the stream could not be taken up again".into())),
            }
            in_vain = if self.last_event_id == before { in_vain + 1 } else { 0 };
        }
        Ok(cut)
    }
}

/// Ends a session by DELETE. A failure is ignored, since the session expires anyway.
pub(super) async fn delete(exchange: &Exchange, headers: HeaderMap, within: Duration) {
    let request = exchange.request(Method::DELETE, headers, Bytes::new());
    let _ = exchange.send(request, within).await;
}

fn is_stream(response: &Response<Incoming>) -> bool {
    let media = response.headers().get(CONTENT_TYPE).and_then(|media| media.to_str().ok());
    media.is_some_and(|media| media.starts_with("text/event-stream"))
}
