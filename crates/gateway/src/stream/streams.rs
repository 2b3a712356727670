//! The streams of a session, and their resumption with `Last-Event-ID`.
//!
//! The specification leaves open what a client gets for an id whose stream is gone. Here it depends on what
//! the client must be waiting for, which the id says: see [`super::event_id::StreamName`] and [`Resumed`].

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use mainstay_protocol::Id;

use super::event_id::{Carries, EventId, request_of};
use super::{EventStream, Reader, TakenUp};

#[cfg(test)]
mod tests;

/// What a client that wants to go on with a stream gets.
#[derive(Debug)]
pub(crate) enum Resumed {
    Goes(Reader),
    /// Nothing is to come on it any more.
    Over,
    /// The answer to this request was to come on it, and is not kept.
    Lost(Id),
    /// It was for what comes of its own accord: any other will do.
    Fresh,
}

/// The streams of one session.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    /// For what comes of its own accord, the newest last.
    standing: Vec<Arc<EventStream>>,
    /// Of calls, the newest last: those under way, and those that ended not long ago.
    of_calls: Vec<Arc<EventStream>>,
}

/// A stream of a call that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Its last reader has not had all of it.
    pub(crate) unread: bool,
    pub(crate) touched: Option<Instant>,
    pub(crate) stream: Arc<EventStream>,
}

/// GET streams a session may have; the oldest gives way, one that nobody reads before others.
const STANDING_MAX: usize = 8;

/// Answers a session may leave behind, and their bytes; the oldest go.
const ENDED_MAX: usize = 64;
const ENDED_BYTES_MAX: usize = 16 << 20;

// === impl Resumed ===

impl Resumed {
    /// What a client is told for the id of an event whose stream is gone.
    fn without(event: &EventId) -> Self {
        match &event.name.of {
            Carries::Standing => Self::Fresh,
            Carries::Call(None) => Self::Over,
            Carries::Call(Some(request)) => match request_of(request) {
                Some(id) => Self::Lost(id),
                None => Self::Fresh,
            },
        }
    }
}

// === impl Streams ===

impl Streams {
    /// Adds one for what comes of its own accord.
    pub(crate) fn stand(&mut self, stream: Arc<EventStream>) {
        self.prune(Instant::now());
        if self.standing.len() >= STANDING_MAX {
            let at = self.standing.iter().position(|stream| !stream.is_open()).unwrap_or(0);
            self.standing.remove(at).give_way();
        }
        self.standing.push(stream);
    }

    /// Adds one for what comes of a call.
    pub(crate) fn begin(&mut self, stream: Arc<EventStream>) {
        self.of_calls.push(stream);
    }

    /// Says something on one stream that is read, the newest first; whether there was one.
    pub(crate) fn say(&self, event: &Bytes) -> bool {
        let mut open = self.standing.iter().rev().filter(|stream| stream.is_open());
        open.any(|stream| stream.offer(event.clone()))
    }

    /// As [`Self::say`], or on one that may be taken up again.
    pub(crate) fn leave_word(&self, event: &Bytes) -> bool {
        self.say(event) || self.standing.iter().rev().any(|stream| stream.offer(event.clone()))
    }

    /// Whether there is one for what comes of its own accord, read at the moment or not.
    pub(crate) fn stands(&self) -> bool {
        !self.standing.is_empty()
    }

    pub(crate) fn is_read(&self) -> bool {
        self.standing.iter().any(|stream| stream.is_open())
    }

    /// Goes on with the stream that an event belongs to. That of a call goes on wherever it began;
    /// what belongs to other streams never comes on it.
    pub(crate) fn resume(&self, event: &EventId) -> Resumed {
        let streams = match event.name.of {
            Carries::Standing => &self.standing,
            Carries::Call(_) => &self.of_calls,
        };
        let number = event.name.number;
        let mut all = streams.iter().rev();
        let found = all.find(|stream| stream.name().is_some_and(|name| name.number == number));
        match found.map(|stream| stream.take_up(event.after)) {
            Some(TakenUp::Goes(reader)) => Resumed::Goes(reader),
            Some(TakenUp::Over) if event.name.of == Carries::Standing => Resumed::Fresh,
            Some(TakenUp::Over) => Resumed::Over,
            Some(TakenUp::Lost) | None => Resumed::without(event),
        }
    }

    /// Lets go of what nobody will come back for.
    pub(crate) fn prune(&mut self, now: Instant) {
        self.standing.retain(|stream| !stream.is_stale(now));
        self.of_calls.retain(|stream| !(stream.has_ended() && stream.is_stale(now)));
        for stream in self.standing.iter().chain(&self.of_calls) {
            stream.forget_read(now, false);
        }
        if self.of_calls.is_empty() {
            self.of_calls = Vec::new();
        }
        self.bound();
    }

    /// Keeps no more answers than a session may leave behind.
    pub(crate) fn bound(&mut self) {
        let (mut count, mut bytes) = (0, 0);
        // The newest are the first to stay.
        for at in (0..self.of_calls.len()).rev() {
            if !self.of_calls[at].has_ended() {
                continue;
            }
            count += 1;
            bytes += self.of_calls[at].bytes();
            if count > ENDED_MAX || bytes > ENDED_BYTES_MAX {
                self.of_calls.remove(at);
            }
        }
    }

    /// Answers that are kept.
    pub(crate) fn ended(&self) -> Vec<Ended> {
        let ended = self.of_calls.iter().filter(|stream| stream.has_ended());
        ended
            .map(|stream| {
                let (touched, unread) = stream.last_touched();
                Ended { unread, touched, stream: stream.clone() }
            })
            .collect()
    }

    /// Lets go of one stream of a call.
    pub(crate) fn forget(&mut self, stream: &Arc<EventStream>) {
        self.of_calls.retain(|other| !Arc::ptr_eq(other, stream));
    }

    /// Lets go of everything that was read, since room is needed.
    pub(crate) fn forget_read(&self, now: Instant) {
        for stream in self.standing.iter().chain(&self.of_calls) {
            stream.forget_read(now, true);
        }
    }

    /// Nothing comes on any of them any more.
    pub(crate) fn end(&mut self) {
        for stream in self.standing.drain(..) {
            stream.end();
        }
        self.of_calls = Vec::new();
    }
}
