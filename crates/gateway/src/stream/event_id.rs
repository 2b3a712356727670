//! The ids of events, by which clients resume streams with `Last-Event-ID`.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mainstay_protocol::{Id, Message};

/// The name of a stream, which begins the ids of its events: `{stream}.{n}`, and while the answer to a request
/// is to come, `{stream}.{n}.{request}` with the request's id in base64.
///
/// So an id is enough to tell a client what has become of its call, even after a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StreamName {
    pub(super) content: StreamContent,
    pub(super) number: u64,
}

/// Which messages a stream carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum StreamContent {
    /// Background messages of servers.
    Background,
    /// Messages of a call, with the id of its request unless that is long.
    Call(Option<Box<str>>),
}

/// The id of an event, as a client repeats it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EventId {
    pub(super) name: StreamName,
    /// Number of the event in the stream. 0: before the first.
    pub(super) after: u64,
}

/// Longest request id, in bytes, that event ids repeat.
pub(super) const REQUEST_ID_BYTES_MAX: usize = 128;

// === impl StreamName ===

impl StreamName {
    pub(crate) fn background(number: u64) -> Self {
        Self { content: StreamContent::Background, number }
    }

    pub(crate) fn call(number: u64, request: &Id) -> Self {
        let raw = request.as_bytes();
        let short = raw.len() <= REQUEST_ID_BYTES_MAX;
        Self {
            content: StreamContent::Call(short.then(|| URL_SAFE_NO_PAD.encode(raw).into())),
            number,
        }
    }

    /// Returns the id of an event that is not the last.
    pub(crate) fn id(&self, event: u64) -> String {
        match &self.content {
            StreamContent::Call(Some(request)) => format!("p{:x}.{event}.{request}", self.number),
            _ => self.last_id(event),
        }
    }

    /// Returns the id of the last event, after which nothing comes.
    pub(crate) fn last_id(&self, event: u64) -> String {
        let kind = if self.content == StreamContent::Background { 'g' } else { 'p' };
        format!("{kind}{:x}.{event}", self.number)
    }
}

// === impl EventId ===

impl EventId {
    /// Parses the id of an event. None: the daemon never gave it out.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let stream = parts.next()?;
        let number = u64::from_str_radix(stream.get(1..)?, 16).ok()?;
        let after = parts.next()?.parse().ok()?;
        let content = match (stream.as_bytes()[0], parts.next()) {
            (b'g', None) => StreamContent::Background,
            (b'p', request) => StreamContent::Call(request.map(Into::into)),
            _ => return None,
        };
        parts.next().is_none().then_some(Self { name: StreamName { content, number }, after })
    }

    /// Returns the id of a last event that follows this one.
    pub(crate) fn next(&self) -> String {
        self.name.last_id(self.after.saturating_add(1))
    }

    pub(crate) fn stream_number(&self) -> u64 {
        self.name.number
    }

    pub(crate) fn is_of_call(&self) -> bool {
        matches!(self.name.content, StreamContent::Call(_))
    }
}

/// Decodes the request id in an event id. Whatever a client writes there, the result is a valid id
/// or none.
pub(super) fn decode_request_id(encoded: &str) -> Option<Id> {
    let raw = URL_SAFE_NO_PAD.decode(encoded).ok()?;
    if raw.len() > REQUEST_ID_BYTES_MAX {
        return None;
    }
    let request = [br#"{"jsonrpc":"2.0","method":"ping","id":"#, raw.as_slice(), b"}"].concat();
    Message::parse(request.into()).ok()?.id()
}
