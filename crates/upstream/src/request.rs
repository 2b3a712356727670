//! A request to a server, and what can come back for it.

use http::{HeaderName, HeaderValue};
pub use mainstay_model::Fate;
use mainstay_protocol::{Edit, Message};

/// Whose call it is: opaque here, given by the caller. Messages of a server that name no call
/// can be attributed only while all calls in flight have one owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionNo(pub u64);

/// A request to send: the message as it came, and what to change in it beside its id.
#[derive(Debug, Clone)]
pub struct Outgoing<'a> {
    pub message: &'a Message,
    /// Where the progress token stands; it is replaced by one of ours.
    pub token: Option<std::ops::Range<usize>>,
    pub edits: Vec<Edit<'a>>,
    /// Arguments that a tool wants repeated as headers. Only sent over HTTP to a modern server; what
    /// else repeats the message there is taken from it as it is sent.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// What a server sends while a call is under way. `Answer` and `Lost` come once and last.
#[derive(Debug)]
pub enum Incoming {
    Answer(Message),
    /// Belongs to this call: progress, log messages.
    Notification(Message),
    /// A request of the server to the client. Answer it with [`Link::send`](crate::Link::send), under its own id.
    Question(Message),
    Lost(Lost),
}

/// The answer will never come.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{reason}")]
pub struct Lost {
    pub reason: String,
    pub fate: Fate,
    /// Whether the link is of no further use, so that a new one must be waited for.
    pub link_dead: bool,
}

// === impl Outgoing ===

impl<'a> Outgoing<'a> {
    /// The message with nothing changed but its id.
    pub fn plain(message: &'a Message) -> Self {
        Self { message, token: None, edits: Vec::new(), headers: Vec::new() }
    }

    /// All edits for our id `id`; the token is the same number, so one table serves both.
    pub(crate) fn edits<'b>(&'b self, id: &'b [u8]) -> Vec<Edit<'b>> {
        let mut edits = Vec::with_capacity(self.edits.len() + 2);
        if let Some(span) = self.message.id_span() {
            edits.push(Edit::new(span, id));
        }
        if let Some(span) = &self.token {
            edits.push(Edit::new(span.clone(), id));
        }
        edits.extend(self.edits.iter().cloned());
        edits
    }
}

// === impl Lost ===

impl Lost {
    pub(crate) fn new(reason: impl Into<String>, fate: Fate, link_dead: bool) -> Self {
        Self { reason: reason.into(), fate, link_dead }
    }

    pub(crate) fn oversized(bytes_max: usize) -> Self {
        let reason = format!("its answer has more than {bytes_max} bytes");
        Self::new(reason, Fate::Oversized, false)
    }
}
