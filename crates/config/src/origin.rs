//! The origin of each value: a default, a line of the file, a variable or a flag.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::document::{At, Node, key_text, toml_text};
use crate::keys::Amount;
use crate::source::Source;
use crate::typed::{Placed, Typed};
use crate::units::{format_duration, format_size};
use crate::url_keys;

/// The origin of a value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "from", rename_all = "lowercase")]
pub enum Origin {
    Default,
    /// A line of the file, counted from 1.
    File {
        file: PathBuf,
        line: usize,
    },
    Environment {
        variable: String,
    },
    Flag {
        flag: String,
    },
    /// A limit of the machine that the value follows from.
    Limit {
        /// A phrase such as `half of the memory limit`.
        limit: String,
        /// The value that would be in force without the limit.
        #[serde(skip_serializing_if = "Option::is_none")]
        configured: Option<serde_json::Value>,
    },
}

/// Every value in force, in the order of the declarations, with secrets masked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Origins {
    values: Vec<ResolvedValue>,
}

/// A value that is in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ResolvedValue {
    /// The key, such as `servers.weather.command`.
    pub key: String,
    /// The value as it would be written; `***` for a secret.
    pub value: serde_json::Value,
    #[serde(flatten)]
    pub origin: Origin,
}

/// The values in force, for people (`Display`) and for programs (`Serialize`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Resolved<'a> {
    values: &'a [ResolvedValue],
}

/// A value as it was read, before lines are counted.
pub(crate) struct Written {
    key: String,
    value: serde_json::Value,
    at: At,
}

// === impl Written ===

impl Written {
    /// Adds a key that is empty.
    pub(crate) fn add_empty(all: &mut Vec<Self>, path: &str, node: &Node) {
        all.push(Self { key: path.to_owned(), value: "".into(), at: node.at.clone() });
    }

    /// Adds a value, or each entry of a table of secrets.
    pub(crate) fn add(all: &mut Vec<Self>, path: &str, typed: &Typed, node: &Node) {
        let value = match typed {
            // The keys of the table are noted one by one.
            Typed::Table(_) | Typed::Rules(_) => return,
            Typed::Maxima(amount, maxima) => maxima_json(*amount, maxima),
            Typed::Secrets { values, .. } if !values.is_empty() => {
                let shown = node.entries().iter().map(|entry| Self {
                    key: format!("{path}.{}", key_text(&entry.key)),
                    value: "***".into(),
                    at: entry.node.at.clone(),
                });
                all.extend(shown);
                return;
            }
            // Either `env` or `headers` is always empty: the one of the other kind of server.
            Typed::Secrets { .. } if !node.at.is_written() => return,
            Typed::Secrets { .. } => serde_json::json!({}),
            Typed::Secret(_) => "***".into(),
            Typed::Expected(members) => expected_json(members),
            Typed::Bool(truth) => (*truth).into(),
            Typed::Word(word) => (*word).into(),
            Typed::Duration(duration) => format_duration(*duration).into(),
            Typed::Listen(listen) => listen.to_string().into(),
            Typed::Text(text) => text.clone().into(),
            Typed::KeyedUrl { written, .. } => url_keys::masked(written).into(),
            Typed::Path(path) => path.to_string_lossy().into(),
            Typed::List(items) => items.iter().map(Placed::shown).collect(),
            Typed::Cpus(cpus) => match cpus.thousandths() {
                whole if whole % 1000 == 0 => (whole / 1000).into(),
                part => (f64::from(part) / 1000.0).into(),
            },
            Typed::Count(count) => match node.value {
                crate::document::Value::Text(_) => format_size(*count).into(),
                _ => (*count).into(),
            },
        };
        all.push(Self { key: path.to_owned(), value, at: node.at.clone() });
    }
}

/// Members and their allowed values, as they would be written.
fn expected_json(members: &[(String, Vec<String>)]) -> serde_json::Value {
    let value = |text: &String| serde_json::from_str(text).unwrap_or(serde_json::Value::Null);
    let values = |texts: &[String]| match texts {
        [one] => value(one),
        several => several.iter().map(value).collect(),
    };
    members.iter().map(|(path, texts)| (path.clone(), values(texts))).collect()
}

/// Amounts by the paths of arguments, as they would be written.
fn maxima_json(amount: Amount, maxima: &[(String, u64)]) -> serde_json::Value {
    let value = |most: u64| match amount {
        Amount::Count => most.into(),
        Amount::Size => serde_json::Value::from(format_size(most)),
    };
    maxima.iter().map(|(path, most)| (path.clone(), value(*most))).collect()
}

// === impl Origins ===

impl Origins {
    pub(crate) fn new(written: Vec<Written>, source: Option<&Source<'_>>) -> Self {
        let values = written.into_iter().map(|one| ResolvedValue {
            key: one.key,
            value: one.value,
            origin: Origin::new(&one.at, source),
        });
        Self { values: values.collect() }
    }

    pub(crate) fn push(&mut self, key: &str, value: serde_json::Value, origin: Origin) {
        self.values.push(ResolvedValue { key: key.to_owned(), value, origin });
    }

    /// Gives the keys that are there other values, or takes them out where there is none. One pass over all
    /// values, however many change.
    pub(crate) fn change(&mut self, changes: &BTreeMap<String, Option<serde_json::Value>>) {
        self.values.retain_mut(|found| match changes.get(&found.key) {
            Some(Some(value)) => {
                found.value = value.clone();
                true
            }
            Some(None) => false,
            None => true,
        });
    }

    /// Sets a value that follows from a limit of this machine. `limit`: a phrase for people. A value that
    /// was there before is kept as the configured one.
    pub fn set_by_limit(&mut self, key: &str, value: serde_json::Value, limit: String) {
        match self.values.iter_mut().find(|found| found.key == key) {
            Some(found) => {
                let configured = Some(std::mem::replace(&mut found.value, value));
                found.origin = Origin::Limit { limit, configured };
            }
            None => self.push(key, value, Origin::Limit { limit, configured: None }),
        }
    }

    /// The origin of a key's value, such as `gateway.listen`. None when the key is unset.
    pub fn of(&self, key: &str) -> Option<&Origin> {
        self.values.iter().find(|value| value.key == key).map(|value| &value.origin)
    }

    /// The values for `mainstay check --resolved`.
    pub fn resolved(&self) -> Resolved<'_> {
        Resolved { values: &self.values }
    }

    pub fn iter(&self) -> impl Iterator<Item = &ResolvedValue> {
        self.values.iter()
    }
}

// === impl Origin ===

impl Origin {
    fn new(at: &At, source: Option<&Source<'_>>) -> Self {
        match (at, source) {
            (At::File(span), Some(source)) => {
                Self::File { file: source.path().to_owned(), line: source.line_number(span.start) }
            }
            (At::Variable(name), _) => Self::Environment { variable: name.clone() },
            (At::Flag(name), _) => Self::Flag { flag: name.clone() },
            _ => Self::Default,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { file, line } => write!(f, "{}:{line}", file.display()),
            Self::Environment { variable } => write!(f, "env {variable}"),
            Self::Flag { flag } => write!(f, "flag {flag}"),
            Self::Limit { limit, configured: None } => f.write_str(limit),
            Self::Limit { limit, configured: Some(configured) } => {
                write!(f, "lowered from {} by {limit}", toml_text(configured))
            }
        }
    }
}

// === impl Resolved ===

impl fmt::Display for Resolved<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A long value pushes its own origin out, not everybody's.
        const WIDTH_MAX: usize = 60;
        let lines: Vec<_> = self
            .values
            .iter()
            .map(|one| (format!("{} = {}", one.key, toml_text(&one.value)), &one.origin))
            .collect();
        let lengths = lines.iter().map(|(text, _)| text.chars().count());
        let width = lengths.filter(|length| *length <= WIDTH_MAX).max().unwrap_or(0);
        for (text, origin) in lines {
            writeln!(f, "{text:width$}  # {origin}")?;
        }
        Ok(())
    }
}
