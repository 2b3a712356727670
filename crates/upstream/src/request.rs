//! Requests to a server, and the messages that come back for them.

use std::time::Duration;

use http::{HeaderName, HeaderValue, StatusCode};
use mainstay_model::BudgetExceeded;
pub use mainstay_model::Fate;
use mainstay_protocol::tolerant::{Unusable, Why};
use mainstay_protocol::{Edit, Message};

/// The owner of a call, an opaque number from the caller. A message that names no call is
/// attributed only while all calls in flight have one owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionNo(pub u64);

/// A request to send: the client's message, and the edits to make besides that of its id.
#[derive(Debug, Clone)]
pub struct Outgoing<'a> {
    pub message: &'a Message,
    /// The byte range of the progress token, which is replaced by the call's number.
    pub token: Option<std::ops::Range<usize>>,
    pub edits: Vec<Edit<'a>>,
    /// Tool arguments to repeat as headers. Sent only over HTTP to a modern server; the other
    /// mirrored headers are taken from the message as it is sent.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// What a server sends while a call is under way. `Answer` and `Lost` come once and last.
#[derive(Debug)]
pub enum Incoming {
    Answer(Message),
    /// A notification for this call, such as progress or a log message.
    Notification(Message),
    /// A request of the server to the client. Send its answer with
    /// [`Link::send`](crate::Link::send), under the question's own id.
    Question(Message),
    Lost(Lost),
}

/// A request that gets no answer.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{reason}")]
pub struct Lost {
    pub reason: String,
    pub fate: Fate,
    /// Whether the link is closed, so that the caller must wait for a new one.
    pub link_dead: bool,
    /// The HTTP status that came instead of an answer.
    pub status: Option<u16>,
    /// How long the server wants to be left alone.
    pub retry_after: Option<Duration>,
}

// === impl Outgoing ===

impl<'a> Outgoing<'a> {
    /// Sends the message with no edit but that of its id.
    pub fn plain(message: &'a Message) -> Self {
        Self { message, token: None, edits: Vec::new(), headers: Vec::new() }
    }

    /// All edits for the call's number `id`, which also replaces the progress token.
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
        let (status, retry_after) = (None, None);
        Self { reason: reason.into(), fate, link_dead, status, retry_after }
    }

    /// Whether the request is lost although the server responded, or was never asked. Otherwise
    /// the server may be gone.
    pub(crate) fn is_sign_of_life(&self) -> bool {
        self.status.is_some() || !matches!(self.fate, Fate::Unknown | Fate::Unsent)
    }

    pub(crate) fn with_status(self, status: StatusCode) -> Self {
        Self { status: Some(status.as_u16()), ..self }
    }

    /// Adds the wait that the server asked for.
    pub(crate) fn retry_after(self, retry_after: Option<Duration>) -> Self {
        Self { retry_after, ..self }
    }

    pub(crate) fn over_budget(exceeded: BudgetExceeded) -> Self {
        Self::new(exceeded.to_string(), Fate::OverBudget(exceeded), false)
    }

    pub(crate) fn oversized(bytes_max: usize) -> Self {
        let reason = format!("its answer has more than {bytes_max} bytes");
        Self::new(reason, Fate::Oversized, false)
    }

    pub(crate) fn unusable(why: &Unusable) -> Self {
        match why.why {
            Why::TooDeep(_) => Self::new(format!("its answer is {why}"), Fate::TooDeep, false),
            _ => Self::new(format!("its answer can't be used: {why}"), Fate::Unusable, false),
        }
    }
}
