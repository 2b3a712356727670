//! The HTTP headers of MCP: names, encoding of values, and validation against the body.
//!
//! Header names are case-insensitive, values are case-sensitive. A value that HTTP can't carry is encoded
//! as `=?base64?…?=` (2026-07-28, "Value Encoding"). A value that already looks encoded is encoded, too.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::{Field, Message, Method, Revision};

#[cfg(test)]
mod tests;

/// Names the session of a request. All names here are in lower case, as in HTTP libraries.
pub const SESSION_ID: &str = "mcp-session-id";
pub const PROTOCOL_VERSION: &str = "mcp-protocol-version";
pub const LAST_EVENT_ID: &str = "last-event-id";
/// Repeats `method` of the body.
pub const METHOD: &str = "mcp-method";
/// Repeats `params.name` or `params.uri` of the body.
pub const NAME: &str = "mcp-name";
/// The prefix of headers that repeat arguments.
pub const PARAM_PREFIX: &str = "mcp-param-";

/// The maximum length of a session id, in bytes. Ids of Mainstay and of most servers are much shorter.
pub const SESSION_ID_BYTES_MAX: usize = 1024;

const ENCODED_START: &str = "=?base64?";
const ENCODED_END: &str = "?=";

/// The error for an invalid header value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadValue {
    #[error("contains bytes other than printable ASCII, space and tab")]
    NotText,
    #[error("is marked as base64, but is not valid base64")]
    NotBase64,
    #[error("is not UTF-8 after decoding")]
    NotUtf8,
}

/// The error for a header that does not match the body: code -32020, HTTP status 400.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HeaderMismatch {
    #[error("header {header} is missing")]
    Missing { header: Cow<'static, str> },
    /// A proxy that reads the first value and a server that reads the last could disagree.
    #[error("header {header} occurs more than once")]
    Repeated { header: Cow<'static, str> },
    #[error("header {header} {reason}")]
    Unreadable { header: Cow<'static, str>, reason: BadValue },
    #[error("header {header} does not match the body")]
    Different { header: Cow<'static, str> },
}

/// Encodes a value for a header, if necessary.
pub fn encode_value(value: &str) -> Cow<'_, str> {
    let plain = value.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    let padded = value.starts_with(' ') || value.ends_with(' ');
    let looks_encoded = value.starts_with(ENCODED_START) && value.ends_with(ENCODED_END);
    if plain && !padded && !looks_encoded {
        return Cow::Borrowed(value);
    }
    Cow::Owned(format!("{ENCODED_START}{}{ENCODED_END}", STANDARD.encode(value)))
}

/// Decodes a header value.
///
/// # Errors
/// [`BadValue`] if the value contains bytes that are not allowed, or is marked as encoded but can't be
/// decoded.
pub fn decode_value(header: &[u8]) -> Result<Cow<'_, str>, BadValue> {
    let text = plain_value(header)?;
    let encoded = text.strip_prefix(ENCODED_START).and_then(|rest| rest.strip_suffix(ENCODED_END));
    let Some(encoded) = encoded else { return Ok(Cow::Borrowed(text)) };
    let bytes = STANDARD.decode(encoded).map_err(|_| BadValue::NotBase64)?;
    String::from_utf8(bytes).map(Cow::Owned).map_err(|_| BadValue::NotUtf8)
}

/// Checks `MCP-Protocol-Version`, which is never encoded. `values` has all occurrences.
///
/// # Errors
/// [`HeaderMismatch`] unless the header occurs exactly once and equals `version`.
pub fn check_version<'a>(
    values: impl IntoIterator<Item = &'a [u8]>,
    version: &str,
) -> Result<(), HeaderMismatch> {
    let value = single(PROTOCOL_VERSION, values)?;
    same(PROTOCOL_VERSION, plain_value(value).map(Cow::Borrowed), version)
}

/// Checks `Mcp-Method`, which is never encoded. `values` has all occurrences.
///
/// # Errors
/// [`HeaderMismatch`] unless the header occurs exactly once and equals `method`.
pub fn check_method<'a>(
    values: impl IntoIterator<Item = &'a [u8]>,
    method: &str,
) -> Result<(), HeaderMismatch> {
    let value = single(METHOD, values)?;
    same(METHOD, plain_value(value).map(Cow::Borrowed), method)
}

/// Checks `Mcp-Name` against the name or URI in the body. `values` has all occurrences.
///
/// # Errors
/// [`HeaderMismatch`] unless the header occurs exactly once and its decoded value equals `name`.
pub fn check_name<'a>(
    values: impl IntoIterator<Item = &'a [u8]>,
    name: &str,
) -> Result<(), HeaderMismatch> {
    let value = single(NAME, values)?;
    same(NAME, decode_value(value), name)
}

/// The headers that repeat the body of a request of 2026-07-28, with encoded values: revision, method, and
/// the name or URI. Headers for arguments ([`crate::mirror`]) are not included.
///
/// A request without a revision gets the latest one, so that the server can report what is missing.
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

/// Whether a value is a valid session id: visible ASCII, 1 to [`SESSION_ID_BYTES_MAX`] bytes.
pub fn is_session_id(value: &[u8]) -> bool {
    let length_fits = (1..=SESSION_ID_BYTES_MAX).contains(&value.len());
    length_fits && value.iter().all(u8::is_ascii_graphic)
}

/// The text of a header value, without surrounding spaces and tabs.
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
