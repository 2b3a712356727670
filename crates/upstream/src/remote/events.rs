//! A stream of events that lasts: the standing stream, and that of HTTP+SSE.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Response, header};
use http_body::Body as _;
use hyper::body::Incoming;
use mainstay_protocol::framing::sse::{Event, EventTooLarge, SseDecoder};

use super::coding::{BodyDecoder, NotDecoded};
use super::connection::{Connection, driven, root_cause};
use crate::intake::Intake;
use crate::link::{Link, LinkLimits};
use crate::turn::{Pace, Turn};

/// An open stream.
pub(super) struct EventSource {
    connection: Box<Connection>,
    body: Incoming,
    coding: Option<BodyDecoder>,
    decoder: SseDecoder,
    event_bytes_max: usize,
    intake: Intake,
    turn: Turn,
    pace: Pace,
}

/// Whether the headers are those of an event stream.
pub(super) fn is_event_stream(headers: &HeaderMap) -> bool {
    const EVENTS: &[u8] = b"text/event-stream";
    let kind = headers.get(header::CONTENT_TYPE).map_or(&b""[..], |kind| kind.as_bytes());
    kind.get(..EVENTS.len()).is_some_and(|kind| kind.eq_ignore_ascii_case(EVENTS))
}

// === impl EventSource ===

impl EventSource {
    /// # Errors
    /// When its events can't be decoded.
    pub(super) fn new(
        response: Response<Incoming>,
        connection: Box<Connection>,
        limits: LinkLimits,
    ) -> Result<Self, NotDecoded> {
        Ok(Self {
            coding: BodyDecoder::new(response.headers())?,
            connection,
            body: response.into_body(),
            decoder: SseDecoder::new(limits.message_bytes_max),
            event_bytes_max: limits.message_bytes_max,
            intake: Intake::new(limits.budget),
            turn: Turn::default(),
            pace: Pace::default(),
        })
    }

    /// The next event, or why the stream ended. Calls `heard` at every read. `is_awaited`: whether a call
    /// waits for what the stream brings. Otherwise the stream is read more slowly if it never pauses.
    pub(super) async fn next(
        &mut self,
        heard: impl Fn(),
        is_awaited: impl Fn() -> bool,
    ) -> Result<Result<Event, EventTooLarge>, String> {
        loop {
            self.turn.pass(&mut self.pace, &is_awaited).await;
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
                        self.take(data)?;
                    }
                }
                Some(Err(error)) => {
                    return Err(format!("the server's stream was cut off: {}", root_cause(&error)));
                }
                None => return Err("the server ended its stream".to_owned()),
            }
        }
    }

    fn take(&mut self, data: Bytes) -> Result<(), String> {
        let data = match &mut self.coding {
            None => data,
            Some(coding) => coding
                .decode(&data, self.event_bytes_max)
                .map_err(|error| format!("the server's stream: {error}"))?,
        };
        self.turn.add_parsed(data.len());
        self.decoder.push(&data);
        if self.intake.note_held(self.decoder.held_bytes()).is_err() {
            self.decoder.give_up_event();
        }
        Ok(())
    }

    /// Routes a message that an event brought.
    pub(super) fn dispatch(&mut self, link: &Arc<Link>, message: &Bytes) {
        self.intake.dispatch(link, message);
    }

    /// Routes an event that was discarded.
    pub(super) fn dispatch_discarded(&mut self, link: &Link, event: &EventTooLarge) {
        let lost = self.intake.discarded(event.max_event_bytes);
        link.dispatch_discarded(&event.ends, lost);
    }
}
