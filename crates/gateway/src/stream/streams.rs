//! The streams of a session, and their resumption with `Last-Event-ID`.
//!
//! The specification leaves open what a client gets for an id whose stream is gone. Here it depends on what
//! the client must be waiting for, which the id says: see [`super::event_id::StreamName`] and [`Resumed`].

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use mainstay_protocol::Id;

use super::event_id::{EventId, StreamContent, decode_request_id};
use super::{EventStream, Reader, StreamResume};

#[cfg(test)]
mod tests;

/// Result of resuming a stream of a session.
#[derive(Debug)]
pub(crate) enum Resumed {
    Continues(Reader),
    /// Nothing more comes on the stream.
    Complete,
    /// The response to this request was to come on the stream, and was dropped.
    AnswerLost(Id),
    /// The stream carried background messages: a new one serves as well.
    NewStream,
}

/// The streams of one session.
#[derive(Debug, Default)]
pub(crate) struct SessionStreams {
    /// Streams for background messages, the newest last.
    background: Vec<Arc<EventStream>>,
    /// Streams of calls, the newest last: those under way, and those that ended lately.
    calls: Vec<Arc<EventStream>>,
}

/// A stream of a call that has ended.
#[derive(Debug)]
pub(crate) struct FinishedStream {
    /// Whether events are unread.
    pub(crate) unread: bool,
    pub(crate) last_activity: Option<Instant>,
    pub(crate) stream: Arc<EventStream>,
}

/// Background streams a session may have. Past it the oldest is displaced, one without a reader
/// first.
const BACKGROUND_STREAMS_MAX: usize = 8;

/// Finished streams a session may keep, and their bytes. Past it the oldest are dropped.
const FINISHED_MAX: usize = 64;
const FINISHED_BYTES_MAX: usize = 16 << 20;

// === impl Resumed ===

impl Resumed {
    /// Returns the result for an event whose stream is gone.
    fn for_lost_stream(event: &EventId) -> Self {
        match &event.name.content {
            StreamContent::Background => Self::NewStream,
            StreamContent::Call(None) => Self::Complete,
            StreamContent::Call(Some(request)) => match decode_request_id(request) {
                Some(id) => Self::AnswerLost(id),
                None => Self::NewStream,
            },
        }
    }
}

// === impl SessionStreams ===

impl SessionStreams {
    /// Adds a stream for background messages.
    pub(crate) fn add_background(&mut self, stream: Arc<EventStream>) {
        self.prune(Instant::now());
        if self.background.len() >= BACKGROUND_STREAMS_MAX {
            let at = self.background.iter().position(|stream| !stream.is_open()).unwrap_or(0);
            self.background.remove(at).displace();
        }
        self.background.push(stream);
    }

    /// Adds the stream of a call.
    pub(crate) fn add_call(&mut self, stream: Arc<EventStream>) {
        self.calls.push(stream);
    }

    /// Sends a background message on the newest stream that has a reader. Returns whether there was
    /// one with room.
    pub(crate) fn send_background(&self, event: &Bytes) -> bool {
        let mut open = self.background.iter().rev().filter(|stream| stream.is_open());
        open.any(|stream| stream.try_push(event.clone()))
    }

    /// Sends a background message as [`Self::send_background`] does, else queues it on a stream
    /// that may be resumed. Returns whether it was sent or queued.
    pub(crate) fn queue_background(&self, event: &Bytes) -> bool {
        self.send_background(event)
            || self.background.iter().rev().any(|stream| stream.try_push(event.clone()))
    }

    /// Whether there is a stream for background messages, with a reader or without.
    pub(crate) fn has_background(&self) -> bool {
        !self.background.is_empty()
    }

    pub(crate) fn is_background_read(&self) -> bool {
        self.background.iter().any(|stream| stream.is_open())
    }

    /// Whether a stream for background messages has a reader, or one that left less than `grace` ago.
    pub(crate) fn may_be_read_within(&self, grace: Duration) -> bool {
        self.background.iter().any(|stream| stream.may_be_read_within(grace))
    }

    /// Returns the number of streams for background messages that have a reader.
    pub(crate) fn background_read(&self) -> usize {
        self.background.iter().filter(|stream| stream.is_open()).count()
    }

    /// Resumes the stream that an event belongs to. A stream never carries what belongs to another.
    pub(crate) fn resume(&self, event: &EventId) -> Resumed {
        let streams = match event.name.content {
            StreamContent::Background => &self.background,
            StreamContent::Call(_) => &self.calls,
        };
        let number = event.name.number;
        let mut all = streams.iter().rev();
        let found = all.find(|stream| stream.name().is_some_and(|name| name.number == number));
        match found.map(|stream| stream.resume_after(event.after)) {
            Some(StreamResume::Continues(reader)) => Resumed::Continues(reader),
            Some(StreamResume::Complete) if event.name.content == StreamContent::Background => {
                Resumed::NewStream
            }
            Some(StreamResume::Complete) => Resumed::Complete,
            Some(StreamResume::AnswerLost) | None => Resumed::for_lost_stream(event),
        }
    }

    /// Drops streams that nobody can resume any more.
    pub(crate) fn prune(&mut self, now: Instant) {
        self.background.retain(|stream| !stream.is_stale(now));
        self.calls.retain(|stream| !(stream.has_ended() && stream.is_stale(now)));
        for stream in self.background.iter().chain(&self.calls) {
            stream.drop_read_events(now, false);
        }
        if self.calls.is_empty() {
            self.calls = Vec::new();
        }
        self.drop_excess_answers();
    }

    /// Drops the oldest finished streams past the bound of a session.
    pub(crate) fn drop_excess_answers(&mut self) {
        let (mut count, mut bytes) = (0, 0);
        // Streams are kept from the newest to the oldest.
        for at in (0..self.calls.len()).rev() {
            if !self.calls[at].has_ended() {
                continue;
            }
            count += 1;
            bytes += self.calls[at].bytes();
            if count > FINISHED_MAX || bytes > FINISHED_BYTES_MAX {
                self.calls.remove(at);
            }
        }
    }

    /// Returns the finished streams of calls.
    pub(crate) fn finished(&self) -> Vec<FinishedStream> {
        let ended = self.calls.iter().filter(|stream| stream.has_ended());
        ended
            .map(|stream| {
                let (last_activity, unread) = stream.last_activity();
                FinishedStream { unread, last_activity, stream: stream.clone() }
            })
            .collect()
    }

    /// Returns the streams that nobody has read for a while, with the time of their last reader.
    pub(crate) fn left(&self, now: Instant) -> Vec<(Instant, Arc<EventStream>)> {
        let all = self.background.iter().chain(&self.calls);
        all.filter_map(|stream| Some((stream.left_since(now)?, stream.clone()))).collect()
    }

    /// Drops the stream of a call.
    pub(crate) fn drop_call(&mut self, stream: &Arc<EventStream>) {
        self.calls.retain(|other| !Arc::ptr_eq(other, stream));
    }

    /// Drops all events that were read, since room is needed.
    pub(crate) fn drop_read_events(&self, now: Instant) {
        for stream in self.background.iter().chain(&self.calls) {
            stream.drop_read_events(now, true);
        }
    }

    /// Ends the background streams and forgets those of calls.
    pub(crate) fn end(&mut self) {
        for stream in self.background.drain(..) {
            stream.end();
        }
        self.calls = Vec::new();
    }
}
