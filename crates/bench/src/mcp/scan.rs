//! Finds members of a JSON object without building a value.
//!
//! Correct on any valid JSON, whatever the order of members and the white space. On invalid JSON it
//! may find nothing or too much, but never panics.

use memchr::memchr2;

/// The raw value of the first member called `name`, or none. `name` must need no escapes.
pub(crate) fn member<'a>(object: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut at = skip_spaces(object, 0);
    if object.get(at) != Some(&b'{') {
        return None;
    }
    at += 1;
    loop {
        at = skip_spaces(object, at);
        let key_end = string_end(object, at)?;
        let key = &object[at + 1..key_end - 1];
        at = skip_spaces(object, key_end);
        if object.get(at) != Some(&b':') {
            return None;
        }
        at = skip_spaces(object, at + 1);
        let end = value_end(object, at)?;
        if key == name.as_bytes() {
            return object.get(at..end);
        }
        at = skip_spaces(object, end);
        if object.get(at) != Some(&b',') {
            return None;
        }
        at += 1;
    }
}

/// The text between the quotes of a string, with its escapes. Other values are unchanged.
pub(crate) fn unquote(value: &[u8]) -> &[u8] {
    value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value)
}

fn skip_spaces(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
        at += 1;
    }
    at
}

/// The position after the string that begins at `at`.
fn string_end(text: &[u8], at: usize) -> Option<usize> {
    if text.get(at) != Some(&b'"') {
        return None;
    }
    let mut at = at + 1;
    loop {
        at += memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// The position after the value that begins at `at`.
fn value_end(text: &[u8], at: usize) -> Option<usize> {
    match text.get(at)? {
        b'"' => string_end(text, at),
        b'{' | b'[' => container_end(text, at),
        _ => {
            let rest = &text[at..];
            let length = rest
                .iter()
                .position(|byte| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n'))
                .unwrap_or(rest.len());
            (length > 0).then_some(at + length)
        }
    }
}

fn container_end(text: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0_usize;
    loop {
        match text.get(at)? {
            b'"' => {
                at = string_end(text, at)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return Some(at);
        }
    }
}
