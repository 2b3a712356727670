//! One message a line, as MCP has it on standard input and output.
//!
//! A message is followed by a line feed and holds none itself. What real servers send besides is
//! taken as it comes: a carriage return before the line feed, a byte order mark at the very start,
//! blank lines between messages, and a last message that ends with the stream.

use bytes::{BufMut, Bytes, BytesMut};

use super::Ends;
use super::buffer::{ScanBuffer, pass_byte_order_mark};

#[cfg(test)]
mod tests;

/// Cuts a stream of bytes into lines.
///
/// Feed it with [`push`](Self::push) or by reading into [`buffer_mut`](Self::buffer_mut), and after
/// each take lines until there are none. It holds at most `max_bytes` and what the last read brought.
#[derive(Debug)]
pub struct LineDecoder {
    buffer: ScanBuffer,
    max_bytes: usize,
    /// The start of the stream has been looked at for a byte order mark.
    started: bool,
    /// The line under way is too long: all that is kept of it.
    passing: Option<Ends>,
}

/// A line was longer than allowed. It was passed over; the lines after it are not affected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line is longer than {max_bytes} bytes")]
pub struct LineTooLong {
    pub max_bytes: usize,
    /// Its beginning and its end.
    pub ends: Ends,
}

// === impl LineDecoder ===

impl LineDecoder {
    /// Lines of more than `max_bytes`, line end not counted, are refused.
    pub fn new(max_bytes: usize) -> Self {
        Self { buffer: ScanBuffer::default(), max_bytes, started: false, passing: None }
    }

    pub fn push(&mut self, chunk: &[u8]) {
        self.buffer.push(chunk);
    }

    /// The buffer to append to, with at least 8 KiB of room. Only append: what is in it is counted.
    pub fn buffer_mut(&mut self) -> &mut BytesMut {
        self.buffer.room()
    }

    /// The next whole line, without its end and never blank. `None`: more bytes are needed.
    ///
    /// # Errors
    /// Once for each line that is too long, at its end.
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

    /// After the end of the stream: what is left, line by line, the last one without a line feed.
    ///
    /// # Errors
    /// As [`next_line`](Self::next_line).
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

    /// Lets go of a line that is too long already, though its end has not come.
    fn pass_overflow(&mut self) {
        let held = self.buffer.as_slice();
        // A carriage return at the end may turn out to be half of the line end.
        let least = held.strip_suffix(b"\r").unwrap_or(held).len();
        if self.passing.is_some() || least > self.max_bytes {
            self.passing.get_or_insert_default().push(held);
            self.buffer.clear();
        }
    }
}

/// Appends one message and its line feed.
///
/// A raw line break in JSON can only stand between tokens, so a space in its place says the same.
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
