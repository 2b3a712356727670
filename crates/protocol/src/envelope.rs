//! JSON-RPC envelopes over raw bytes.
//!
//! A single pass validates the whole message and records the spans of its members. It does not decode
//! `params`, `result` or `error`; [`crate::params`] does that where it is needed. Messages follow JSON-RPC
//! 2.0 as MCP restricts it: ids are strings or numbers, and `null` only in an error response to a request
//! that could not be parsed. Duplicate members are refused, because client and server could disagree about
//! which one counts.

use std::ops::Range;

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::edit::{Edit, splice};
use crate::scan::members;
use crate::{Id, Method};

/// A JSON-RPC message: its bytes and the spans of its members.
#[derive(Debug, Clone)]
pub struct Message {
    bytes: Bytes,
    kind: Kind,
    id: Option<Span>,
    method: Option<Text>,
    /// `params`, `result` or `error`.
    body: Option<Span>,
}

/// The kind of a JSON-RPC message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Request,
    Notification,
    /// A response with a `result`.
    Result,
    /// A response with an `error`.
    Error,
}

/// The error for bytes that are not a valid message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The bytes are not JSON: code -32700.
    #[error("not JSON: {0}")]
    NotJson(String),
    /// The bytes are JSON, but not a JSON-RPC message: code -32600. Has the id if it could be parsed.
    #[error("not a JSON-RPC message: {reason}")]
    NotAMessage { reason: String, id: Option<Id> },
    /// An array of messages, which only revision 2025-03-26 allows.
    #[error("batches are not supported: send one message at a time")]
    Batch,
}

/// The beginning of the JSON text of every notification's method.
const NOTIFICATIONS: &str = "\"notifications/";

/// A byte range in a message. Offsets have 32 bits, because message sizes are limited far below 4 GiB.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: u32,
    end: u32,
}

/// The content of a JSON string. It is kept in place if it has no escapes, as in practice it never has.
#[derive(Debug, Clone)]
enum Text {
    /// The name of a known method.
    Known(&'static str),
    InPlace(Span),
    Unescaped(Box<str>),
}

members! {
    Wire {
        jsonrpc = "jsonrpc",
        id = "id",
        method = "method",
        params = "params",
        result = "result",
        error = "error",
    }
}

// === impl Message ===

impl Message {
    /// Parses a message in one pass, without copying the bytes and without recursion.
    ///
    /// # Errors
    /// [`Malformed`] if the bytes are not a single valid message.
    pub fn parse(bytes: Bytes) -> Result<Self, Malformed> {
        let text = std::str::from_utf8(&bytes).map_err(|error| {
            Malformed::NotJson(format!("invalid UTF-8 at byte {}", error.valid_up_to()))
        })?;
        if u32::try_from(text.len()).is_err() {
            return Err(not_a_message("larger than 4 GiB", None));
        }
        // serde would also accept an array, with the members in order.
        if !text.trim_ascii_start().starts_with('{') {
            return Err(why_no_object(text));
        }
        let wire = match Wire::parse(text) {
            Ok(wire) => wire,
            Err(error) if error.is_data() => return Err(not_a_message(&error.to_string(), None)),
            Err(error) => return Err(Malformed::NotJson(error.to_string())),
        };
        let id = match wire.id {
            None => None,
            Some("null") => None,
            Some(raw) if is_id(raw) => Some(Span::of(text, raw)),
            Some(_) => return Err(not_a_message("`id` must be a string or a number", None)),
        };
        let null_id = wire.id.is_some() && id.is_none();
        let refuse = |reason: &str| {
            let id = id.map(|id| Id::from_raw(bytes.slice(id.range())));
            Err(not_a_message(reason, id.as_ref()))
        };
        if wire.jsonrpc != Some("\"2.0\"") {
            return refuse("`jsonrpc` must be \"2.0\"");
        }
        let (kind, body) = match (wire.method, wire.result, wire.error) {
            // Some serialisers write the absent id of a notification as null.
            (Some(method), None, None) if null_id && method.starts_with(NOTIFICATIONS) => {
                (Kind::Notification, wire.params)
            }
            (Some(_), None, None) if null_id => return refuse("`id` must not be null"),
            (Some(_), None, None) if id.is_some() => (Kind::Request, wire.params),
            (Some(_), None, None) => (Kind::Notification, wire.params),
            (None, Some(result), None) if id.is_some() => (Kind::Result, Some(result)),
            (None, Some(_), None) => return refuse("a result must have an `id`"),
            (None, None, Some(error)) => (Kind::Error, Some(error)),
            (None, None, None) => return refuse("`method`, `result` or `error` is missing"),
            _ => return refuse("only one of `method`, `result` and `error` is allowed"),
        };
        let method = match wire.method {
            None => None,
            Some(raw) => match Text::of(text, raw) {
                Some(method) => Some(method),
                None => return refuse("`method` must be a string"),
            },
        };
        let body = body.map(|raw| Span::of(text, raw));
        Ok(Self { bytes, kind, id, method, body })
    }

    /// The kind of the message.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The bytes of the whole message.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    pub fn into_bytes(self) -> Bytes {
        self.bytes
    }

    /// The id. `None` for notifications, and for errors without an id.
    pub fn id(&self) -> Option<Id> {
        self.id.map(|id| Id::from_raw(self.bytes.slice(id.range())))
    }

    /// The id as a number, if Mainstay can have assigned it (see [`Id::as_number`]).
    pub fn id_number(&self) -> Option<u64> {
        crate::id::number(&self.bytes[self.id?.range()])
    }

    /// The byte range of the id.
    pub fn id_span(&self) -> Option<Range<usize>> {
        self.id.map(Span::range)
    }

    /// The method. Empty for responses.
    pub fn method(&self) -> &str {
        match &self.method {
            None => "",
            Some(Text::Known(text)) => text,
            Some(Text::InPlace(span)) => self.text(span.range()),
            Some(Text::Unescaped(text)) => text,
        }
    }

    /// `params`, `result` or `error`, as JSON text.
    pub fn body(&self) -> Option<&str> {
        self.body.map(|span| self.text(span.range()))
    }

    /// The byte range of `params`, `result` or `error`.
    pub fn body_span(&self) -> Option<Range<usize>> {
        self.body.map(Span::range)
    }

    /// `params`, `result` or `error` as bytes that share the message's memory.
    pub fn body_bytes(&self) -> Option<Bytes> {
        self.body.map(|span| self.bytes.slice(span.range()))
    }

    /// Whether the message is a response.
    pub fn is_answer(&self) -> bool {
        matches!(self.kind, Kind::Result | Kind::Error)
    }

    /// The bytes of the message with another id. The message must have an id.
    pub fn with_id(&self, id: &[u8]) -> Bytes {
        let span = self.id.map_or(0..0, Span::range);
        splice(&self.bytes, &mut [Edit::new(span, id)])
    }

    /// The byte range of a text that was borrowed from this message, for edits.
    pub fn span_of(&self, inner: &str) -> Range<usize> {
        let start = inner.as_ptr() as usize - self.bytes.as_ptr() as usize;
        debug_assert!(start + inner.len() <= self.bytes.len(), "not a part of the message");
        start..start + inner.len()
    }

    fn text(&self, range: Range<usize>) -> &str {
        // `parse` has validated the message as UTF-8, and spans begin and end at ASCII characters.
        std::str::from_utf8(&self.bytes[range]).unwrap_or_default()
    }
}

// === impl Span ===

impl Span {
    /// The byte range of `inner` in `whole`. `inner` must be borrowed from `whole`.
    fn of(whole: &str, inner: &str) -> Self {
        let start = inner.as_ptr() as usize - whole.as_ptr() as usize;
        debug_assert!(start + inner.len() <= whole.len(), "not a part of the message");
        Self { start: start as u32, end: (start + inner.len()) as u32 }
    }

    fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

// === impl Text ===

impl Text {
    fn of(whole: &str, raw: &str) -> Option<Self> {
        let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
        if let Some(method) = Method::parse(inner) {
            return Some(Self::Known(method.as_str()));
        }
        if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
            return Some(Self::InPlace(Span::of(whole, inner)));
        }
        serde_json::from_str::<String>(raw).ok().map(|text| Self::Unescaped(text.into()))
    }
}

// === impl Malformed ===

impl Malformed {
    /// The JSON-RPC error code (JSON-RPC 2.0 §5.1).
    pub fn code(&self) -> i32 {
        match self {
            Self::NotJson(_) => -32700,
            Self::NotAMessage { .. } | Self::Batch => -32600,
        }
    }

    /// The id of the request, if it could be parsed.
    pub fn id(&self) -> Option<&Id> {
        match self {
            Self::NotAMessage { id, .. } => id.as_ref(),
            Self::NotJson(_) | Self::Batch => None,
        }
    }
}

/// Splits a batch into its messages, which are not parsed yet.
///
/// # Errors
/// [`Malformed`] if the bytes are not a JSON array, or an empty one.
pub fn batch(bytes: &Bytes) -> Result<Vec<Bytes>, Malformed> {
    let messages: Vec<&RawValue> =
        serde_json::from_slice(bytes).map_err(|error| Malformed::NotJson(error.to_string()))?;
    if messages.is_empty() {
        return Err(not_a_message("the batch is empty", None));
    }
    Ok(messages.iter().map(|message| bytes.slice_ref(message.get().as_bytes())).collect())
}

// === helpers ===

fn is_id(raw: &str) -> bool {
    matches!(raw.as_bytes().first(), Some(b'"' | b'-' | b'0'..=b'9'))
}

fn not_a_message(reason: &str, id: Option<&Id>) -> Malformed {
    Malformed::NotAMessage { reason: reason.to_owned(), id: id.map(Id::detached) }
}

/// The error for a text that is not an object. Off the fast path.
fn why_no_object(text: &str) -> Malformed {
    match serde_json::from_str::<&RawValue>(text) {
        Ok(_) if text.trim_ascii_start().starts_with('[') => Malformed::Batch,
        Ok(_) => not_a_message("a message must be an object", None),
        Err(error) => Malformed::NotJson(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
