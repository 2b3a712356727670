//! Server-sent events, as defined by the WHATWG HTML standard, sections "Parsing an event stream" and
//! "Interpreting an event stream".
//!
//! A stream consists of lines that end in LF, CR or CRLF. A line is a field (`field: value`, where one
//! space after the colon is not part of the value), a comment if it starts with a colon, or the end of an
//! event if it is empty. Several `data` lines are joined by LF. An event that is cut off by the end of the
//! stream is discarded.
//!
//! The decoder differs from a browser in one point: it also returns events without data. MCP uses them to
//! give a client an id to resume from before the first message (priming events, 2025-11-25).

use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};

use super::Ends;
use super::buffer::{ScanBuffer, pass_byte_order_mark};

#[cfg(test)]
mod tests;

/// A comment. It has no meaning and keeps idle connections open through proxies.
pub const COMMENT: &[u8] = b":\n\n";

const LINE_BREAKS: [char; 2] = ['\n', '\r'];

/// The prefix of a data line.
const DATA: &[u8] = b"data:";

/// A server-sent event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// The event type. `None` for `message`, the default type.
    pub event: Option<String>,
    /// The id to resume from, if the event sets one. An empty id resets it.
    pub id: Option<String>,
    /// The reconnection delay, if the event sets one.
    pub retry: Option<Duration>,
    /// The data. Empty if the event only has an id or a delay. Not validated as UTF-8.
    pub data: Bytes,
}

/// Splits a stream of bytes into events. Used like [`super::lines::LineDecoder`].
#[derive(Debug)]
pub struct SseDecoder {
    buffer: ScanBuffer,
    max_event_bytes: usize,
    /// Whether the start of the stream was checked for a byte order mark.
    started: bool,
    /// Whether the last line ended in CR, so that an LF right after it belongs to the same line end.
    after_carriage_return: bool,
    pending: Pending,
    passing: Option<Passing>,
}

/// The error for an event that is larger than allowed. The event is discarded; later events are not
/// affected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event is larger than {max_event_bytes} bytes")]
pub struct EventTooLarge {
    pub max_event_bytes: usize,
    /// The first and the last bytes of the event's data.
    pub ends: Ends,
}

/// The current, unfinished event.
#[derive(Debug, Default)]
struct Pending {
    event: Event,
    /// The data of several lines, joined in a copy.
    joined: Option<BytesMut>,
    has_data: bool,
    /// Whether a field was read, so that a blank line ends an event.
    begun: bool,
    /// The total length of the event's lines, for the limit.
    bytes: usize,
}

/// The current event if it is too large: its ends, and the position in the current line.
#[derive(Debug)]
struct Passing {
    ends: Ends,
    at: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    LineStart,
    /// In a `data` line.
    Data,
    /// In any other line.
    Other,
}

// === impl SseDecoder ===

impl SseDecoder {
    /// A decoder that refuses events whose lines add up to more than `max_event_bytes`.
    pub fn new(max_event_bytes: usize) -> Self {
        Self {
            buffer: ScanBuffer::default(),
            max_event_bytes,
            started: false,
            after_carriage_return: false,
            pending: Pending::default(),
            passing: None,
        }
    }

    /// Adds input.
    pub fn push(&mut self, chunk: &[u8]) {
        self.buffer.push(chunk);
    }

    /// The input buffer, with at least 8 KiB of spare capacity. Only append to it.
    pub fn buffer_mut(&mut self) -> &mut BytesMut {
        self.buffer.room()
    }

    /// The next complete event. `None` if more input is needed.
    ///
    /// # Errors
    /// [`EventTooLarge`], once for each event that is too large, when its end is reached.
    pub fn next_event(&mut self) -> Option<Result<Event, EventTooLarge>> {
        self.started = self.started || pass_byte_order_mark(&mut self.buffer);
        if !self.started {
            return None;
        }
        while let Some(line) = self.next_line() {
            if let Some(passing) = &mut self.passing {
                let event_ends = line.is_empty() && passing.at == Place::LineStart;
                passing.piece(&line);
                passing.at = Place::LineStart;
                if event_ends {
                    let max_event_bytes = self.max_event_bytes;
                    let ends = self.passing.take().map(|it| it.ends.close()).unwrap_or_default();
                    return Some(Err(EventTooLarge { max_event_bytes, ends }));
                }
            } else if line.is_empty() {
                if let Some(event) = self.pending.take() {
                    return Some(Ok(event));
                }
            } else if self.pending.bytes + line.len() > self.max_event_bytes {
                let mut passing = Passing::after(&self.pending.take().unwrap_or_default());
                passing.piece(&line);
                passing.at = Place::LineStart;
                self.passing = Some(passing);
            } else {
                self.pending.field(&line);
            }
        }
        self.pass_overflow();
        None
    }

    /// The bytes of the unfinished event that are held.
    pub fn held_bytes(&self) -> usize {
        self.buffer.len() + self.pending.bytes
    }

    /// Discards the unfinished event, as if it were too large: [`next_event`](Self::next_event) reports it at
    /// its end.
    pub fn give_up_event(&mut self) {
        if self.passing.is_none() {
            self.passing = Some(Passing::after(&self.pending.take().unwrap_or_default()));
        }
        self.pass_overflow();
    }

    /// Whether the event under way is too large already. It will be reported at its end, for which
    /// whoever wants nothing else need not wait.
    pub fn is_overflowing(&self) -> bool {
        self.passing.is_some()
    }

    fn next_line(&mut self) -> Option<Bytes> {
        if self.after_carriage_return && !self.buffer.is_empty() {
            self.after_carriage_return = false;
            if self.buffer.as_slice().starts_with(b"\n") {
                self.buffer.skip(1);
            }
        }
        let end = self.buffer.find(|bytes| memchr::memchr2(b'\n', b'\r', bytes))?;
        self.after_carriage_return = self.buffer.as_slice()[end] == b'\r';
        Some(self.buffer.take_line(end))
    }

    /// Discards the buffered part of an event that is already too large.
    fn pass_overflow(&mut self) {
        let held = self.buffer.as_slice();
        if self.passing.is_none()
            && !held.is_empty()
            && self.pending.bytes + held.len() > self.max_event_bytes
        {
            self.passing = Some(Passing::after(&self.pending.take().unwrap_or_default()));
        }
        if let Some(passing) = &mut self.passing
            // The kind of a line can't be determined from fewer bytes.
            && (passing.at != Place::LineStart || held.len() > DATA.len())
        {
            passing.piece(held);
            self.buffer.clear();
        }
    }
}

// === impl Passing ===

impl Passing {
    /// Starts to discard an event. `event` has its lines so far.
    fn after(event: &Event) -> Self {
        let mut ends = Ends::default();
        ends.push(&event.data);
        Self { ends, at: Place::LineStart }
    }

    /// Adds the next piece of the current line.
    fn piece(&mut self, piece: &[u8]) {
        let mut piece = piece;
        if self.at == Place::LineStart
            && let Some(value) = piece.strip_prefix(DATA)
        {
            piece = value.strip_prefix(b" ").unwrap_or(value);
            self.at = Place::Data;
            if !self.ends.is_empty() {
                self.ends.push(b"\n");
            }
        } else if self.at == Place::LineStart {
            self.at = Place::Other;
        }
        if self.at == Place::Data {
            self.ends.push(piece);
        }
    }
}

// === impl Pending ===

impl Pending {
    /// Adds a line that is not empty. Ignores comments and unknown fields.
    fn field(&mut self, line: &Bytes) {
        let (name, value) = match memchr::memchr(b':', line) {
            Some(colon) if line.get(colon + 1) == Some(&b' ') => (colon, colon + 2),
            Some(colon) => (colon, colon + 1),
            None => (line.len(), line.len()),
        };
        let text = || String::from_utf8_lossy(&line[value..]).into_owned();
        match &line[..name] {
            b"data" => self.data(line.slice(value..)),
            b"event" => self.event.event = Some(text()).filter(|name| !is_message(name)),
            // The standard ignores ids with a NUL; they could not be sent back in a header.
            b"id" if !line.contains(&0) => self.event.id = Some(text()),
            b"retry" => match milliseconds(&line[value..]) {
                Some(delay) => self.event.retry = Some(delay),
                None => return,
            },
            _ => return,
        }
        self.begun = true;
        self.bytes += line.len() + 1;
    }

    fn data(&mut self, value: Bytes) {
        if !self.has_data {
            self.has_data = true;
            self.event.data = value;
            return;
        }
        let first = &self.event.data;
        let joined = self.joined.get_or_insert_with(|| BytesMut::from(&first[..]));
        joined.put_u8(b'\n');
        joined.extend_from_slice(&value);
    }

    fn take(&mut self) -> Option<Event> {
        let Self { mut event, joined, begun, .. } = std::mem::take(self);
        if let Some(joined) = joined {
            event.data = joined.freeze();
        }
        begun.then_some(event)
    }
}

/// Appends an event to `out`. Line breaks in `data` start further `data` lines, which does not change the
/// value of JSON. Line breaks in the event type and the id are removed.
pub fn encode_event(event: Option<&str>, id: Option<&str>, data: &[u8], out: &mut impl BufMut) {
    if let Some(event) = event {
        put_field(b"event: ", event, &LINE_BREAKS, out);
    }
    if let Some(id) = id {
        // Readers ignore an id that contains a NUL.
        put_field(b"id: ", id, &['\n', '\r', '\0'], out);
    }
    let mut rest = data;
    while let Some(at) = memchr::memchr2(b'\n', b'\r', rest) {
        put_data(&rest[..at], out);
        let width = if rest[at..].starts_with(b"\r\n") { 2 } else { 1 };
        rest = &rest[at + width..];
    }
    put_data(rest, out);
    out.put_u8(b'\n');
}

/// Appends a priming event to `out`: an event without data that has an id to resume from and optionally a
/// reconnection delay. Clients of revisions before 2025-11-25 may fail on it.
pub fn encode_priming(id: &str, retry: Option<Duration>, out: &mut impl BufMut) {
    if let Some(retry) = retry {
        put_field(b"retry: ", &retry.as_millis().to_string(), &LINE_BREAKS, out);
    }
    encode_event(None, Some(id), b"", out);
}

fn put_field(name: &[u8], value: &str, left_out: &[char], out: &mut impl BufMut) {
    out.put_slice(name);
    for piece in value.split(left_out) {
        out.put_slice(piece.as_bytes());
    }
    out.put_u8(b'\n');
}

fn put_data(line: &[u8], out: &mut impl BufMut) {
    out.put_slice(b"data: ");
    out.put_slice(line);
    out.put_u8(b'\n');
}

fn is_message(name: &str) -> bool {
    name.is_empty() || name == "message"
}

fn milliseconds(digits: &[u8]) -> Option<Duration> {
    let text = std::str::from_utf8(digits).ok()?;
    let all_digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    all_digits.then(|| text.parse().ok().map(Duration::from_millis))?
}
