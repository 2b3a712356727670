//! Newline-delimited JSON, the framing of MCP over stdio.
//!
//! Each message ends with a line feed and contains none. The decoder also accepts what real servers send: a
//! carriage return before the line feed, a byte order mark at the start of the stream, blank lines, and a
//! last message without a line feed.

use bytes::{BufMut, Bytes, BytesMut};

use super::Ends;
use super::buffer::{ScanBuffer, pass_byte_order_mark};

#[cfg(test)]
mod tests;

/// Splits a stream of bytes into lines.
///
/// Add input with [`push`](Self::push) or by reading into [`buffer_mut`](Self::buffer_mut), and then call
/// [`next_line`](Self::next_line) until it returns `None`. The decoder holds at most `max_bytes` and the
/// input of the last read.
#[derive(Debug)]
pub struct LineDecoder {
    buffer: ScanBuffer,
    max_bytes: usize,
    /// Whether the start of the stream was checked for a byte order mark.
    started: bool,
    /// The ends of the current line, if it is too long.
    passing: Option<Ends>,
}

/// The error for a line that is longer than allowed. The line is discarded; later lines are not affected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line is longer than {max_bytes} bytes")]
pub struct LineTooLong {
    pub max_bytes: usize,
    /// The first and the last bytes of the line.
    pub ends: Ends,
}

// === impl LineDecoder ===

impl LineDecoder {
    /// A decoder that refuses lines of more than `max_bytes`, not counting the line end.
    pub fn new(max_bytes: usize) -> Self {
        Self { buffer: ScanBuffer::default(), max_bytes, started: false, passing: None }
    }

    /// Adds input.
    pub fn push(&mut self, chunk: &[u8]) {
        self.buffer.push(chunk);
    }

    /// The input buffer, with at least 8 KiB of spare capacity. Only append to it.
    pub fn buffer_mut(&mut self) -> &mut BytesMut {
        self.buffer.room()
    }

    /// Frees the input buffer if nothing is in it. The next [`buffer_mut`](Self::buffer_mut) allocates another.
    pub fn release_empty(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = ScanBuffer::default();
        }
    }

    /// The bytes of the unfinished line that are held.
    pub fn held_bytes(&self) -> usize {
        self.buffer.len()
    }

    /// Discards the unfinished line, as if it were too long: [`next_line`](Self::next_line) reports it at its
    /// end.
    pub fn give_up_line(&mut self) {
        if !self.buffer.is_empty() {
            self.passing.get_or_insert_default().push(self.buffer.as_slice());
            self.buffer.clear();
        }
    }

    /// The next complete line that is not blank, without its line end. `None` if more input is needed.
    ///
    /// # Errors
    /// [`LineTooLong`], once for each line that is too long, when its end is reached.
    pub fn next_line(&mut self) -> Option<Result<Bytes, LineTooLong>> {
        self.started = self.started || pass_byte_order_mark(&mut self.buffer);
        if !self.started {
            return None;
        }
        while let Some(end) = self.buffer.find(|bytes| memchr::memchr(b'\n', bytes)) {
            let line = self.buffer.take_line(end);
            if let Some(found) = self.judge(line) {
                return Some(found);
            }
        }
        self.pass_overflow();
        None
    }

    /// The next line after the end of the stream. The last one needs no line feed. `None` if no line is
    /// left.
    ///
    /// # Errors
    /// As for [`next_line`](Self::next_line).
    pub fn finish(&mut self) -> Option<Result<Bytes, LineTooLong>> {
        if let Some(found) = self.next_line() {
            return Some(found);
        }
        let rest = self.buffer.take_rest();
        self.judge(rest)
    }

    fn judge(&mut self, mut line: Bytes) -> Option<Result<Bytes, LineTooLong>> {
        let length = line.strip_suffix(b"\r").unwrap_or(&line).len();
        if self.passing.is_none() && length <= self.max_bytes {
            line.truncate(length);
            return (!line.iter().all(u8::is_ascii_whitespace)).then_some(Ok(line));
        }
        let mut ends = self.passing.take().unwrap_or_default();
        ends.push(&line);
        Some(Err(LineTooLong { max_bytes: self.max_bytes, ends: ends.close() }))
    }

    /// Discards the buffered part of a line that is already too long.
    fn pass_overflow(&mut self) {
        let held = self.buffer.as_slice();
        // A trailing carriage return may be part of the line end.
        let least = held.strip_suffix(b"\r").unwrap_or(held).len();
        if self.passing.is_some() || least > self.max_bytes {
            self.passing.get_or_insert_default().push(held);
            self.buffer.clear();
        }
    }
}

/// Appends a message and a line feed to `out`.
///
/// Line breaks in the message become spaces. In JSON they can only occur between tokens, so the value stays
/// the same.
pub fn encode_line(message: &[u8], out: &mut impl BufMut) {
    let mut rest = message;
    while let Some(at) = memchr::memchr2(b'\n', b'\r', rest) {
        out.put_slice(&rest[..at]);
        out.put_u8(b' ');
        rest = &rest[at + 1..];
    }
    out.put_slice(rest);
    out.put_u8(b'\n');
}
