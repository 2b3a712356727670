//! A fast scanner for the members of a JSON object. It makes one pass and allocates nothing.
//!
//! The scanner gives up on rare input, which may still be valid. The caller then uses the full parser,
//! which also explains errors.

use serde::Deserialize;
use serde_json::value::RawValue;

/// The maximum nesting depth that the scanner follows. Deeper text is left to the full parser.
const DEPTH_MAX: u32 = u64::BITS;

/// Declares a struct with some members of a JSON object, each as JSON text. Its `parse` refuses text that
/// is not a JSON object, and an object in which one of the members occurs twice.
macro_rules! members {
    ($(#[$about:meta])* $object:ident { $($member:ident = $name:literal,)+ }) => {
        $(#[$about])*
        #[derive(Default, serde::Deserialize)]
        struct $object<'a> {
            $(
                #[serde(borrow, default, deserialize_with = "crate::scan::text", rename = $name)]
                $member: Option<&'a str>,
            )+
        }

        impl<'a> $object<'a> {
            /// Parses an object. `json` must begin with `{`, because serde would also accept an array.
            fn parse(json: &'a str) -> serde_json::Result<Self> {
                Self::scan(json).map_or_else(|| serde_json::from_str(json), Ok)
            }

            fn scan(json: &'a str) -> Option<Self> {
                let mut object = Self::default();
                crate::scan::each_member(json, |name, value| {
                    let member = match name {
                        $($name => &mut object.$member,)+
                        _ => return Some(()),
                    };
                    member.replace(value).is_none().then_some(())
                })?;
                Some(object)
            }
        }
    };
}
pub(crate) use members;

/// Deserializes a member as JSON text. `null` differs from an absent member, unlike serde's `Option`.
pub(crate) fn text<'de, D>(from: D) -> Result<Option<&'de str>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    present(from).map(|raw| raw.map(RawValue::get))
}

/// Deserializes a member so that `null` differs from an absent member, unlike serde's `Option`.
pub(crate) fn present<'de, D>(from: D) -> Result<Option<&'de RawValue>, D::Error>
where
    D: serde::Deserializer<'de>,
{
    <&RawValue>::deserialize(from).map(Some)
}

/// Calls `take` with the name and the JSON text of each member of the object `json`.
///
/// Returns `None` if `json` is not a JSON object, has a member name with escapes, or nests deeper than 64
/// levels below its members, or if `take` returns `None`.
pub(crate) fn each_member<'a>(
    json: &'a str,
    mut take: impl FnMut(&'a str, &'a str) -> Option<()>,
) -> Option<()> {
    let mut scanner = Scanner { bytes: json.as_bytes(), at: 0 };
    scanner.expect(b'{')?;
    if scanner.peek()? == b'}' {
        scanner.at += 1;
    } else {
        loop {
            scanner.expect(b'"')?;
            let begin = scanner.at;
            scanner.plain()?;
            let name = &json[begin..scanner.at - 1];
            scanner.expect(b':')?;
            scanner.peek()?;
            let begin = scanner.at;
            scanner.value()?;
            take(name, &json[begin..scanner.at])?;
            match scanner.next()? {
                b',' => {}
                b'}' => break,
                _ => return None,
            }
        }
    }
    scanner.peek().is_none().then_some(())
}

/// A position in UTF-8 text. Every step returns `None` if the text is not JSON.
struct Scanner<'a> {
    bytes: &'a [u8],
    at: usize,
}

// === impl Scanner ===

impl Scanner<'_> {
    /// The next byte after white space.
    fn peek(&mut self) -> Option<u8> {
        loop {
            match self.bytes.get(self.at) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    /// Consumes the next byte after white space.
    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn expect(&mut self, wanted: u8) -> Option<()> {
        (self.next()? == wanted).then_some(())
    }

    /// Consumes a value, without recursion.
    fn value(&mut self) -> Option<()> {
        // One bit per open bracket, the innermost lowest: set for objects, clear for arrays.
        let (mut objects, mut depth) = (0_u64, 0_u32);
        loop {
            match self.next()? {
                b'"' => self.string()?,
                b'-' => self.negative()?,
                digit @ b'0'..=b'9' => self.number(digit)?,
                b't' => self.word(b"rue")?,
                b'f' => self.word(b"alse")?,
                b'n' => self.word(b"ull")?,
                open @ (b'{' | b'[') => {
                    // In ASCII, a closing bracket is two code points after its opening bracket.
                    if self.peek()? == open + 2 {
                        self.at += 1;
                    } else if depth < DEPTH_MAX {
                        let is_object = open == b'{';
                        objects = objects << 1 | u64::from(is_object);
                        depth += 1;
                        if is_object {
                            self.name()?;
                        }
                        continue;
                    } else {
                        return None;
                    }
                }
                _ => return None,
            }
            // A value has ended, and possibly the arrays and objects around it.
            loop {
                if depth == 0 {
                    return Some(());
                }
                match (self.next()?, objects & 1) {
                    (b',', 0) => break,
                    (b',', _) => {
                        self.name()?;
                        break;
                    }
                    (b']', 0) | (b'}', 1) => {
                        objects >>= 1;
                        depth -= 1;
                    }
                    _ => return None,
                }
            }
        }
    }

    /// Consumes a member's name and the colon after it.
    fn name(&mut self) -> Option<()> {
        self.expect(b'"')?;
        self.string()?;
        self.expect(b':')
    }

    /// Consumes the rest of a string after its opening quote.
    fn string(&mut self) -> Option<()> {
        loop {
            self.run();
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            match byte {
                b'"' => return Some(()),
                b'\\' => self.escape()?,
                _ => return None,
            }
        }
    }

    /// Like [`string`](Self::string), but only for strings without escapes.
    fn plain(&mut self) -> Option<()> {
        self.run();
        (self.bytes.get(self.at) == Some(&b'"')).then(|| self.at += 1)
    }

    fn escape(&mut self) -> Option<()> {
        let kind = *self.bytes.get(self.at)?;
        self.at += 1;
        match kind {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(()),
            b'u' => {
                let digits = self.bytes.get(self.at..self.at + 4)?;
                self.at += 4;
                digits.iter().all(u8::is_ascii_hexdigit).then_some(())
            }
            _ => None,
        }
    }

    /// Moves to the next quote, backslash or control character, or to the end.
    fn run(&mut self) {
        const ONES: u64 = u64::MAX / 255;
        const HIGHEST: u64 = ONES << 7;
        // Checks eight bytes at a time. The lowest set bit of `found` marks the first match.
        let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word;
        while let Some(eight) = self.bytes[self.at..].first_chunk() {
            let word = u64::from_le_bytes(*eight);
            let quote = below(word ^ (ONES * u64::from(b'"')), 1);
            let backslash = below(word ^ (ONES * u64::from(b'\\')), 1);
            let found = (quote | backslash | below(word, 0x20)) & HIGHEST;
            if found != 0 {
                self.at += found.trailing_zeros() as usize / 8;
                return;
            }
            self.at += 8;
        }
        let is_end = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
        let rest = &self.bytes[self.at..];
        self.at += rest.iter().position(is_end).unwrap_or(rest.len());
    }

    fn word(&mut self, rest: &[u8]) -> Option<()> {
        let there = self.bytes[self.at..].starts_with(rest);
        self.at += rest.len();
        there.then_some(())
    }

    fn negative(&mut self) -> Option<()> {
        let digit = *self.bytes.get(self.at)?;
        self.at += 1;
        if digit.is_ascii_digit() { self.number(digit) } else { None }
    }

    /// Consumes the rest of a number that begins with `digit`.
    fn number(&mut self, digit: u8) -> Option<()> {
        if digit != b'0' {
            self.digits();
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.some_digits()?;
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.bytes.get(self.at) {
                self.at += 1;
            }
            self.some_digits()?;
        }
        Some(())
    }

    fn digits(&mut self) {
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
    }

    fn some_digits(&mut self) -> Option<()> {
        let begin = self.at;
        self.digits();
        (self.at > begin).then_some(())
    }
}

#[cfg(test)]
mod tests;
