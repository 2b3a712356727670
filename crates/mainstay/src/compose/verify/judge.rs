//! Judges the answers of servers. Pure.

use std::collections::BTreeSet;

use mainstay_model::settings::{CallCheck, ToolsCheck};
use mainstay_upstream::{Members, Secrets, beginning};
use serde::Deserialize;
use serde_json::Value;

/// The answer to a tool call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ToolAnswer {
    /// The result, as JSON text.
    Result(Vec<u8>),
    /// An error of JSON-RPC: its message.
    Error(String),
}

/// The part of a tool's result that counts.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ToolResult {
    #[serde(default)]
    is_error: bool,
    #[serde(default)]
    content: Vec<Content>,
    #[serde(default)]
    structured_content: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Content {
    /// Only contents of type `text` have one.
    #[serde(default)]
    text: Option<String>,
}

/// Most characters that are quoted of an answer.
const QUOTED_CHARS_MAX: usize = 160;
/// Most names of tools in a sentence.
const NAMES_MAX: usize = 10;

/// Compares an answer with what must come back. Returns what came.
///
/// # Errors
/// Says what is missing or different.
pub(super) fn call(
    check: &CallCheck,
    members: &Members,
    secrets: &Secrets,
    answer: &ToolAnswer,
) -> Result<String, String> {
    let result = match answer {
        ToolAnswer::Result(bytes) => read(bytes)?,
        ToolAnswer::Error(message) => ToolResult::error(message),
    };
    let text = result.text();
    let quoted = || quoted(&text, secrets);
    match (check.is_error, result.is_error) {
        (false, true) => return Err(format!("it fails: {}", quoted())),
        (true, false) => return Err(format!("it succeeds: {}", quoted())),
        _ => {}
    }
    if let Some(wanted) = &check.contains
        && !result.texts().any(|text| text.contains(wanted))
    {
        return Err(format!("no text of its result contains {wanted:?}: {}", quoted()));
    }
    if let Some(wanted) = &check.equals
        && text.trim() != wanted.trim()
    {
        return Err(format!("its text is not {wanted:?}: {}", quoted()));
    }
    if !members.is_empty() {
        let json = result.json().map_err(|why| format!("{why}: {}", quoted()))?;
        members.check(&json, "its result", secrets)?;
    }
    Ok(quoted())
}

fn read(bytes: &[u8]) -> Result<ToolResult, String> {
    // A struct is read from an array, too.
    let is_object = bytes.trim_ascii_start().starts_with(b"{");
    let result = serde_json::from_slice(bytes).ok().filter(|_| is_object);
    result.ok_or_else(|| "it answers with something that is no result of a tool".to_owned())
}

/// Compares the tools of a server with those that it must have. Returns what there is.
///
/// # Errors
/// Names missing and unexpected tools.
pub(super) fn tools(check: &ToolsCheck, found: &BTreeSet<String>) -> Result<String, String> {
    let missing: Vec<_> = check.names.difference(found).map(String::as_str).collect();
    let unexpected: Vec<_> = match check.is_exact {
        true => found.difference(&check.names).map(String::as_str).collect(),
        false => Vec::new(),
    };
    let mut faults = Vec::new();
    if !missing.is_empty() {
        faults.push(format!("missing: {}", listed(&missing)));
    }
    if !unexpected.is_empty() {
        faults.push(format!("unexpected: {}", listed(&unexpected)));
    }
    if !faults.is_empty() {
        return Err(faults.join("; "));
    }
    Ok(match (check.is_exact, found.len()) {
        (true, count) => format!("exactly these {count}"),
        (false, count) => format!("all of them, among {count}"),
    })
}

fn listed(names: &[&str]) -> String {
    let shown = names[..names.len().min(NAMES_MAX)].join(", ");
    match names.len().saturating_sub(NAMES_MAX) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// The beginning of a text, in quotes.
fn quoted(text: &str, secrets: &Secrets) -> String {
    match beginning(text.as_bytes(), QUOTED_CHARS_MAX, secrets) {
        Some(line) => format!("\"{line}\""),
        None => "without a text".to_owned(),
    }
}

// === impl ToolResult ===

impl ToolResult {
    fn error(message: &str) -> Self {
        let content = vec![Content { text: Some(message.to_owned()) }];
        Self { is_error: true, content, structured_content: None }
    }

    fn texts(&self) -> impl Iterator<Item = &str> {
        self.content.iter().filter_map(|content| content.text.as_deref())
    }

    fn text(&self) -> String {
        self.texts().collect::<Vec<_>>().join("\n")
    }

    /// The structured content, or the JSON that its text is.
    fn json(&self) -> Result<Value, &'static str> {
        if let Some(json) = &self.structured_content {
            return Ok(json.clone());
        }
        serde_json::from_str(self.text().trim())
            .map_err(|_| "it has no structured content, and its text is not JSON")
    }
}
