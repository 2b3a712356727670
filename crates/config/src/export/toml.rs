//! Edits in TOML.

use std::ops::Range;
use std::path::Path;

use serde_json::Value as Json;
use toml_edit::{Array, Document, DocumentMut, Item, Table, TableLike, Value};

use super::clients::RUN_KEYS;
use super::edit_error::EditError;
use crate::import::problem_at;
use crate::line_ends;

type ClientEntry = [(&'static str, Json)];

pub(super) fn alone(table: &str, name: &str, entry: &ClientEntry) -> String {
    let mut document = DocumentMut::new();
    let mut servers = Table::new();
    servers.set_implicit(true);
    let mut ours = Table::new();
    for (key, value) in entry {
        ours.insert(key, Item::Value(input(value)));
    }
    servers.insert(name, Item::Table(ours));
    document.insert(table, Item::Table(servers));
    document.to_string().trim_start().to_owned()
}

pub(super) fn put(
    path: &Path,
    text: &str,
    table: &str,
    name: &str,
    entry: &ClientEntry,
) -> Result<String, EditError> {
    let mut document = parse(path, text)?;
    let Some(servers) = document.get_mut(table) else {
        return Ok(appended(text, table, name, entry));
    };
    let is_one_line = servers.is_inline_table();
    let is_new = servers.get(name).is_none();
    let Some(servers) = servers.as_table_like_mut() else {
        let at = text.find(table).unwrap_or_default();
        let message = format!("expected {table} to be a table");
        return Err(EditError::File(problem_at(path, text, &(at..at), message)));
    };
    match servers.get_mut(name).and_then(Item::as_table_like_mut) {
        Some(there) => update(there, entry),
        None if !is_one_line && is_new => {
            return Ok(appended(text, table, name, entry));
        }
        None => {
            let members = entry.iter().map(|(key, value)| (*key, input(value)));
            servers.insert(name, Item::Value(Value::InlineTable(members.collect())));
        }
    }
    Ok(line_ends::kept(text, &document.to_string()))
}

/// Appends the entry to the file, so that nothing else changes.
fn appended(text: &str, table: &str, name: &str, entry: &ClientEntry) -> String {
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let gap = match text {
        "" => String::new(),
        _ if text.ends_with('\n') => newline.to_owned(),
        _ => newline.repeat(2),
    };
    format!("{text}{gap}{}", alone(table, name, entry).replace('\n', newline))
}

fn update(there: &mut dyn TableLike, entry: &ClientEntry) {
    for (key, value) in entry {
        let new = input(value);
        match there.get_mut(key).and_then(Item::as_value_mut) {
            Some(old) if is_same(old, value) => {}
            Some(old) => {
                let decor = old.decor().clone();
                *old = new;
                *old.decor_mut() = decor;
            }
            None => {
                there.insert(key, Item::Value(new));
            }
        }
    }
    for key in RUN_KEYS {
        if entry.iter().all(|(written, _)| *written != key) {
            there.remove(key);
        }
    }
}

pub(super) fn take_out(
    path: &Path,
    text: &str,
    table: &str,
    name: &str,
) -> Result<String, EditError> {
    let mut document = parse(path, text)?;
    let spanned = Document::parse(text).ok();
    let ours = spanned.as_ref().and_then(|document| document.get(table)?.get(name)?.as_table());
    if let Some(lines) = ours.and_then(|ours| lines(text, ours)) {
        return Ok(format!("{}{}", &text[..lines.start], &text[lines.end..]));
    }
    let servers = document.get_mut(table).and_then(Item::as_table_like_mut);
    match servers.and_then(|servers| servers.remove(name)) {
        Some(_) => Ok(line_ends::kept(text, &document.to_string())),
        None => Ok(text.to_owned()),
    }
}

/// The lines of a table with its own header, including the blank line before it.
fn lines(text: &str, table: &Table) -> Option<Range<usize>> {
    let mut span = table.span()?;
    // Tables below it have headers of their own, and may stand anywhere.
    if table.iter().any(|(_, item)| item.is_table() || item.is_array_of_tables()) {
        return None;
    }
    for (_, item) in table {
        span.end = span.end.max(item.span()?.end);
    }
    let start = text[..span.start].rfind('\n').map_or(0, |newline| newline + 1);
    let end = text[span.end..].find('\n').map_or(text.len(), |newline| span.end + newline + 1);
    let before = &text[..start];
    let blank = ["\r\n", "\n"]
        .into_iter()
        .find(|newline| before.strip_suffix(newline).is_some_and(|rest| rest.ends_with('\n')));
    Some(start - blank.map_or(0, str::len)..end)
}

pub(super) fn names(path: &Path, text: &str, table: &str) -> Result<Vec<String>, EditError> {
    let document = parse(path, text)?;
    let servers = document.get(table).and_then(Item::as_table_like);
    Ok(servers
        .map(|servers| servers.iter().map(|(name, _)| name.to_owned()).collect())
        .unwrap_or_default())
}

fn parse(path: &Path, text: &str) -> Result<DocumentMut, EditError> {
    text.parse().map_err(|error: toml_edit::TomlError| {
        let span = error.span().unwrap_or_default();
        EditError::File(problem_at(
            path,
            text,
            &span,
            format!("this is not valid TOML: {}", error.message()),
        ))
    })
}

fn is_same(old: &Value, new: &Json) -> bool {
    match (old, new) {
        (Value::String(old), Json::String(new)) => old.value() == new,
        (Value::Boolean(old), Json::Bool(new)) => old.value() == new,
        (Value::Array(old), Json::Array(new)) => {
            old.len() == new.len() && old.iter().zip(new).all(|(old, new)| is_same(old, new))
        }
        _ => false,
    }
}

fn input(value: &Json) -> Value {
    match value {
        Json::Bool(truth) => Value::from(*truth),
        Json::Array(items) => Value::Array(items.iter().map(input).collect::<Array>()),
        Json::String(text) => Value::from(text.as_str()),
        // No entry has anything else.
        other => Value::from(other.to_string()),
    }
}
