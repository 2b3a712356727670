//! The stream on which an HTTP+SSE server sends every message.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use http::{Method, StatusCode, Uri};
use mainstay_protocol::framing::sse::Event;

use crate::link::Link;
use crate::remote::connection::{Responded, read_all, respond};
use crate::remote::events::{EventSource, is_event_stream};
use crate::remote::refused::with_words;
use crate::remote::session::HttpSession;

/// An open stream.
pub(super) struct SseStream(EventSource);

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
    pub(super) async fn open(session: &Arc<HttpSession>) -> Result<(Self, Uri), NoStream> {
        let request = session.request(Method::GET, Bytes::new());
        let responded = respond(session, request)
            .await
            .map_err(|failed| NoStream::Unreachable(failed.reason))?;
        if responded.head.status != StatusCode::OK {
            let (head, body) = read_all(session, responded).await;
            let said = format!("a GET was answered HTTP {}", head.status);
            return Err(NoStream::NotOffered(with_words(&session.target, said, &body)));
        }
        let Responded { response, connection, .. } = responded;
        if !is_event_stream(response.headers()) {
            let reason = "a GET was answered with something that is no event stream".to_owned();
            return Err(NoStream::NotOffered(reason));
        }
        let mut events = EventSource::new(response, connection, session.limits)
            .map_err(|error| NoStream::NotOffered(error.to_string()))?;
        loop {
            match events.next(|| {}, || true).await {
                // An event without data only carries an id or a delay.
                Ok(Ok(event)) if event.data.is_empty() => {}
                Ok(Ok(event)) if event.event.as_deref() == Some("endpoint") => {
                    let (target, from) = (&session.target, session.address());
                    let address =
                        target.posts_to(&from, &event.data).map_err(NoStream::NotOffered)?;
                    return Ok((Self(events), address));
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
    pub(super) async fn read(&mut self, link: &Weak<Link>) -> String {
        let heard = || {
            if let Some(link) = link.upgrade() {
                link.life().note_heard();
            }
        };
        let is_awaited = || link.upgrade().is_some_and(|link| link.is_awaited());
        loop {
            let event = match self.0.next(heard, is_awaited).await {
                Ok(event) => event,
                Err(reason) => return reason,
            };
            let Some(link) = link.upgrade() else { return String::new() };
            match event {
                Ok(event) if event.data.is_empty() => {}
                // Other names are for other purposes; an event without one is a message.
                Ok(Event { event: Some(name), .. }) if name != "message" => {}
                Ok(event) => self.0.dispatch(&link, &event.data),
                Err(discarded) => self.0.dispatch_discarded(&link, &discarded),
            }
        }
    }
}
