//! The words with which a server explains a refusal, fit for a line of a log or a terminal.

use serde_json::Value;

use crate::secrets::Secrets;

/// Most of a body that is looked at.
const LOOKED_AT_BYTES: usize = 8 << 10;
/// Longest text.
const CHARS_MAX: usize = 200;
/// Members of a JSON body that explain a refusal, the best first.
const MEMBERS: [&str; 7] =
    ["message", "error_description", "detail", "error", "title", "reason", "msg"];

/// The first line of a body that explains a refusal. None where there is no such text.
pub(crate) fn first_line(body: &[u8]) -> Option<String> {
    let looked_at = body.get(..LOOKED_AT_BYTES).unwrap_or(body);
    let text = String::from_utf8_lossy(looked_at);
    let text = text.trim_start_matches('\u{feff}').trim();
    let json = serde_json::from_slice::<Value>(body).ok();
    let line = match json {
        Some(json) => explanation(&json)?,
        None if text.starts_with('<') => line_of_page(text),
        None => text.to_owned(),
    };
    let line = line.lines().map(printable).find(|line| !line.is_empty())?;
    Some(cut(&line, CHARS_MAX))
}

fn explanation(json: &Value) -> Option<String> {
    match json {
        Value::String(text) => Some(text.clone()),
        Value::Object(members) => {
            MEMBERS.iter().filter_map(|name| members.get(*name)).find_map(|inner| match inner {
                Value::String(text) if !text.trim().is_empty() => Some(text.clone()),
                Value::Object(_) => explanation(inner),
                Value::Array(items) => items.first().and_then(explanation),
                _ => None,
            })
        }
        _ => None,
    }
}

/// The title of a page, or its text.
fn line_of_page(page: &str) -> String {
    let mut title = String::new();
    let mut text = String::new();
    let mut rest = page;
    // The element whose text is being read, as far as it matters.
    let mut within = String::new();
    while !rest.is_empty() {
        let (before, tag_on) = rest.split_once('<').unwrap_or((rest, ""));
        match within.as_str() {
            "script" | "style" => {}
            "title" => title.push_str(before),
            _ => text.push_str(before),
        }
        let (tag, after) = tag_on.split_once('>').unwrap_or((tag_on, ""));
        let tag = tag.split(|c: char| c.is_whitespace() || c == '/').next().unwrap_or_default();
        within = tag.to_ascii_lowercase();
        text.push('\n');
        rest = after;
    }
    let best = if title.trim().is_empty() { text } else { title.replace('\n', " ") };
    [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&nbsp;", " "),
        ("&amp;", "&"),
    ]
    .iter()
    .fold(best, |text, (entity, character)| text.replace(entity, character))
}

/// The beginning of a body as one line, without what a terminal would obey and what must not be shown. `None` for
/// one that has nothing visible.
pub fn beginning(body: &[u8], chars_max: usize, secrets: &Secrets) -> Option<String> {
    let looked_at = body.get(..LOOKED_AT_BYTES).unwrap_or(body);
    let line = printable(&String::from_utf8_lossy(looked_at));
    // A secret is hidden before it could be cut in two.
    (!line.is_empty()).then(|| cut(&secrets.hide(&line), chars_max))
}

/// The first characters of a text, and `…` in the place of others.
pub(crate) fn cut(text: &str, chars_max: usize) -> String {
    let mut short: String = text.chars().take(chars_max).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// The line without what a terminal would obey, and with single spaces.
pub(crate) fn printable(line: &str) -> String {
    let visible: String = line.chars().map(|c| if is_visible(c) { c } else { ' ' }).collect();
    visible.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn is_visible(c: char) -> bool {
    // Controls, and marks that change the direction of text or have no width.
    !c.is_control()
        && !matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::{CHARS_MAX, first_line};

    #[test]
    fn the_words_are_found_in_text_json_and_pages() {
        for (body, expected) in [
            ("no such session on this node", Some("no such session on this node")),
            ("\n\n  Set X-Api-Key.\nmore", Some("Set X-Api-Key.")),
            (r#"{"error":"slow down"}"#, Some("slow down")),
            (
                r#"{"error":{"code":-32001,"message":"Session not found"}}"#,
                Some("Session not found"),
            ),
            (r#"{"error":"invalid_token","error_description":"expired"}"#, Some("expired")),
            (r#"{"detail":[{"msg":"field required"}]}"#, Some("field required")),
            (r#""plain""#, Some("plain")),
            (r#"{"code":7}"#, None),
            ("[]", None),
            ("", None),
            (" \r\n ", None),
            ("<html>blocked</html>", Some("blocked")),
            (
                "<!DOCTYPE html><html><head><title>\n 403 &amp; out </title></head><body>x</body></html>",
                Some("403 & out"),
            ),
            ("<html><style>p{}</style><script>if (a<b) {}</script><p>Ask <b>Bob</b>", Some("Ask")),
            ("<", None),
            ("<html><head><title></title></head></html>", None),
        ] {
            assert_eq!(first_line(body.as_bytes()).as_deref(), expected, "{body}");
        }
    }

    #[test]
    fn nothing_in_it_is_obeyed_by_a_terminal_and_it_is_short() {
        let evil = "\u{1b}[31mred\u{1b}]0;title\u{7} \u{202e}flip\u{200b} \u{9b}1m";
        assert_eq!(first_line(evil.as_bytes()).unwrap(), "[31mred ]0;title flip 1m");
        let long = first_line("é".repeat(5000).as_bytes()).unwrap();
        assert_eq!(long.chars().count(), CHARS_MAX + 1);
        assert!(first_line(&[0xff, 0xfe, b'a']).unwrap().ends_with('a'));
    }
}
