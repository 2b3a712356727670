//! The parts of responses that a gateway acts on.

use std::sync::LazyLock;

use bytes::Bytes;
use memchr::memmem::Finder;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::build::string;
use crate::edit::{Edit, splice};
use crate::scan::present;
use crate::{Kind, Message};

/// Searches for the member that marks a failed tool call.
static IS_ERROR: LazyLock<Finder<'_>> = LazyLock::new(|| Finder::new(b"\"isError\""));

#[derive(Deserialize)]
struct ErrorBody {
    code: i32,
}

#[derive(Deserialize)]
struct ToolResult<'a> {
    #[serde(borrow, default, rename = "isError", deserialize_with = "present")]
    is_error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct ReadResult<'a> {
    #[serde(borrow, default)]
    contents: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    uri: Option<&'a RawValue>,
}

impl Message {
    /// The code of an error response. `None` for any other message.
    pub fn error_code(&self) -> Option<i32> {
        if self.kind() != Kind::Error {
            return None;
        }
        let error: ErrorBody = serde_json::from_str(self.body()?).ok()?;
        Some(error.code)
    }

    /// Whether a result of `tools/call` reports that the tool failed (`isError`).
    ///
    /// A search for the member's name decides for most results; only the others are parsed.
    pub fn is_tool_error(&self) -> bool {
        let Some(span) = self.body_span() else { return false };
        let body = &self.bytes()[span];
        let mut places = IS_ERROR.find_iter(body);
        // If every occurrence is false, the one that counts is false, too.
        if places.all(|at| body[at + IS_ERROR.needle().len()..].starts_with(b":false")) {
            return false;
        }
        serde_json::from_slice::<ToolResult<'_>>(body)
            .is_ok_and(|result| result.is_error.is_some_and(|flag| flag.get() == "true"))
    }

    /// The bytes of a `resources/read` result with another id and with the URI `own` replaced by
    /// `published`.
    pub fn with_id_and_uris(&self, id: &[u8], own: &str, published: &str) -> Bytes {
        let published = string(published);
        let mut edits = Vec::new();
        if let Some(span) = self.id_span() {
            edits.push(Edit::new(span, id));
        }
        let body = self.body().unwrap_or_default();
        let result = serde_json::from_str::<ReadResult<'_>>(body);
        for content in result.map(|result| result.contents).unwrap_or_default() {
            let Ok(Content { uri: Some(uri) }) = serde_json::from_str(content.get()) else {
                continue;
            };
            if serde_json::from_str::<String>(uri.get()).is_ok_and(|uri| uri == own) {
                edits.push(Edit::new(self.span_of(uri.get()), published.as_bytes()));
            }
        }
        splice(self.bytes(), &mut edits)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use crate::Message;

    fn message(result: &str) -> Message {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#);
        Message::parse(Bytes::from(text)).unwrap()
    }

    #[test]
    fn a_tools_own_error_is_told_from_talk_about_errors() {
        for (result, expected) in [
            (r#"{"content":[],"isError":true}"#, true),
            (r#"{"isError" : true}"#, true),
            (r#"{"isError":false}"#, false),
            (r#"{"content":[{"text":"\"isError\":true"}]}"#, false),
            (r#"{"structuredContent":{"isError":true}}"#, false),
            ("7", false),
        ] {
            assert_eq!(message(result).is_tool_error(), expected, "{result}");
        }
    }

    #[test]
    fn only_the_uris_that_were_asked_for_change() {
        let read = message(r#"{"contents":[{"uri":"a://x","text":"a://x"},{"uri":"a://y"}]}"#);
        assert_eq!(
            read.with_id_and_uris(b"9", "a://x", "mainstay://b/a://x"),
            r#"{"jsonrpc":"2.0","id":9,"result":{"contents":[{"uri":"mainstay://b/a://x","text":"a://x"},{"uri":"a://y"}]}}"#
        );
    }
}
