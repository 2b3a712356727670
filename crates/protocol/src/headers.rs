//! MCP's HTTP headers: their names, and how values get into them and out again.
//!
//! Names are compared without regard to case, values with regard to it. A value that HTTP can't carry
//! as it is travels as `=?base64?…?=` (2026-07-28, "Value Encoding"); so does a value that merely looks
//! like that, or it would be taken for what it isn't.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::{Field, Message, Method, Revision};

#[cfg(test)]
mod tests;

/// Names are in lower case, as HTTP libraries keep them.
pub const SESSION_ID: &str = "mcp-session-id";
pub const PROTOCOL_VERSION: &str = "mcp-protocol-version";
pub const LAST_EVENT_ID: &str = "last-event-id";
/// Repeats `method` of the body.
pub const METHOD: &str = "mcp-method";
/// Repeats `params.name` or `params.uri` of the body.
pub const NAME: &str = "mcp-name";
/// Begins the names of headers that repeat arguments.
pub const PARAM_PREFIX: &str = "mcp-param-";

/// Longest session id we take, in bytes. Ours are shorter; those of servers are rarely over 100.
pub const SESSION_ID_BYTES_MAX: usize = 1024;

const ENCODED_START: &str = "=?base64?";
const ENCODED_END: &str = "?=";

/// Why a header's value can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadValue {
    #[error("holds bytes other than printable ASCII, space and tab")]
    NotText,
    #[error("is marked as base64 and is not")]
    NotBase64,
    #[error("is not UTF-8 after decoding")]
    NotUtf8,
}

/// A header does not repeat what the body says: -32020 and HTTP 400.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderMismatch {
    #[error("header {header} is missing")]
    Missing { header: Cow<'static, str> },
    /// Whoever reads the first and whoever reads the last would not see the same.
    #[error("header {header} is there more than once")]
    Repeated { header: Cow<'static, str> },
    #[error("header {header} {reason}")]
    Unreadable { header: Cow<'static, str>, reason: BadValue },
    #[error("header {header} does not say the same as the body")]
    Different { header: Cow<'static, str> },
}

/// The form in which a value goes into a header.
pub fn encode_value(value: &str) -> Cow<'_, str> {
    let plain = value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    let padded = value.starts_with(' ') || value.ends_with(' ');
    let looks_encoded = value.starts_with(ENCODED_START) && value.ends_with(ENCODED_END);
    if plain && !padded && !looks_encoded {
        return Cow::Borrowed(value);
    }
    Cow::Owned(format!("{ENCODED_START}{}{ENCODED_END}", STANDARD.encode(value)))
}

/// The value that a header carries.
///
/// # Errors
/// When it holds what no header value may, or is marked as encoded and can't be decoded.
pub fn decode_value(header: &[u8]) -> Result<Cow<'_, str>, BadValue> {
    let text = plain_value(header)?;
    let encoded = text.strip_prefix(ENCODED_START).and_then(|rest| rest.strip_suffix(ENCODED_END));
    let Some(encoded) = encoded else { return Ok(Cow::Borrowed(text)) };
    let bytes = STANDARD.decode(encoded).map_err(|_| BadValue::NotBase64)?;
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| BadValue::NotUtf8)
}

/// Checks `MCP-Protocol-Version`: `values` are all its occurrences. It is never encoded.
///
/// # Errors
/// When it is not there exactly once with exactly this version.
pub fn check_version<'a>(
    values: impl IntoIterator<Item = &'a [u8]>,
    version: &str,
) -> Result<(), HeaderMismatch> {
    let value = single(PROTOCOL_VERSION, values)?;
    same(PROTOCOL_VERSION, plain_value(value).map(Cow::Borrowed), version)
}

/// Checks `Mcp-Method`: `values` are all its occurrences. It is never encoded.
///
/// # Errors
/// When it is not there exactly once with exactly this method.
pub fn check_method<'a>(
    values: impl IntoIterator<Item = &'a [u8]>,
    method: &str,
) -> Result<(), HeaderMismatch> {
    let value = single(METHOD, values)?;
    same(METHOD, plain_value(value).map(Cow::Borrowed), method)
}

/// Checks `Mcp-Name` against the name or URI in the body: `values` are all its occurrences.
///
/// # Errors
/// When it is not there exactly once, plain or encoded, with exactly this name.
pub fn check_name<'a>(
    values: impl IntoIterator<Item = &'a [u8]>,
    name: &str,
) -> Result<(), HeaderMismatch> {
    let value = single(NAME, values)?;
    same(NAME, decode_value(value), name)
}

/// What the headers of a request of 2026-07-28 repeat of its body, each in the form in which it goes
/// into a header: the revision, the method, and what it is about. What its tool wants repeated of the
/// arguments comes on top.
///
/// A request that does not say its revision is sent as one of the latest, so that whoever reads it
/// can say what is missing.
pub fn for_request(message: &Message) -> Vec<(&'static str, String)> {
    let params = message.params().unwrap_or_default();
    let version = params.meta.protocol_version.as_ref().and_then(Field::text);
    let version = version.unwrap_or(Cow::Borrowed(Revision::LATEST.as_str()));
    let subject = Method::parse(message.method()).and_then(|method| params.subject(method));
    let mut headers =
        vec![(PROTOCOL_VERSION, version.into_owned()), (METHOD, message.method().to_owned())];
    if let Some(subject) = subject.and_then(Field::text) {
        headers.push((NAME, encode_value(&subject).into_owned()));
    }
    headers
}

/// Whether this may be a session id: visible ASCII, neither empty nor over long.
pub fn is_session_id(value: &[u8]) -> bool {
    let length_fits = (1..=SESSION_ID_BYTES_MAX).contains(&value.len());
    length_fits && value.iter().all(u8::is_ascii_graphic)
}

/// The text of a header value, without the spaces and tabs that HTTP allows around it.
fn plain_value(header: &[u8]) -> Result<&str, BadValue> {
    let allowed = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~');
    match std::str::from_utf8(header) {
        Ok(text) if header.iter().all(allowed) => Ok(text.trim_matches([' ', '\t'])),
        _ => Err(BadValue::NotText),
    }
}

fn single<'a>(
    header: &'static str,
    values: impl IntoIterator<Item = &'a [u8]>,
) -> Result<&'a [u8], HeaderMismatch> {
    let mut values = values.into_iter();
    let first = values.next().ok_or(HeaderMismatch::Missing { header: header.into() })?;
    if values.next().is_some() {
        return Err(HeaderMismatch::Repeated { header: header.into() });
    }
    Ok(first)
}

fn same(
    header: &'static str,
    value: Result<Cow<'_, str>, BadValue>,
    body: &str,
) -> Result<(), HeaderMismatch> {
    let value =
        value.map_err(|reason| HeaderMismatch::Unreadable { header: header.into(), reason })?;
    if value == body { Ok(()) } else { Err(HeaderMismatch::Different { header: header.into() }) }
}
