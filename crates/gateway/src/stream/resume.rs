//! Streams that clients take up again with `Last-Event-ID`: what their events are called, and which
//! of them a session still has.
//!
//! The specification leaves open what an id gets that can't be honoured. Here it depends on what
//! the client must be waiting for, and the id says so: see [`Name`] and [`Resumed`].

use std::sync::Arc;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use mainstay_protocol::{Id, Message};

use crate::stream::{EventStream, Reader, TakenUp};

#[cfg(test)]
mod tests;

/// What the events of one stream are called by: `{stream}.{n}`, and while the answer to a request
/// is to come, `{stream}.{n}.{request}` with the request's id in base64.
///
/// So an id is enough to tell a client what has become of its call, even after a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name {
    of: Of,
    number: u64,
}

/// What a stream carries.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Of {
    /// What comes of its own accord.
    Standing,
    /// What comes of a call, with its request's id unless that is a long one.
    Call(Option<Box<str>>),
}

/// An event a client names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EventId {
    name: Name,
    /// Its place in the stream; before the first: 0.
    after: u64,
}

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

/// Longer ids are not repeated in those of events.
const REQUEST_ID_BYTES_MAX: usize = 128;

// === impl Name ===

impl Name {
    pub(crate) fn standing(number: u64) -> Self {
        Self { of: Of::Standing, number }
    }

    pub(crate) fn call(number: u64, request: &Id) -> Self {
        let raw = request.as_bytes();
        let short = raw.len() <= REQUEST_ID_BYTES_MAX;
        Self { of: Of::Call(short.then(|| URL_SAFE_NO_PAD.encode(raw).into())), number }
    }

    /// The id of an event before the last.
    pub(crate) fn id(&self, event: u64) -> String {
        match &self.of {
            Of::Call(Some(request)) => format!("p{:x}.{event}.{request}", self.number),
            _ => self.last_id(event),
        }
    }

    /// The id of the last event: nothing is to come after it.
    pub(crate) fn last_id(&self, event: u64) -> String {
        let of = if self.of == Of::Standing { 'g' } else { 'p' };
        format!("{of}{:x}.{event}", self.number)
    }
}

// === impl EventId ===

impl EventId {
    /// None for what is no id of ours.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let stream = parts.next()?;
        let number = u64::from_str_radix(stream.get(1..)?, 16).ok()?;
        let after = parts.next()?.parse().ok()?;
        let of = match (stream.as_bytes()[0], parts.next()) {
            (b'g', None) => Of::Standing,
            (b'p', request) => Of::Call(request.map(Into::into)),
            _ => return None,
        };
        parts.next().is_none().then_some(Self { name: Name { of, number }, after })
    }

    /// The id of a last event after this one.
    pub(crate) fn next(&self) -> String {
        self.name.last_id(self.after.saturating_add(1))
    }

    pub(crate) fn is_of_call(&self) -> bool {
        matches!(self.name.of, Of::Call(_))
    }

    /// What the client can be told when there is no such stream.
    fn without_stream(&self) -> Resumed {
        match &self.name.of {
            Of::Standing => Resumed::Fresh,
            Of::Call(None) => Resumed::Over,
            Of::Call(Some(request)) => match request_of(request) {
                Some(id) => Resumed::Lost(id),
                None => Resumed::Fresh,
            },
        }
    }
}

/// The id in the id of an event: whatever a client writes there, only an id comes out.
fn request_of(encoded: &str) -> Option<Id> {
    let raw = URL_SAFE_NO_PAD.decode(encoded).ok()?;
    if raw.len() > REQUEST_ID_BYTES_MAX {
        return None;
    }
    let request = [br#"{"jsonrpc":"2.0","method":"ping","id":"#, raw.as_slice(), b"}"].concat();
    Message::parse(request.into()).ok()?.id()
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
            Of::Standing => &self.standing,
            Of::Call(_) => &self.of_calls,
        };
        let number = event.name.number;
        let mut all = streams.iter().rev();
        let found = all.find(|stream| stream.name().is_some_and(|name| name.number == number));
        match found.map(|stream| stream.take_up(event.after)) {
            Some(TakenUp::Goes(reader)) => Resumed::Goes(reader),
            Some(TakenUp::Over) if event.name.of == Of::Standing => Resumed::Fresh,
            Some(TakenUp::Over) => Resumed::Over,
            Some(TakenUp::Lost) | None => event.without_stream(),
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
