//! Edits in JSON with comments.

use std::collections::BTreeSet;
use std::path::Path;

use jsonc_parser::ast::Object;
use jsonc_parser::cst::{CstInputValue, CstNode, CstObject, CstObjectProp, CstRootNode};
use jsonc_parser::{CollectOptions, parse_to_ast};
use serde_json::Value;

use super::clients::RUN_KEYS;
use super::edit_error::EditError;
use crate::import::{JSON_OPTIONS, json_tree, problem_at};

type ClientEntry = [(&'static str, Value)];
/// The keys that lead to a table of servers, from the top of the file.
type Table = [String];

pub(super) fn alone(table: &Table, name: &str, entry: &ClientEntry) -> String {
    let root = CstRootNode::parse("{}\n", &JSON_OPTIONS).expect("an empty object is JSON");
    let servers = table
        .iter()
        .fold(root.object_value_or_set(), |object, key| object.object_value_or_set(key));
    servers.append(name, CstInputValue::Object(inputs(entry)));
    root.to_string()
}

pub(super) fn put(
    path: &Path,
    text: &str,
    table: &Table,
    name: &str,
    entry: &ClientEntry,
) -> Result<String, EditError> {
    if text.trim().is_empty() {
        return Ok(alone(table, name, entry));
    }
    let root = parse(path, text)?;
    once(path, text, table)?;
    if let Some(inserted) = inserted(text, table, name, entry) {
        return Ok(inserted);
    }
    let mut servers = object(path, text, root.object_value_or_create(), "the file")?;
    for key in table {
        servers = object(path, text, servers.object_value_or_create(key), key)?;
    }
    match servers.get(name) {
        None => {
            servers.append(name, CstInputValue::Object(inputs(entry)));
        }
        Some(property) => match property.object_value() {
            Some(there) => update(&there, entry),
            None => property.set_value(CstInputValue::Object(inputs(entry))),
        },
    }
    Ok(root.to_string())
}

/// Inserts an entry into a text whose servers stand on one line, and keeps that shape.
fn inserted(text: &str, table: &Table, name: &str, entry: &ClientEntry) -> Option<String> {
    let parsed = parse_to_ast(text, &CollectOptions::default(), &JSON_OPTIONS).ok()?;
    let mut object = parsed.value.as_ref()?.as_object()?;
    let mut missing = table;
    while let [key, rest @ ..] = missing
        && let Some(property) = object.get(key)
    {
        object = property.value.as_object()?;
        missing = rest;
    }
    if missing.is_empty() && object.get(name).is_some() {
        return None;
    }
    let ours = format!("{}: {}", Value::from(name), one_line(entry));
    let around = |inner: String, key: &String| format!("{}: {{ {inner} }}", Value::from(&**key));
    insert_into(text, object, &missing.iter().rev().fold(ours, around))
}

/// Checks that each key that leads to the servers, and each server, is written once: of two, programs read the
/// last one, and an edit of the other would have no effect.
fn once(path: &Path, text: &str, table: &Table) -> Result<(), EditError> {
    let Ok(parsed) = parse_to_ast(text, &CollectOptions::default(), &JSON_OPTIONS) else {
        return Ok(());
    };
    let mut object = parsed.value.as_ref().and_then(|value| value.as_object());
    let mut keys = table.iter();
    while let Some(found) = object {
        let next = keys.next();
        let mut seen = BTreeSet::new();
        for property in &found.properties {
            let name = property.name.as_str();
            if !seen.insert(name) && next.is_none_or(|next| next == name) {
                let message = format!("{} is written twice", Value::from(name));
                let span = property.range.start..property.range.start;
                return Err(EditError::File(problem_at(path, text, &span, message)));
            }
        }
        object = next.and_then(|next| found.get(next)?.value.as_object());
    }
    Ok(())
}

/// Adds a member behind the last one, where all of them stand on one line.
fn insert_into(text: &str, object: &Object<'_>, member: &str) -> Option<String> {
    let last = object.properties.last()?;
    if text[object.range.start..object.range.end].contains('\n') {
        return None;
    }
    let behind = &text[last.range.end..object.range.end];
    let (at, comma) = match behind.find(',') {
        Some(comma) => (last.range.end + comma + 1, ""),
        None => (last.range.end, ","),
    };
    Some(format!("{}{comma} {member}{}", &text[..at], &text[at..]))
}

fn one_line(entry: &ClientEntry) -> String {
    let members = entry.iter().map(|(key, value)| format!("{}: {value}", Value::from(*key)));
    format!("{{ {} }}", members.collect::<Vec<_>>().join(", "))
}

pub(super) fn take_out(
    path: &Path,
    text: &str,
    table: &Table,
    name: &str,
) -> Result<String, EditError> {
    if text.trim().is_empty() {
        return Ok(text.to_owned());
    }
    let root = parse(path, text)?;
    once(path, text, table)?;
    // The properties that lead to the servers.
    let mut way: Vec<CstObjectProp> = Vec::new();
    for key in table {
        let object = match way.last() {
            None => root.object_value(),
            Some(outer) => outer.object_value(),
        };
        let Some(inner) = object.and_then(|object| object.get(key)) else {
            return Ok(text.to_owned());
        };
        way.push(inner);
    }
    let servers = way.last().and_then(CstObjectProp::object_value);
    let Some(property) = servers.and_then(|servers| servers.get(name)) else {
        return Ok(text.to_owned());
    };
    property.remove();
    while let Some(empty) = way.pop().filter(is_empty) {
        empty.remove();
    }
    Ok(root.to_string())
}

/// Whether nothing is left in a table. One with a comment is kept, since the comment is the user's.
fn is_empty(table: &CstObjectProp) -> bool {
    table.object_value().is_some_and(|object| {
        object.properties().is_empty() && !object.children().iter().any(CstNode::is_comment)
    })
}

pub(super) fn names(path: &Path, text: &str, table: &Table) -> Result<Vec<String>, EditError> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    let root = parse(path, text)?;
    let inner = |object: CstObject, key: &String| object.object_value(key);
    let servers = root.object_value().and_then(|whole| table.iter().try_fold(whole, inner));
    let properties = servers.map(|servers| servers.properties()).unwrap_or_default();
    Ok(properties.iter().filter_map(CstObjectProp::decoded_name).collect())
}

fn parse(path: &Path, text: &str) -> Result<CstRootNode, EditError> {
    // The tree's parser reports an error with its place.
    json_tree(path, text).map_err(EditError::File)?;
    CstRootNode::parse(text, &JSON_OPTIONS).map_err(|error| {
        EditError::File(problem_at(
            path,
            text,
            &(error.range().start..error.range().end),
            "this is not valid JSON".to_owned(),
        ))
    })
}

fn object(
    path: &Path,
    text: &str,
    object: Option<CstObject>,
    what: &str,
) -> Result<CstObject, EditError> {
    object.ok_or_else(|| {
        let at = text.find(&format!("\"{what}\"")).unwrap_or_default();
        let message = format!("expected {what} to be an object");
        EditError::File(problem_at(path, text, &(at..at), message))
    })
}

/// Writes members that differ and removes contradicting ones. All others stay.
fn update(there: &CstObject, entry: &ClientEntry) {
    for (key, value) in entry {
        match there.get(key) {
            Some(property) if is_same(property.value(), value) => {}
            Some(property) => property.set_value(input(value)),
            None => {
                there.append(key, input(value));
            }
        }
    }
    for key in RUN_KEYS {
        if entry.iter().all(|(written, _)| *written != key)
            && let Some(property) = there.get(key)
        {
            property.remove();
        }
    }
}

fn is_same(node: Option<CstNode>, value: &Value) -> bool {
    node.is_some_and(|node| {
        json_tree(Path::new(""), &node.to_string()).is_ok_and(|tree| tree == *value)
    })
}

fn inputs(entry: &ClientEntry) -> Vec<(String, CstInputValue)> {
    entry.iter().map(|(key, value)| ((*key).to_owned(), input(value))).collect()
}

fn input(value: &Value) -> CstInputValue {
    match value {
        Value::Null => CstInputValue::Null,
        Value::Bool(truth) => CstInputValue::Bool(*truth),
        Value::Number(number) => CstInputValue::Number(number.to_string()),
        Value::String(text) => CstInputValue::String(text.clone()),
        Value::Array(items) => CstInputValue::Array(items.iter().map(input).collect()),
        Value::Object(members) => CstInputValue::Object(
            members.iter().map(|(key, value)| (key.clone(), input(value))).collect(),
        ),
    }
}
