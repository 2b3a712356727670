//! Whether a path is declared. Pure.
//!
//! A declared path has one spelling, so it is compared as it is written: case counts, and a percent sign that
//! stands for a letter makes another path. Below `/web-ui/*` the rest may be anything that no server can take for
//! a path elsewhere: however often it is decoded, there is no `.` or `..` in it, no further slash or backslash, no
//! empty part, nothing that is no text.

use std::borrow::Cow;

/// Why a path is not passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Undeclared {
    #[error("it is not declared")]
    NotListed,
    #[error("it could be read as another path than the declared one")]
    Form,
}

/// Most times that a path is decoded. One that still changes after that is refused.
const DECODED_MAX: usize = 4;

/// Characters that some servers take for `.`, `/` or `\` (full width, one dot leader, two dot leader, division
/// slash).
const ALIKE: [char; 7] =
    ['\u{ff0e}', '\u{ff0f}', '\u{ff3c}', '\u{2024}', '\u{2025}', '\u{2215}', '\u{2044}'];

/// Checks a path as a client wrote it against the declared ones.
pub(super) fn check(declared: &[String], path: &str) -> Result<(), Undeclared> {
    if !path.bytes().all(|byte| byte.is_ascii_graphic()) || !is_plain(path) {
        return Err(Undeclared::Form);
    }
    let allows = |declared: &String| match declared.strip_suffix('*') {
        Some(begin) => path.starts_with(begin),
        None => path == declared,
    };
    if declared.iter().any(allows) { Ok(()) } else { Err(Undeclared::NotListed) }
}

/// Whether no reading of a path leads elsewhere.
fn is_plain(path: &str) -> bool {
    let Some(mut inner) = path.strip_prefix('/').map(Cow::Borrowed) else { return false };
    // Slashes may separate parts only where they are written as such.
    let mut slashes = inner.matches('/').count();
    for stage in 0..=DECODED_MAX {
        if !is_fit(&inner, slashes) {
            return false;
        }
        let Some(decoded) = decoded(&inner, stage == 0) else { return false };
        if decoded == inner {
            return true;
        }
        slashes = inner.matches('/').count();
        inner = Cow::Owned(decoded);
    }
    false
}

/// Whether the text of a path, at one stage of decoding, is harmless. `slashes`: how many it may have.
fn is_fit(inner: &str, slashes: usize) -> bool {
    let is_odd = |c: char| c.is_control() || c == '\\' || ALIKE.contains(&c);
    if inner.contains(is_odd) || inner.matches('/').count() != slashes {
        return false;
    }
    inner.split('/').enumerate().all(|(index, part)| {
        // Some servers take what follows a semicolon for parameters of a part.
        let name = part.split(';').next().unwrap_or_default().trim();
        // Only the last part may be empty: the path of a folder.
        (part.is_empty() && index == slashes) || !name.chars().all(|c| c == '.')
    })
}

/// Replaces each `%XX` once. `None` if what results is no UTF-8, or if one is broken and that matters: in what was
/// decoded before, a percent sign may be one.
fn decoded(text: &str, is_strict: bool) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = after.first_chunk::<2>().and_then(|digits| str::from_utf8(digits).ok());
        let is_hex = |digits: &&str| digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        match digits.filter(is_hex).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None if is_strict => return None,
            None => bytes.push(b'%'),
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests;
