//! The outermost members of a message that may be cut off or broken.
//!
//! A parser gives up at the first wrong byte. An outline says what can be told before it, so that the call
//! that waits for a message which can't be used is not left waiting.

/// What the beginning of a message says about it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Outline<'a> {
    /// The JSON text of the `id` that came first.
    pub(crate) id: Option<&'a [u8]>,
    /// There is another `id`.
    pub(crate) has_more_ids: bool,
    /// `result` or `error` is there.
    pub(crate) answers: bool,
    /// `error` is there.
    pub(crate) has_error: bool,
    pub(crate) has_method: bool,
    pub(crate) has_jsonrpc: bool,
    /// There is a member that JSON-RPC does not define.
    pub(crate) has_others: bool,
    /// The closing brace was reached.
    pub(crate) is_complete: bool,
}

/// A position in JSON text that may be cut off anywhere.
struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

// === impl Outline ===

impl<'a> Outline<'a> {
    /// Reads the members up to the first that is cut off or broken; its name counts still. `None` if the
    /// bytes are not the beginning of an object.
    pub(crate) fn of(head: &'a [u8]) -> Option<Self> {
        let mut outline = Self::default();
        let mut cursor = Cursor { bytes: head, at: 0 };
        cursor.byte(b'{')?;
        while let Some(key) = cursor.string() {
            if cursor.byte(b':').is_none() {
                return Some(outline);
            }
            match key {
                b"\"result\"" => outline.answers = true,
                b"\"error\"" => (outline.answers, outline.has_error) = (true, true),
                b"\"method\"" => outline.has_method = true,
                b"\"jsonrpc\"" => outline.has_jsonrpc = true,
                b"\"id\"" | b"\"params\"" => {}
                _ => outline.has_others = true,
            }
            let Some(value) = cursor.value() else { return Some(outline) };
            if key == b"\"id\"" {
                outline.has_more_ids |= outline.id.is_some();
                outline.id = outline.id.or(Some(value));
            }
            if cursor.byte(b',').is_none() {
                break;
            }
        }
        outline.is_complete = cursor.byte(b'}').is_some();
        Some(outline)
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
pub(crate) fn last_id(tail: &[u8]) -> Option<&[u8]> {
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
