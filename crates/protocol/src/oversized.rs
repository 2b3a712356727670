//! Messages of which only both ends are left: they were too large to be read.
//!
//! Such a message can't be passed on, but whoever waits for it should not wait in vain. Servers write
//! the id of an answer before its result or after it, next to the message's beginning or end either
//! way, so it can be found without what stands between.

use crate::id;

/// Which of our requests a message answers whose beginning is `head` and whose end is `tail`; what
/// was between them is gone. None where that can't be told for sure, or it is no answer.
///
/// An answer is what has a `result` or an `error` that begins within `head`: what else has an id is
/// a request of the server, and its ids are not ours.
pub fn answered_id(head: &[u8], tail: &[u8]) -> Option<u64> {
    let front = Front::read(head)?;
    if !front.answers {
        return None;
    }
    match (front.id, last_id(tail)) {
        (Some(id), None) | (None, Some(id)) => id::number(id),
        _ => None,
    }
}

/// What the members say that begin within the head.
#[derive(Debug, Default)]
struct Front<'a> {
    id: Option<&'a [u8]>,
    answers: bool,
}

/// A place in bytes that may break off anywhere.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

// === impl Front ===

impl<'a> Front<'a> {
    /// None for what is no object, or contradicts itself.
    fn read(head: &'a [u8]) -> Option<Self> {
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
    /// The byte that stands next, after white space.
    fn peek(&mut self) -> Option<u8> {
        let space = self.bytes[self.at..].iter().take_while(|byte| byte.is_ascii_whitespace());
        self.at += space.count();
        self.bytes.get(self.at).copied()
    }

    /// Passes `wanted` if it stands next.
    fn byte(&mut self, wanted: u8) -> Option<()> {
        (self.peek()? == wanted).then(|| self.at += 1)
    }

    /// A whole string with its quotes.
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

    /// A whole value of any kind. A number is whole when something else follows.
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

    /// A number or a word, and the end of it.
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

/// The id among the last members of an object that ends with `tail`, as far as their values are
/// neither objects nor lists. Read backwards, these can only be members of the outermost object.
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

/// A string, number or word at the end, and what stands before it.
fn split_scalar(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    if bytes.last() == Some(&b'"') {
        return split_string(bytes);
    }
    let start = bytes.iter().rposition(|byte| !is_plain(*byte))? + 1;
    (start < bytes.len()).then(|| bytes.split_at(start))
}

/// The string at the end. Its own quotes are the two that no odd number of backslashes stands before.
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
