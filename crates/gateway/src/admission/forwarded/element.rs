//! Parses the `Forwarded` header (RFC 7239): a list with one element for each proxy on the way.

use std::net::SocketAddr;

/// One element of the header, as far as the gateway reads it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    /// `for`: the client of the proxy, as an address or an obfuscated identifier.
    pub(super) asked_by: Option<String>,
    pub(super) host: Option<String>,
}

// === impl Element ===

impl Element {
    pub(super) fn address(&self) -> Option<SocketAddr> {
        super::parse_node(self.asked_by.as_deref()?)
    }
}

/// Parses the elements, that of the nearest proxy last. None: the header is malformed.
pub(super) fn parse_elements(text: &str) -> Option<Vec<Element>> {
    let mut all = Vec::new();
    for part in split_unquoted(text, b',')? {
        let mut element = Element::default();
        let mut is_empty = true;
        for pair in
            split_unquoted(part, b';')?.into_iter().map(str::trim).filter(|pair| !pair.is_empty())
        {
            is_empty = false;
            let (name, value) = pair.split_once('=')?;
            let value = unquote(value)?;
            let place = match name.to_ascii_lowercase().as_str() {
                "for" => &mut element.asked_by,
                "host" => &mut element.host,
                name if is_token(name) => continue,
                _ => return None,
            };
            // A parameter name may appear only once in an element.
            if place.replace(value).is_some() {
                return None;
            }
        }
        if !is_empty {
            all.push(element);
        }
    }
    Some(all)
}

/// Splits at a byte outside of quotes. None: a quote is left open.
fn split_unquoted(text: &str, at: u8) -> Option<Vec<&str>> {
    let mut parts = Vec::new();
    let (mut begin, mut is_quoted, mut is_escaped) = (0, false, false);
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            byte if byte == at && !is_quoted => {
                parts.push(&text[begin..index]);
                begin = index + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[begin..]);
    (!is_quoted).then_some(parts)
}

/// Returns a token, or the content of a quoted string.
fn unquote(text: &str) -> Option<String> {
    let Some(quoted) = text.strip_prefix('"') else {
        return is_token(text).then(|| text.to_owned());
    };
    let mut value = String::new();
    let mut chars = quoted.strip_suffix('"')?.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => value.push(chars.next()?),
            '"' => return None,
            c => value.push(c),
        }
    }
    Some(value)
}

fn is_token(text: &str) -> bool {
    let is_fit = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(is_fit)
}
