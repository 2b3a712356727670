//! Messages of servers, read as tolerantly as their meaning allows.
//!
//! [`Message::parse`] is strict, as clients have to be: it decides what Mainstay passes on. Servers in the
//! field send answers that their usual clients cope with, or whose meaning is clear:
//!
//! - `"error": null` beside a result, or `"result": null` beside an error, as in JSON-RPC 1.0 (the official
//!   Python SDK reads both);
//! - an answer whose `jsonrpc` is missing or another, and which has nothing but an id and a result or error;
//! - a byte order mark before a message, as programs on Windows write it.
//!
//! Such an answer is written anew, so that strict clients get one they accept. For any other answer that
//! can't be used, [`Unusable`] says what is wrong and, where that can be told, which request it answers.

use std::borrow::Cow;
use std::fmt;

use bytes::Bytes;
use serde::Deserialize;

use crate::depth::within_depth;
use crate::outline::{Outline, last_id};
use crate::scan::members;
use crate::{Kind, Malformed, Message, envelope, id};

#[cfg(test)]
mod tests;

/// The error for bytes of a server that can't be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unusable {
    pub why: Why,
    /// What the bytes were meant to be.
    pub meant: Meant,
}

/// Why bytes can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    #[error("{0}")]
    Malformed(#[from] Malformed),
    /// Arrays and objects nest deeper than so many levels.
    #[error("nested deeper than {0} levels")]
    TooDeep(usize),
    /// An error without the members that clients need. Has the beginning of its text.
    #[error("`error` must be an object with an integer `code` and a string `message`, not {0}")]
    NoError(String),
}

/// What bytes that can't be used were meant to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meant {
    /// Not an answer, as far as can be told: a log line, a notification, a request.
    NoAnswer,
    /// An answer to the request of ours with this id. `None` if the id can't be told. Errors may have any
    /// id, so it is `None` as well for one whose id is not ours.
    Answer(Option<u64>),
    /// A result whose id can be told and is not ours.
    ForeignResult,
}

/// The members of an error that clients need.
#[derive(Deserialize)]
struct ErrorMembers<'a> {
    #[expect(dead_code, reason = "only its type is checked")]
    code: i64,
    #[expect(dead_code, reason = "only its type is checked")]
    #[serde(borrow)]
    message: Cow<'a, str>,
}

members! {
    /// The members of an answer.
    Answer {
        jsonrpc = "jsonrpc",
        id = "id",
        result = "result",
        error = "error",
    }
}

/// The character U+FEFF in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The longest text of an error in [`Why::NoError`], in characters.
const ERROR_CHARS_MAX: usize = 200;

/// Reads a message of a server, which may nest `depth_max` levels deep.
///
/// # Errors
/// [`Unusable`] if the bytes are no message, and can't be read as an answer either.
pub fn read(bytes: &Bytes, depth_max: usize) -> Result<Message, Unusable> {
    match bytes.first() {
        Some(&b'{') => read_unmarked(bytes, depth_max),
        _ => read_unmarked(&unmarked(bytes), depth_max),
    }
}

/// The bytes without a byte order mark at their beginning.
fn unmarked(bytes: &Bytes) -> Bytes {
    match bytes.strip_prefix(BYTE_ORDER_MARK) {
        Some(rest) => bytes.slice_ref(rest),
        None => bytes.clone(),
    }
}

fn read_unmarked(bytes: &Bytes, depth_max: usize) -> Result<Message, Unusable> {
    if !within_depth(bytes, depth_max) {
        return Err(Unusable { why: Why::TooDeep(depth_max), meant: Meant::of(bytes) });
    }
    match Message::parse(bytes.clone()) {
        Ok(message) if message.kind() == Kind::Error => with_error(message),
        Ok(message) => Ok(message),
        Err(why) => mended(bytes, why),
    }
}

/// Checks an error answer. A client could not tell its user anything about one without code or message, and
/// SDKs ignore it.
fn with_error(message: Message) -> Result<Message, Unusable> {
    let error = message.body().unwrap_or_default();
    let usable = error.starts_with('{') && serde_json::from_str::<ErrorMembers<'_>>(error).is_ok();
    if usable {
        return Ok(message);
    }
    let mut text: String = error.chars().take(ERROR_CHARS_MAX).collect();
    if text.len() < error.len() {
        text.push('…');
    }
    Err(Unusable { why: Why::NoError(text), meant: Meant::Answer(message.id_number()) })
}

/// Writes an answer anew whose meaning is clear.
#[cold]
fn mended(bytes: &Bytes, why: Malformed) -> Result<Message, Unusable> {
    match rewritten(bytes).and_then(|bytes| Message::parse(bytes).ok()) {
        Some(message) if message.kind() == Kind::Error => with_error(message),
        Some(message) => Ok(message),
        None => Err(Unusable { meant: Meant::of(bytes), why: why.into() }),
    }
}

fn rewritten(bytes: &Bytes) -> Option<Bytes> {
    let outline = Outline::of(bytes).filter(|outline| outline.is_complete)?;
    let text = std::str::from_utf8(bytes).ok()?;
    let answer = Answer::parse(text.trim_ascii_start()).ok()?;
    // Lines of a log may have an id and a result, too.
    let is_message = answer.jsonrpc == Some("\"2.0\"") || !outline.has_others;
    if outline.has_method || !is_message {
        return None;
    }
    let id = answer.id?;
    let is_absent = |member: Option<&str>| member.is_none_or(|text| text == "null");
    let body = match (answer.result, answer.error) {
        (Some(result), error) if is_absent(error) => format!("\"result\":{result}"),
        (result, Some(error)) if is_absent(result) => format!("\"error\":{error}"),
        _ => return None,
    };
    Some(Bytes::from(format!(r#"{{"jsonrpc":"2.0","id":{id},{body}}}"#)))
}

// === impl Meant ===

impl Meant {
    /// Determines what unusable bytes were meant to be.
    ///
    /// An answer has `result` or `error`, or at least an id and no method. Where `jsonrpc` is missing, it has
    /// no member but those of JSON-RPC: programs also print JSON objects to their log.
    pub fn of(bytes: &[u8]) -> Self {
        let Some(outline) = Outline::of(bytes) else { return Self::NoAnswer };
        let is_bare = outline.is_complete && outline.id.is_some() && !outline.has_method;
        let is_message = outline.has_jsonrpc || !outline.has_others;
        if !is_message || !(outline.answers || is_bare && outline.has_jsonrpc) {
            return Self::NoAnswer;
        }
        let id = match outline.id {
            _ if outline.has_more_ids => None,
            Some(id) => match id::number(id) {
                None if !outline.has_error => return Self::ForeignResult,
                number => number,
            },
            None if outline.is_complete => None,
            None => last_id(bytes).and_then(id::number),
        };
        Self::Answer(id)
    }

    /// The request of ours that is answered.
    pub fn answered_id(self) -> Option<u64> {
        match self {
            Self::NoAnswer | Self::ForeignResult => None,
            Self::Answer(id) => id,
        }
    }
}

// === impl Unusable ===

impl Unusable {
    /// Whether the bytes are a batch, which can be used message by message.
    pub fn is_batch(&self) -> bool {
        self.why == Why::Malformed(Malformed::Batch)
    }

    /// The messages of a batch, which are not read yet. Empty for anything else.
    pub fn parts(&self, bytes: &Bytes) -> Vec<Bytes> {
        match self.is_batch() {
            true => envelope::batch(&unmarked(bytes)).unwrap_or_default(),
            false => Vec::new(),
        }
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.why.fmt(f)
    }
}
