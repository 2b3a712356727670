//! Parses a file in any of the three notations to a tree.

use std::collections::BTreeMap;

use jsonc_parser::ast::{Object, Value as Json};
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};

use super::notation::{Broken, Notation, number_value};
use super::yaml;
use crate::document::{At, Entry, Node, Value, parse_file};

pub(super) struct Tree {
    pub(super) notation: Notation,
    pub(super) root: Node,
}

/// Options for JSON that people write: comments and trailing commas are allowed.
pub(crate) const JSON_OPTIONS: ParseOptions = ParseOptions {
    allow_comments: true,
    allow_loose_object_property_names: false,
    allow_trailing_commas: true,
    allow_missing_commas: false,
    allow_single_quoted_strings: false,
    allow_hexadecimal_numbers: false,
    allow_unary_plus_numbers: false,
    allow_bare_decimal_point_numbers: false,
    allow_non_finite_numbers: false,
    allow_extended_string_escapes: false,
};

pub(super) fn parse(text: &str) -> Result<Tree, Broken> {
    let notation = notation(text);
    let root = match notation {
        Notation::Json => json(text)?,
        Notation::Toml => {
            let (root, errors) = parse_file(text);
            if let Some(error) = errors.into_iter().next() {
                let at = error.span.start;
                return Err(Broken { notation, at, message: error.message });
            }
            root
        }
        Notation::Yaml => yaml::parse(text)?,
    };
    Ok(Tree { notation, root })
}

/// Detects the notation by the first line that is no comment: a brace begins JSON, `[word` and
/// `word =` begin TOML.
fn notation(text: &str) -> Notation {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    let line = line.unwrap_or_default();
    if let Some(inside) = line.strip_prefix('[') {
        let word = inside.trim_start_matches('[').trim_start();
        let is_header = word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        return if is_header { Notation::Toml } else { Notation::Json };
    }
    if line.starts_with(['{', '/']) {
        return Notation::Json;
    }
    let key = line.split(['=', ':']).next().unwrap_or_default();
    let is_assignment = line.len() > key.len() && line[key.len()..].starts_with('=');
    if is_assignment { Notation::Toml } else { Notation::Yaml }
}

/// Reads JSON, comments allowed.
pub(crate) fn json(text: &str) -> Result<Node, Broken> {
    let parsed =
        parse_to_ast(text, &CollectOptions::default(), &JSON_OPTIONS).map_err(|error| {
            // The error's kind names what was expected and never quotes the text.
            let mut message = error.kind().to_string();
            if let Some(first) = message.get_mut(..1) {
                first.make_ascii_lowercase();
            }
            Broken { notation: Notation::Json, at: error.range().start, message }
        })?;
    Ok(parsed.value.as_ref().and_then(json_node).unwrap_or_else(Node::empty_table))
}

/// Converts a value; null counts as not written.
fn json_node(value: &Json<'_>) -> Option<Node> {
    let range = value.range();
    let at = At::File(range.start..range.end);
    let value = match value {
        Json::NullKeyword(_) => return None,
        Json::StringLit(text) => Value::Text(text.value.clone().into_owned()),
        Json::BooleanLit(truth) => Value::Bool(truth.value),
        Json::NumberLit(number) => number_value(number.value),
        Json::Array(array) => Value::List(array.elements.iter().filter_map(json_node).collect()),
        Json::Object(object) => Value::Table(json_entries(object)),
    };
    Some(Node { at, value })
}

/// Converts the members of an object; of a repeated key the last one counts, as everywhere in JSON.
fn json_entries(object: &Object<'_>) -> Vec<Entry> {
    let mut places = BTreeMap::new();
    let mut entries: Vec<Entry> = Vec::new();
    for property in &object.properties {
        let Some(node) = json_node(&property.value) else { continue };
        let key = property.name.as_str().to_owned();
        let range = property.name.range();
        let entry = Entry { key: key.clone(), key_at: At::File(range.start..range.end), node };
        match places.get(&key) {
            Some(place) => {
                let place: usize = *place;
                entries[place] = entry;
            }
            None => {
                places.insert(key, entries.len());
                entries.push(entry);
            }
        }
    }
    entries
}

pub(crate) fn find<'a>(node: &'a Node, key: &str) -> Option<&'a Node> {
    node.entries().iter().find(|entry| entry.key == key).map(|entry| &entry.node)
}

pub(super) fn is_table(node: &Node) -> bool {
    matches!(node.value, Value::Table(_))
}
