//! Oversized messages, of which only the head and the tail were kept.
//!
//! Mainstay can't forward such a message, but the call that waits for it must fail at once instead of at
//! its deadline. Servers write the id of a response near the start or the end of the message, so the id can
//! be found in the head or the tail.

use crate::id;

/// The id of our request that an oversized message answers. `head` and `tail` are the first and the last
/// bytes of the message. `None` if the message is not a response, or the id is uncertain.
///
/// A message is a response if its `result` or `error` starts within `head`. Any other message with an id is
/// a request of the server, whose ids are unrelated to ours.
pub fn answered_id(head: &[u8], tail: &[u8]) -> Option<u64> {
    let front = Front::parse(head)?;
    if !front.answers {
        return None;
    }
    match (front.id, last_id(tail)) {
        (Some(id), None) | (None, Some(id)) => id::number(id),
        _ => None,
    }
}

/// The members that start within the head.
#[derive(Debug, Default)]
struct Front<'a> {
    id: Option<&'a [u8]>,
    answers: bool,
}

/// A position in JSON text that may be cut off anywhere.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

// === impl Front ===

impl<'a> Front<'a> {
    /// Parses the head. `None` if it is not an object, or has contradictory members.
    fn parse(head: &'a [u8]) -> Option<Self> {
        let mut front = Self::default();
        let mut cursor = Cursor { bytes: head, at: 0 };
        cursor.byte(b'{')?;
        while let Some(key) = cursor.string() {
            if cursor.byte(b':').is_none() {
                break;
            }
            match key {
                b"\"method\"" => return None,
                b"\"result\"" | b"\"error\"" => front.answers = true,
                _ => {}
            }
            let Some(value) = cursor.value() else { break };
            if key == b"\"id\"" && front.id.replace(value).is_some() {
                return None;
            }
            if cursor.byte(b',').is_none() {
                break;
            }
        }
        Some(front)
    }
}

// === impl Cursor ===

impl<'a> Cursor<'a> {
    /// The next byte after white space.
    fn peek(&mut self) -> Option<u8> {
        let space = self.bytes[self.at..].iter().take_while(|byte| byte.is_ascii_whitespace());
        self.at += space.count();
        self.bytes.get(self.at).copied()
    }

    /// Consumes the next byte if it is `wanted`.
    fn byte(&mut self, wanted: u8) -> Option<()> {
        (self.peek()? == wanted).then(|| self.at += 1)
    }

    /// Consumes a complete string and returns it with its quotes.
    fn string(&mut self) -> Option<&'a [u8]> {
        if self.peek()? != b'"' {
            return None;
        }
        let from = self.at;
        let mut escaped = false;
        for (offset, byte) in self.bytes[from + 1..].iter().enumerate() {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => {
                    self.at = from + offset + 2;
                    return Some(&self.bytes[from..self.at]);
                }
                _ => {}
            }
        }
        None
    }

    /// Consumes a complete value. A number is complete if another character follows.
    fn value(&mut self) -> Option<&'a [u8]> {
        let mut depth = 0_usize;
        self.peek()?;
        let from = self.at;
        loop {
            match self.peek()? {
                b'"' => drop(self.string()?),
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' if depth > 0 => {
                    depth -= 1;
                    self.at += 1;
                }
                b',' | b':' if depth > 0 => self.at += 1,
                byte if is_plain(byte) => self.plain()?,
                _ => return None,
            }
            if depth == 0 {
                return Some(&self.bytes[from..self.at]);
            }
        }
    }

    /// Consumes a number or a literal and checks that it ends.
    fn plain(&mut self) -> Option<()> {
        let length = self.bytes[self.at..].iter().position(|byte| !is_plain(*byte))?;
        self.at += length;
        Some(())
    }
}

// === helpers ===

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')
}

/// The id among the last members of an object that ends with `tail`. Reads backwards while values are
/// scalars, because such members belong to the outermost object.
fn last_id(tail: &[u8]) -> Option<&[u8]> {
    let mut rest = tail.trim_ascii_end().strip_suffix(b"}")?;
    loop {
        let (before, value) = split_scalar(rest.trim_ascii_end())?;
        let before = before.trim_ascii_end().strip_suffix(b":")?;
        let (before, key) = split_string(before.trim_ascii_end())?;
        if key == b"\"id\"" {
            return Some(value);
        }
        rest = before.trim_ascii_end().strip_suffix(b",")?;
    }
}

/// Splits off the string, number or literal at the end.
fn split_scalar(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    if bytes.last() == Some(&b'"') {
        return split_string(bytes);
    }
    let start = bytes.iter().rposition(|byte| !is_plain(*byte))? + 1;
    (start < bytes.len()).then(|| bytes.split_at(start))
}

/// Splits off the string at the end. A quote after an odd number of backslashes is escaped.
fn split_string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let inner = bytes.strip_suffix(b"\"")?;
    let mut end = inner.len();
    loop {
        let quote = memchr::memrchr(b'"', &inner[..end])?;
        let slashes = inner[..quote].iter().rev().take_while(|byte| **byte == b'\\').count();
        if slashes % 2 == 0 {
            return Some(bytes.split_at(quote));
        }
        end = quote;
    }
}

#[cfg(test)]
mod tests;
