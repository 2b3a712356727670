//! JSON-RPC ids, kept as the text they were written in.

use std::fmt;

use bytes::Bytes;

/// A request id: the raw JSON of a string or a number (`7`, `"7"`, `1.0`, a 30-digit integer).
///
/// Two ids are the same when their text is the same; type and spelling are echoed as received
/// (JSON-RPC 2.0 §5: the response's id must be the same as the request's).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Id(Bytes);

impl Id {
    /// `raw` must be the JSON text of a string or a number.
    pub(crate) fn from_raw(raw: Bytes) -> Self {
        Self(raw)
    }

    /// Our own ids are plain integers.
    pub fn number(number: u64) -> Self {
        Self(Bytes::from(number.to_string()))
    }

    /// The JSON text.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The id as one of our own, if it can be one: digits only, no sign, no leading zero, no fraction.
    pub fn as_number(&self) -> Option<u64> {
        number(&self.0)
    }

    /// A copy that doesn't keep the message it came in alive.
    pub fn detached(&self) -> Self {
        Self(Bytes::copy_from_slice(&self.0))
    }
}

/// Reads raw JSON text as one of our own ids or tokens.
pub fn number(raw: &[u8]) -> Option<u64> {
    let plain = match raw {
        [b'0'] => true,
        [b'1'..=b'9', rest @ ..] => rest.len() < 20 && rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if !plain {
        return None;
    }
    raw.iter()
        .try_fold(0u64, |sum, digit| sum.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn only_plain_integers_are_ours() {
        assert_eq!(number(b"0"), Some(0));
        assert_eq!(number(b"42"), Some(42));
        assert_eq!(number(b"18446744073709551615"), Some(u64::MAX));
        for other in ["", "01", "-1", "1.0", "1e3", "\"1\"", "18446744073709551616", "null"] {
            assert_eq!(number(other.as_bytes()), None, "{other}");
        }
    }
}
