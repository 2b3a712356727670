//! The text of a file as a tree that remembers where everything stands.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The place where a value or key was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum At {
    /// Nowhere: it is a default.
    Default,
    /// A byte range of the file.
    File(Range<usize>),
    /// The file as a whole.
    WholeFile,
    /// A variable of the environment.
    Variable(String),
    /// A flag of the command line.
    Flag(String),
}

/// A value. It may be a secret, so it has no `Debug`.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) at: At,
    pub(crate) value: Value,
}

#[derive(Clone)]
pub(crate) enum Value {
    Text(String),
    /// An integer. None when it does not fit an `i64`.
    Integer(Option<i64>),
    Bool(bool),
    Float(f64),
    Date,
    List(Vec<Node>),
    Table(Vec<Entry>),
}

#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_at: At,
    pub(crate) node: Node,
}

/// A syntax error of the TOML text.
pub(crate) struct SyntaxError {
    pub(crate) span: Range<usize>,
    pub(crate) message: String,
}

/// Parses a whole file. Parts with syntax errors are left out of the tree and listed.
pub(crate) fn parse_file(text: &str) -> (Node, Vec<SyntaxError>) {
    let (table, errors) = DeTable::parse_recoverable(text);
    let locate = |span: Range<usize>| At::File(span);
    let root = Node { at: At::WholeFile, value: table_of(table.get_ref(), &locate) };
    let mut errors: Vec<_> = errors
        .into_iter()
        .map(|error| SyntaxError {
            span: error.span().unwrap_or(text.len()..text.len()),
            message: error.message().to_owned(),
        })
        .collect();
    errors.sort_by_key(|error| error.span.start);
    (root, errors)
}

/// Parses one value from outside of the file, such as a variable, and places it at `at`.
pub(crate) fn parse_value(text: &str, at: &At) -> Option<Node> {
    let value = DeValue::parse(text).ok()?;
    Some(node_of(&value, &|_| at.clone()))
}

fn node_of(value: &Spanned<DeValue<'_>>, locate: &impl Fn(Range<usize>) -> At) -> Node {
    let at = locate(value.span());
    let value = match value.get_ref() {
        DeValue::String(text) => Value::Text(text.clone().into_owned()),
        DeValue::Integer(number) => {
            Value::Integer(i64::from_str_radix(number.as_str(), number.radix()).ok())
        }
        DeValue::Float(number) => {
            Value::Float(number.as_str().replace('_', "").parse().unwrap_or(f64::NAN))
        }
        DeValue::Boolean(truth) => Value::Bool(*truth),
        DeValue::Datetime(_) => Value::Date,
        DeValue::Array(items) => {
            Value::List(items.iter().map(|item| node_of(item, locate)).collect())
        }
        DeValue::Table(table) => table_of(table, locate),
    };
    Node { at, value }
}

fn table_of(table: &DeTable<'_>, locate: &impl Fn(Range<usize>) -> At) -> Value {
    let mut rows: Vec<_> = table.iter().collect();
    // The parser sorts by name, but the order of the file means something.
    rows.sort_by_key(|(key, _)| key.span().start);
    Value::Table(
        rows.into_iter()
            .map(|(key, value)| Entry {
                key: key.get_ref().clone().into_owned(),
                key_at: locate(key.span()),
                node: node_of(value, locate),
            })
            .collect(),
    )
}

// === impl SyntaxError ===

impl SyntaxError {
    /// Whether a quote or bracket is missing, so that the text after it may belong inside.
    pub(crate) fn is_unclosed(&self) -> bool {
        let is_string =
            self.message.starts_with("invalid") && self.message.contains("string, expected");
        is_string || self.message.starts_with("unclosed") || self.is_comma_missing()
    }

    /// Whether a key follows inside of a list or table, as happens where the closing bracket is
    /// missing.
    pub(crate) fn is_comma_missing(&self) -> bool {
        self.message.starts_with("missing comma")
    }
}

// === impl Node ===

impl Node {
    pub(crate) fn empty_table() -> Self {
        Self { at: At::Default, value: Value::Table(Vec::new()) }
    }

    pub(crate) fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Table(entries) => entries,
            _ => &[],
        }
    }

    /// The name of the value's type, with an article, for messages.
    pub(crate) fn type_name(&self) -> &'static str {
        match self.value {
            Value::Text(_) => "a string",
            Value::Integer(_) => "a number",
            Value::Float(_) => "a number with a fraction",
            Value::Bool(_) => "true or false",
            Value::Date => "a date",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
        }
    }

    /// The value as JSON; dates and what is no number become null.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Text(text) => text.clone().into(),
            Value::Integer(number) => (*number).into(),
            Value::Bool(truth) => (*truth).into(),
            Value::Float(number) => (*number).into(),
            Value::Date => serde_json::Value::Null,
            Value::List(items) => items.iter().map(Self::to_json).collect(),
            Value::Table(entries) => {
                entries.iter().map(|entry| (entry.key.clone(), entry.node.to_json())).collect()
            }
        }
    }
}

// === impl At ===

impl At {
    pub(crate) fn is_written(&self) -> bool {
        *self != Self::Default
    }

    /// The order of places in reports: the file from its top, then variables, then flags.
    pub(crate) fn rank(&self) -> (u8, usize, &str) {
        match self {
            Self::WholeFile => (0, 0, ""),
            Self::File(span) => (1, span.start, ""),
            Self::Variable(name) => (2, 0, name),
            Self::Flag(name) => (3, 0, name),
            Self::Default => (4, 0, ""),
        }
    }
}

/// A declared default or example as JSON.
pub(crate) fn declared_json(toml: &str) -> serde_json::Value {
    parse_value(toml, &At::Default).map_or(serde_json::Value::Null, |node| node.to_json())
}

/// A JSON value as TOML on one line; null, which TOML lacks, as an empty string.
pub(crate) fn toml_text(value: &serde_json::Value) -> String {
    use serde_json::Value as Json;
    match value {
        Json::Null => "\"\"".to_owned(),
        Json::Array(items) => {
            format!("[{}]", items.iter().map(toml_text).collect::<Vec<_>>().join(", "))
        }
        Json::Object(members) if members.is_empty() => "{}".to_owned(),
        Json::Object(members) => {
            let members: Vec<_> = members
                .iter()
                .map(|(key, value)| format!("{} = {}", key_text(key), toml_text(value)))
                .collect();
            format!("{{ {} }}", members.join(", "))
        }
        // JSON escapes of strings are valid in TOML too, except for U+007F, which JSON leaves bare.
        scalar => scalar.to_string().replace('\u{7f}', "\\u007f"),
    }
}

/// Formats a key for TOML: bare where possible.
pub(crate) fn key_text(key: &str) -> String {
    let bare =
        !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if bare { key.to_owned() } else { toml_text(&key.into()) }
}
