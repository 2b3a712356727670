//! JSON-RPC ids, kept as their original JSON text.

use std::fmt;

use bytes::Bytes;

/// A request id: the JSON text of a string or a number (`7`, `"7"`, `1.0`, a 30-digit integer).
///
/// Two ids are equal if their texts are equal; [`Id::as_number`] tells whether an id is one that Mainstay
/// assigned, in whatever spelling it comes back. A response repeats the text as received (JSON-RPC 2.0,
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

    /// The id as a number, if Mainstay can have assigned it (see [`number`]).
    pub fn as_number(&self) -> Option<u64> {
        number(&self.0)
    }

    /// A copy that does not keep the memory of its message alive.
    pub fn detached(&self) -> Self {
        Self(Bytes::copy_from_slice(&self.0))
    }
}

/// Parses the JSON text of an id or token that Mainstay can have assigned: a whole number from 0 to
/// `u64::MAX`.
///
/// Mainstay writes such numbers as plain digits. Peers that decode and encode them may give them back in
/// another spelling, as `"7"`, `7.0` or `7e0`, and official SDKs accept that.
pub fn number(raw: &[u8]) -> Option<u64> {
    /// So many digits can't overflow a `u64`.
    const SAFE_DIGITS: usize = 19;
    if !matches!(raw, [b'1'..=b'9', ..]) || raw.len() > SAFE_DIGITS {
        return respelled(raw);
    }
    let mut value = 0;
    for byte in raw {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return respelled(raw);
        }
        value = value * 10 + u64::from(digit);
    }
    Some(value)
}

/// Parses a number that is zero, long or quoted, or has a fraction or an exponent.
#[cold]
fn respelled(raw: &[u8]) -> Option<u64> {
    // Longer texts are no number of ours.
    if raw.len() > SPELLING_BYTES_MAX {
        return None;
    }
    match raw {
        [b'"', inner @ .., b'"'] if memchr::memchr(b'\\', inner).is_none() => decimal(inner),
        [b'"', ..] => decimal(serde_json::from_slice::<String>(raw).ok()?.as_bytes()),
        _ => decimal(raw),
    }
}

/// The longest text that is taken for a number: all digits of a `u64`, each as an escape.
const SPELLING_BYTES_MAX: usize = 160;

/// The value of a JSON number that is whole and not negative, computed without rounding.
fn decimal(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i16>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
        Some(_) => return None,
        None => (mantissa, ""),
    };
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let leading_zero = whole.len() > 1 && whole.starts_with('0');
    if whole.is_empty() || leading_zero || !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    // So many digits are before the point once the exponent has moved it.
    let before_point = whole.len() as i64 + i64::from(exponent);
    let mut value = 0_u64;
    let mut digits = 0_i64;
    for digit in whole.bytes().chain(fraction.bytes()).map(|byte| u64::from(byte - b'0')) {
        if digits < before_point {
            value = value.checked_mul(10)?.checked_add(digit)?;
        } else if digit != 0 {
            return None;
        }
        digits += 1;
    }
    for _ in digits..before_point {
        if value == 0 {
            break;
        }
        value = value.checked_mul(10)?;
    }
    Some(value)
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
    use proptest::prelude::*;

    use super::number;

    #[test]
    fn a_number_of_ours_is_told_in_any_spelling() {
        for (text, expected) in [
            ("0", 0),
            ("42", 42),
            ("18446744073709551615", u64::MAX),
            ("\"42\"", 42),
            ("\"\\u0034\\u0032\"", 42),
            ("\"42.0\"", 42),
            ("42.0", 42),
            ("42.000", 42),
            ("42e0", 42),
            ("4.2E+1", 42),
            ("420e-1", 42),
            ("0.42e2", 42),
            ("0e99", 0),
            ("18446744073709551615.0", u64::MAX),
        ] {
            assert_eq!(number(text.as_bytes()), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_whole_number_is_not_ours() {
        for other in [
            "",
            "01",
            "-1",
            "-0",
            "+1",
            " 1",
            "1.",
            ".5",
            "1.5",
            "1e",
            "e1",
            "1e-1",
            "1e20",
            "1e9999",
            "1e99999",
            "1.0.0",
            "2.0000000000000000001",
            "18446744073709551616",
            "null",
            "NaN",
            "Infinity",
            "true",
            "[1]",
            "\"\"",
            "\"a\"",
            "\"-1\"",
            "\"01\"",
            "\"1",
            "\"\\x\"",
            "\"",
        ] {
            assert_eq!(number(other.as_bytes()), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn every_spelling_of_a_number_is_that_number(value: u64, zeros in 1_usize..5) {
            let digits = value.to_string();
            let (first, rest) = digits.split_at(1);
            let zeros = "0".repeat(zeros);
            for text in [
                digits.clone(),
                format!("{digits}.{zeros}"),
                format!("{digits}{zeros}e-{}", zeros.len()),
                format!("{first}.{rest}{zeros}e{}", rest.len()),
            ] {
                prop_assert_eq!(number(text.as_bytes()), Some(value), "{}", text);
                prop_assert_eq!(number(format!("\"{text}\"").as_bytes()), Some(value), "{}", text);
            }
        }

        #[test]
        fn any_bytes_give_a_number_or_none(bytes in prop::collection::vec(
            prop::sample::select(br#"0123456789.eE+-"\\u"#.to_vec()), 0..40))
        {
            let _ = number(&bytes);
        }
    }
}
