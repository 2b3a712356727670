//! Edits YAML by adding, replacing or removing whole lines, so that all others stay as they are.

use std::ops::Range;
use std::path::Path;

use serde_json::Value as Json;

use super::clients::RUN_KEYS;
use super::edit_error::EditError;
use crate::document::{At, Entry, Node, Value};
use crate::import::{find, problem_at, yaml_tree};

type ClientEntry = [(&'static str, Json)];

/// Indentation of a level, where the file shows none.
const STEP: usize = 2;

/// A file whose servers can be edited.
struct File<'a> {
    path: &'a Path,
    text: &'a str,
    root: Node,
}

pub(super) fn alone(table: &str, name: &str, entry: &ClientEntry) -> String {
    format!("{table}:\n{}", lines(name, entry, STEP, STEP))
}

pub(super) fn put(
    path: &Path,
    text: &str,
    table: &str,
    name: &str,
    entry: &ClientEntry,
) -> Result<String, EditError> {
    let file = File::parse(path, text)?;
    let changed = match file.table(table)? {
        None => file.with_table(table, name, entry)?,
        Some((_, servers)) if find(&servers.node, name).is_some() => {
            file.with_update(&servers.node, name, entry)?
        }
        Some((key, servers)) => file.with_entry(&key, &servers, name, entry),
    };
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let changed = changed.replace("\r\n", "\n").replace('\n', newline);
    let mut expected = names(path, text, table)?;
    expected.retain(|there| there != name);
    expected.push(name.to_owned());
    file.checked(changed, table, expected)
}

pub(super) fn take_out(
    path: &Path,
    text: &str,
    table: &str,
    name: &str,
) -> Result<String, EditError> {
    let file = File::parse(path, text)?;
    let Some((key, servers)) = file.table(table)? else { return Ok(text.to_owned()) };
    let Some(ours) = servers.node.entries().iter().find(|entry| entry.key == name) else {
        return Ok(text.to_owned());
    };
    let mut gone = file.lines_of(ours);
    let is_alone = servers.node.entries().len() == 1 && gone.start == file.line_end(key.end);
    if is_alone {
        gone.start = file.line_start(key.start);
    }
    let mut expected = names(path, text, table)?;
    expected.retain(|there| there != name);
    file.checked(format!("{}{}", &text[..gone.start], &text[gone.end..]), table, expected)
}

pub(super) fn names(path: &Path, text: &str, table: &str) -> Result<Vec<String>, EditError> {
    let root = yaml_tree(path, text).map_err(EditError::File)?;
    let entries = find(&root, table).map(Node::entries).unwrap_or_default();
    Ok(entries.iter().map(|entry| entry.key.clone()).collect())
}

/// Formats an entry as lines.
fn lines(name: &str, entry: &ClientEntry, indent: usize, step: usize) -> String {
    format!("{}{}:\n{}", " ".repeat(indent), scalar(name), members(entry, indent + step))
}

fn members(entry: &ClientEntry, indent: usize) -> String {
    let margin = " ".repeat(indent);
    entry.iter().map(|(key, value)| format!("{margin}{key}: {}\n", written(value))).collect()
}

/// Writes a value. Lists are written in brackets, where JSON is valid YAML.
fn written(value: &Json) -> String {
    match value {
        Json::String(text) => scalar(text),
        other => other.to_string(),
    }
}

/// Formats a scalar, without quotes where it can't be taken for anything else.
fn scalar(text: &str) -> String {
    let is_begun = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    let is_plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-./:".contains(&b));
    let is_word = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
        .contains(&&*text.to_ascii_lowercase());
    if is_begun && is_plain && !is_word && !text.ends_with(':') {
        text.to_owned()
    } else {
        Json::from(text).to_string()
    }
}

fn span(at: &At) -> Range<usize> {
    match at {
        At::File(span) => span.clone(),
        _ => 0..0,
    }
}

// === impl File ===

impl<'a> File<'a> {
    fn parse(path: &'a Path, text: &'a str) -> Result<Self, EditError> {
        let root = yaml_tree(path, text).map_err(EditError::File)?;
        let file = Self { path, text, root };
        if !matches!(file.root.value, Value::Table(_)) {
            return Err(file.refusal(0, "expected the file to be a table"));
        }
        Ok(file)
    }

    fn refusal(&self, at: usize, message: &str) -> EditError {
        EditError::File(problem_at(self.path, self.text, &(at..at), message.to_owned()))
    }

    /// Returns the edited text if it parses to the intended value: the structure of YAML depends on
    /// more than its lines.
    fn checked(
        &self,
        text: String,
        table: &str,
        mut expected: Vec<String>,
    ) -> Result<String, EditError> {
        // Only text after the end of the document may be left, which is not YAML.
        if let Ok(mut found) = names(self.path, &text, table) {
            found.sort();
            expected.sort();
            if found == expected {
                return Ok(text);
            }
        }
        Err(self.refusal(0, &format!("{table} can't be edited line by line here")))
    }

    /// The key of the servers and its value. An empty value counts as an empty table.
    fn table(&self, table: &str) -> Result<Option<(Range<usize>, Entry)>, EditError> {
        let Some(entry) = self.root.entries().iter().find(|entry| entry.key == table) else {
            return Ok(None);
        };
        let (key, mut entry) = (span(&entry.key_at), entry.clone());
        let at = span(&entry.node.at);
        match &entry.node.value {
            Value::Table(entries) if !entries.is_empty() && self.is_in_braces(&entry.node) => {
                let message = format!("expected {table} to be on lines of its own, not in braces");
                return Err(self.refusal(at.start, &message));
            }
            Value::Table(_) => {}
            Value::Text(nothing) if nothing.is_empty() => {
                entry.node.value = Value::Table(Vec::new());
            }
            _ => return Err(self.refusal(key.start, &format!("expected {table} to be a table"))),
        }
        Ok(Some((key, entry)))
    }

    fn is_in_braces(&self, node: &Node) -> bool {
        self.text[span(&node.at)].starts_with(['{', '['])
    }

    fn is_quoted(&self, node: &Node) -> bool {
        self.text[span(&node.at)].starts_with(['"', '\''])
    }

    /// Appends the table to the file, so that nothing else changes.
    fn with_table(
        &self,
        table: &str,
        name: &str,
        entry: &ClientEntry,
    ) -> Result<String, EditError> {
        let is_mark = |line: &str| line.starts_with("---") || line.starts_with("...");
        let has_begun = |line: &&str| !line.trim().is_empty() && !line.starts_with(['#', '%']);
        let mut content = self.text.lines().filter(has_begun);
        let first = content.next().unwrap_or_default();
        let has_more = content.any(is_mark) || first.starts_with("...");
        if has_more || self.is_in_braces(&self.root) {
            let message = format!("a table {table} can't be added to a file of this shape");
            return Err(self.refusal(0, &message));
        }
        let gap = if self.text.is_empty() || self.text.ends_with('\n') { "" } else { "\n" };
        Ok(format!("{}{gap}{}", self.text, alone(table, name, entry)))
    }

    /// A new entry, before all others.
    fn with_entry(
        &self,
        key: &Range<usize>,
        servers: &Entry,
        name: &str,
        entry: &ClientEntry,
    ) -> String {
        let servers = &servers.node;
        let margin = self.column(key.start);
        let indent = servers.entries().first().map(|first| self.column(span(&first.key_at).start));
        let indent = indent.filter(|indent| *indent > margin).unwrap_or(margin + STEP);
        let ours = lines(name, entry, indent, indent - margin);
        // `{}` and `null` are replaced by the new entry.
        let colon = key.end + self.text[key.end..].find(':').map_or(0, |at| at + 1);
        if servers.entries().is_empty() {
            let end = span(&servers.at).end.max(colon);
            let rest = &self.text[end..];
            let (behind, after) = rest.split_at(rest.find('\n').unwrap_or(rest.len()));
            let after = after.strip_prefix('\n').unwrap_or(after);
            return format!("{}{behind}\n{ours}{after}", &self.text[..colon]);
        }
        let at = self.line_end(key.end);
        format!("{}{ours}{}", &self.text[..at], &self.text[at..])
    }

    /// Rewrites what an entry runs. Everything else in it stays.
    fn with_update(
        &self,
        servers: &Node,
        name: &str,
        entry: &ClientEntry,
    ) -> Result<String, EditError> {
        let mut all = servers.entries().iter().filter(|there| there.key == name);
        let Some(there) = all.next() else { return Ok(self.text.to_owned()) };
        let key = span(&there.key_at);
        if let Some(second) = all.next() {
            let message = format!("{name} is here for the second time; remove one of them");
            return Err(self.refusal(span(&second.key_at).start, &message));
        }
        let members_there = there.node.entries();
        if self.is_in_braces(&there.node) || members_there.is_empty() {
            let whole = self.lines_of(there);
            let ours = lines(name, entry, self.column(key.start), STEP);
            return Ok(format!("{}{ours}{}", &self.text[..whole.start], &self.text[whole.end..]));
        }
        let is_run = |member: &&Entry| RUN_KEYS.contains(&&*member.key);
        let runs: Vec<_> = members_there.iter().filter(is_run).collect();
        let is_same = runs.len() == entry.len()
            && entry.iter().all(|(key, value)| {
                find(&there.node, key).is_some_and(|node| node.to_json() == *value)
            });
        if is_same {
            return Ok(self.text.to_owned());
        }
        let indent = self.column(span(&members_there[0].key_at).start);
        let mut at = self.line_end(key.end);
        let mut text = format!("{}{}", &self.text[..at], members(entry, indent));
        for run in runs {
            let gone = self.lines_of(run);
            text.push_str(&self.text[at..gone.start]);
            at = gone.end;
        }
        Ok(text + &self.text[at..])
    }

    /// The lines of a key and its value.
    fn lines_of(&self, entry: &Entry) -> Range<usize> {
        let key = span(&entry.key_at);
        self.line_start(key.start)..self.line_end(self.last(&entry.node).max(key.end))
    }

    /// The byte at which a value ends. Tables and lists without brackets end with their last value;
    /// the parser reports their end where the next value begins.
    fn last(&self, node: &Node) -> usize {
        let own = span(&node.at);
        if self.is_in_braces(node) {
            return own.end;
        }
        let inside = match &node.value {
            Value::Table(entries) => entries.iter().map(|entry| self.last(&entry.node)).max(),
            Value::List(items) => items.iter().map(|item| self.last(item)).max(),
            // The parser reports an empty block of text (`|`) behind the lines that come after it.
            Value::Text(text) if text.trim().is_empty() && !self.is_quoted(node) => None,
            // A text over several lines ends with its last line break.
            _ => Some(own.start + self.text[own.clone()].trim_end().len()),
        };
        inside.unwrap_or_default()
    }

    fn line_start(&self, at: usize) -> usize {
        self.text[..at].rfind('\n').map_or(0, |newline| newline + 1)
    }

    /// The beginning of the next line.
    fn line_end(&self, at: usize) -> usize {
        self.text[at..].find('\n').map_or(self.text.len(), |newline| at + newline + 1)
    }

    fn column(&self, at: usize) -> usize {
        self.text[self.line_start(at)..at].chars().count()
    }
}

#[cfg(test)]
mod tests;
