//! JSON-RPC ids, kept as their original JSON text.

use std::fmt;

use bytes::Bytes;

/// A request id: the JSON text of a string or a number (`7`, `"7"`, `1.0`, a 30-digit integer).
///
/// Two ids are equal if their texts are equal. A response repeats the text as received (JSON-RPC 2.0,
/// section 5: the id of a response must be the same as that of the request).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Id(Bytes);

impl Id {
    /// `raw` must be the JSON text of a string or a number.
    pub(crate) fn from_raw(raw: Bytes) -> Self {
        Self(raw)
    }

    /// An id that Mainstay assigns: a plain integer.
    pub fn number(number: u64) -> Self {
        Self(Bytes::from(number.to_string()))
    }

    /// The JSON text.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The id as a number, if Mainstay can have assigned it: digits only, without sign, leading zero or
    /// fraction.
    pub fn as_number(&self) -> Option<u64> {
        number(&self.0)
    }

    /// A copy that does not keep the memory of its message alive.
    pub fn detached(&self) -> Self {
        Self(Bytes::copy_from_slice(&self.0))
    }
}

/// Parses the JSON text of an id or token that Mainstay can have assigned.
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
