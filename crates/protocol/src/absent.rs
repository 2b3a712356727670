//! Members of `params` that stand for absent ones: `null`, and an empty cursor for the first page. Some
//! serialisers write absent members that way.
//!
//! Servers differ in what they accept: the TypeScript SDK takes a message with `"params": null` for none
//! at all. So a message is repaired before a server gets it.

use std::ops::Range;

use bytes::Bytes;

use crate::edit::{Edit, splice};
use crate::{Kind, Message};

/// Replaces a span of a message, so that every server understands the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repair {
    pub span: Range<usize>,
    pub with: &'static [u8],
}

pub(crate) fn is_null(raw: &str) -> bool {
    raw == "null"
}

/// Whether the JSON text of a cursor asks for the first page.
pub(crate) fn is_no_cursor(raw: &str) -> bool {
    is_null(raw) || raw == "\"\""
}

// === impl Repair ===

impl Repair {
    /// Replaces a value by an empty object.
    pub(crate) fn empty_object(value: Range<usize>) -> Self {
        Self { span: value, with: b"{}" }
    }

    /// Takes out the member with the value at `value`. `json` must be valid, and `value` must be in an
    /// object. `None` if it is not.
    pub(crate) fn without_member(json: &[u8], value: Range<usize>) -> Option<Self> {
        let before = |end: usize| json[..end].trim_ascii_end().len();
        let colon = json[..before(value.start)].strip_suffix(b":")?;
        let name = colon.trim_ascii_end().strip_suffix(b"\"")?;
        let begin = memchr::memrchr(b'"', name)?;
        let span = match json[..before(begin)].strip_suffix(b",") {
            Some(others) => others.len()..value.end,
            None => {
                let rest = json[value.end..].trim_ascii_start();
                let comma = json.len() - rest.len();
                begin..if rest.starts_with(b",") { comma + 1 } else { value.end }
            }
        };
        Some(Self { span, with: b"" })
    }
}

impl Message {
    /// The bytes of a notification, with an object in the place of `params` that are `null`.
    pub fn repaired_notification(&self) -> Bytes {
        match self.body().filter(|body| self.kind() == Kind::Notification && is_null(body)) {
            Some(null) => splice(self.bytes(), &mut [Edit::new(self.span_of(null), b"{}")]),
            None => self.bytes().clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use crate::Message;
    use crate::edit::{Edit, splice};

    fn repaired(text: &'static str) -> Bytes {
        let message = Message::parse(Bytes::from_static(text.as_bytes())).unwrap();
        let params = message.params().unwrap();
        let edits = params.repairs.iter().map(|repair| Edit::new(repair.span.clone(), repair.with));
        let repaired = splice(message.bytes(), &mut edits.collect::<Vec<_>>());
        let again = Message::parse(repaired.clone()).unwrap();
        assert!(again.params().unwrap().repairs.is_empty(), "{repaired:?}");
        repaired
    }

    #[test]
    fn members_without_a_value_count_as_absent_and_are_repaired() {
        for (text, expected) in [
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"m","params":null}"#,
                r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{}}"#,
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"cursor":null}}"#,
                r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{}}"#,
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"cursor":""}}"#,
                r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{}}"#,
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{ "cursor" : "" , "x":1}}"#,
                r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{  "x":1}}"#,
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"x":1 , "cursor": null }}"#,
                r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"x":1  }}"#,
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"cursor":null,"_meta":null,"arguments":null}}"#,
                r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{},"arguments":{}}}"#,
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{"progressToken":null,"a":null},"name":null}}"#,
                r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"_meta":{"a":null},"name":null}}"#,
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"curs\u006fr":null}}"#,
                r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{}}"#,
            ),
            (
                r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"cursor":"a","arguments":{"cursor":null}}}"#,
                r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"cursor":"a","arguments":{"cursor":null}}}"#,
            ),
        ] {
            assert_eq!(repaired(text), expected, "{text}");
        }
    }

    #[test]
    fn a_notification_gets_an_object_for_its_params() {
        let text = r#"{"jsonrpc":"2.0","method":"notifications/roots/list_changed","params":null}"#;
        let message = Message::parse(Bytes::from_static(text.as_bytes())).unwrap();
        let expected = text.replace("null", "{}");
        assert_eq!(message.repaired_notification(), expected);
        let expected = Message::parse(expected.into()).unwrap();
        assert_eq!(expected.repaired_notification(), expected.bytes());
    }
}
