//! The streams of a session, and their resumption with `Last-Event-ID`.
//!
//! The specification leaves open what a client gets for an id whose stream is gone. Here it depends on what
//! the client must be waiting for, which the id says: see [`super::event_id::StreamName`] and [`Resumed`].

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use mainstay_protocol::Id;

use super::event_id::{EventId, StreamContent, decode_request_id};
use super::{EventStream, Reader, StreamResume};

#[cfg(test)]
mod tests;

/// What a client that wants to go on with a stream gets.
#[derive(Debug)]
pub(crate) enum Resumed {
    Continues(Reader),
    /// Nothing is to come on it any more.
    Complete,
    /// The answer to this request was to come on it, and is not kept.
    AnswerLost(Id),
    /// It was for what comes of its own accord: any other will do.
    NewStream,
}

/// The streams of one session.
#[derive(Debug, Default)]
pub(crate) struct SessionStreams {
    /// For what comes of its own accord, the newest last.
    background: Vec<Arc<EventStream>>,
    /// Of calls, the newest last: those under way, and those that ended not long ago.
    calls: Vec<Arc<EventStream>>,
}

/// A stream of a call that has ended.
#[derive(Debug)]
pub(crate) struct FinishedStream {
    /// Its last reader has not had all of it.
    pub(crate) unread: bool,
    pub(crate) last_activity: Option<Instant>,
    pub(crate) stream: Arc<EventStream>,
}

/// GET streams a session may have; the oldest gives way, one that nobody reads before others.
const BACKGROUND_STREAMS_MAX: usize = 8;

/// Answers a session may leave behind, and their bytes; the oldest go.
const FINISHED_MAX: usize = 64;
const FINISHED_BYTES_MAX: usize = 16 << 20;

// === impl Resumed ===

impl Resumed {
    /// What a client is told for the id of an event whose stream is gone.
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
    /// Adds one for what comes of its own accord.
    pub(crate) fn add_background(&mut self, stream: Arc<EventStream>) {
        self.prune(Instant::now());
        if self.background.len() >= BACKGROUND_STREAMS_MAX {
            let at = self.background.iter().position(|stream| !stream.is_open()).unwrap_or(0);
            self.background.remove(at).displace();
        }
        self.background.push(stream);
    }

    /// Adds one for what comes of a call.
    pub(crate) fn add_call(&mut self, stream: Arc<EventStream>) {
        self.calls.push(stream);
    }

    /// Says something on one stream that is read, the newest first; whether there was one.
    pub(crate) fn send_background(&self, event: &Bytes) -> bool {
        let mut open = self.background.iter().rev().filter(|stream| stream.is_open());
        open.any(|stream| stream.try_push(event.clone()))
    }

    /// As [`Self::send_background`], or on one that may be taken up again.
    pub(crate) fn queue_background(&self, event: &Bytes) -> bool {
        self.send_background(event)
            || self.background.iter().rev().any(|stream| stream.try_push(event.clone()))
    }

    /// Whether there is one for what comes of its own accord, read at the moment or not.
    pub(crate) fn has_background(&self) -> bool {
        !self.background.is_empty()
    }

    pub(crate) fn is_background_read(&self) -> bool {
        self.background.iter().any(|stream| stream.is_open())
    }

    /// Goes on with the stream that an event belongs to. That of a call goes on wherever it began;
    /// what belongs to other streams never comes on it.
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

    /// Lets go of what nobody will come back for.
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

    /// Keeps no more answers than a session may leave behind.
    pub(crate) fn drop_excess_answers(&mut self) {
        let (mut count, mut bytes) = (0, 0);
        // The newest are the first to stay.
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

    /// Answers that are kept.
    pub(crate) fn finished(&self) -> Vec<FinishedStream> {
        let ended = self.calls.iter().filter(|stream| stream.has_ended());
        ended
            .map(|stream| {
                let (last_activity, unread) = stream.last_activity();
                FinishedStream { unread, last_activity, stream: stream.clone() }
            })
            .collect()
    }

    /// Lets go of one stream of a call.
    pub(crate) fn drop_call(&mut self, stream: &Arc<EventStream>) {
        self.calls.retain(|other| !Arc::ptr_eq(other, stream));
    }

    /// Lets go of everything that was read, since room is needed.
    pub(crate) fn drop_read_events(&self, now: Instant) {
        for stream in self.background.iter().chain(&self.calls) {
            stream.drop_read_events(now, true);
        }
    }

    /// Nothing comes on any of them any more.
    pub(crate) fn end(&mut self) {
        for stream in self.background.drain(..) {
            stream.end();
        }
        self.calls = Vec::new();
    }
}
