//! The stream on which an HTTP+SSE server sends every message.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use http_body::Body as _;
use http_body_util::Full;
use hyper::body::Incoming;
use mainstay_protocol::framing::sse::{Event, EventTooLarge, SseDecoder};

use crate::link::Link;
use crate::remote::Target;
use crate::remote::connection::{Connection, Idle, driven, respond, root_cause};
use crate::turn::Turn;

/// An open stream.
pub(super) struct SseStream {
    connection: Box<Connection>,
    body: Incoming,
    decoder: SseDecoder,
    turn: Turn,
}

/// Why there is no link over HTTP+SSE.
#[derive(Debug, thiserror::Error)]
pub enum NoStream {
    /// The server can't be reached.
    #[error("{0}")]
    Unreachable(String),
    /// A server answers, and does not speak HTTP+SSE.
    #[error("{0}")]
    NotOffered(String),
}

// === impl SseStream ===

impl SseStream {
    /// Opens the stream and waits for its first event, the address to post to.
    pub(super) async fn open(
        target: &Target,
        idle: &Arc<Idle>,
        event_bytes_max: usize,
    ) -> Result<(Self, Uri), NoStream> {
        let mut request = Request::new(Full::new(Bytes::new()));
        *request.method_mut() = Method::GET;
        *request.uri_mut() = target.path.clone();
        *request.headers_mut() = target.headers.clone();
        let events = HeaderValue::from_static("text/event-stream");
        request.headers_mut().insert(header::ACCEPT, events);
        let (response, connection) =
            respond(idle, request).await.map_err(|failed| NoStream::Unreachable(failed.reason))?;
        let status = response.status();
        if status != StatusCode::OK {
            return Err(NoStream::NotOffered(format!("a GET was answered HTTP {status}")));
        }
        let kind = response.headers().get(header::CONTENT_TYPE);
        if !kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream")) {
            let reason = "a GET was answered with something that is no event stream".to_owned();
            return Err(NoStream::NotOffered(reason));
        }
        let decoder = SseDecoder::new(event_bytes_max);
        let mut stream =
            Self { connection, body: response.into_body(), decoder, turn: Turn::default() };
        loop {
            match stream.next(|| {}).await {
                // An event without data only carries an id or a delay.
                Ok(Ok(event)) if event.data.is_empty() => {}
                Ok(Ok(event)) if event.event.as_deref() == Some("endpoint") => {
                    let address = target.posts_to(&event.data).map_err(NoStream::NotOffered)?;
                    return Ok((stream, address));
                }
                Ok(_) => {
                    let reason = "the stream begins with something else than an address to post to";
                    return Err(NoStream::NotOffered(reason.to_owned()));
                }
                Err(reason) => return Err(NoStream::Unreachable(reason)),
            }
        }
    }

    /// Hands messages to the link until the stream is cut. Returns the reason.
    pub(super) async fn read(&mut self, link: &Weak<Link>, heard: &AtomicBool) -> String {
        let heard = || heard.store(true, Ordering::Relaxed);
        loop {
            let event = match self.next(heard).await {
                Ok(event) => event,
                Err(reason) => return reason,
            };
            let Some(link) = link.upgrade() else { return String::new() };
            match event {
                Ok(event) if event.data.is_empty() => {}
                // Other names are for other purposes; an event without one is a message.
                Ok(Event { event: Some(name), .. }) if name != "message" => {}
                Ok(event) => link.dispatch(&event.data),
                Err(EventTooLarge { max_event_bytes, ends }) => {
                    link.dispatch_oversized(&ends, max_event_bytes);
                }
            }
        }
    }

    /// The next event, or why the stream ended. Calls `heard` at every read.
    async fn next(&mut self, heard: impl Fn()) -> Result<Result<Event, EventTooLarge>, String> {
        loop {
            self.turn.pass().await;
            if let Some(event) = self.decoder.next_event() {
                self.turn.add_message(0);
                return Ok(event);
            }
            let frame = driven(&mut self.connection, &mut self.body, |body, cx| {
                Pin::new(body).poll_frame(cx)
            })
            .await;
            heard();
            match frame {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.turn.add_parsed(data.len());
                        self.decoder.push(&data);
                    }
                }
                Some(Err(error)) => {
                    return Err(format!("the server's stream broke off: {}", root_cause(&error)));
                }
                None => return Err("the server ended its stream".to_owned()),
            }
        }
    }
}
