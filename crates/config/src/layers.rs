//! Lays the environment and the flags over the tree of the file.
//!
//! A variable is `MAINSTAY__` and the path of a key in capitals, `__` between its parts:
//! `MAINSTAY__GATEWAY__LISTEN`, `MAINSTAY__SERVERS__WEATHER__ENV__API_KEY`. The name of a server is
//! found in any case and with `_` for `-`; one that the file lacks is new, in small letters.

use std::collections::BTreeMap;

use crate::document::{At, Entry, Node, Value, parse_value};
use crate::keys::{Kind, Map, Section, TOP_LEVEL, TopLevel};
use crate::nearest::nearest;
use crate::notes::Notes;
use crate::problem::quoted;

pub(crate) const PREFIX: &str = "MAINSTAY__";

/// A flag of the command line that sets a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// The flag as typed: `--listen`.
    pub flag: String,
    /// The key that the flag sets: `gateway.listen`.
    pub key: String,
    pub value: String,
}

/// The place of a value: the keys of the tables that lead to it, and its type. None: a text.
struct KeyPath {
    path: Vec<String>,
    kind: Option<&'static Kind>,
}

/// Why a path matches no key, and the key that was probably meant.
struct Lost {
    message: String,
    help: Option<String>,
}

pub(crate) fn lay_environment(root: &mut Node, env: &BTreeMap<String, String>, notes: &mut Notes) {
    for (name, text) in env {
        let Some(rest) = name.strip_prefix(PREFIX) else {
            warn_of_single_underscore(name, notes);
            continue;
        };
        let at = At::Variable(name.clone());
        let parts: Vec<_> = rest.split("__").collect();
        match find_variable(root, &parts) {
            Ok(target) => lay(root, &target, text, &at),
            Err(lost) => {
                notes.error(&at, "", lost.message).help(lost.help);
            }
        }
    }
}

pub(crate) fn lay_flags(root: &mut Node, flags: &[Flag], notes: &mut Notes) {
    for flag in flags {
        let at = At::Flag(flag.flag.clone());
        let found = flag.key.split_once('.').and_then(|(top, key)| {
            let top = TopLevel::find(top).filter(|top| !top.named && !top.listed)?;
            Some((top, top.section.key(key)?))
        });
        match found {
            Some((top, key)) => {
                let path = vec![top.name.to_owned(), key.name.to_owned()];
                lay(root, &KeyPath { path, kind: Some(&key.kind) }, &flag.value, &at);
            }
            None => {
                notes.error(
                    &at,
                    &flag.key,
                    format!("there is no key `{}` that a flag can set", flag.key),
                );
            }
        }
    }
}

/// Warns of names such as `MAINSTAY_GATEWAY_LISTEN`, which set nothing.
fn warn_of_single_underscore(name: &str, notes: &mut Notes) {
    let Some(rest) = name.strip_prefix("MAINSTAY_") else { return };
    let known = TOP_LEVEL.iter().filter(|top| !top.named && !top.listed).flat_map(|top| {
        top.section.key_names().map(|key| format!("{}__{}", top.name, key).to_uppercase())
    });
    if let Some(meant) = known.into_iter().find(|known| known.replace("__", "_") == rest) {
        notes
            .warning(
                &At::Variable(name.to_owned()),
                "",
                "the variable is ignored: separate the parts of its name by two underscores",
            )
            .help(format!("did you mean `{PREFIX}{meant}`?"));
    }
}

fn find_variable(root: &Node, parts: &[&str]) -> Result<KeyPath, Lost> {
    let (top_part, mut rest) = parts.split_first().expect("split gives at least one part");
    let top_names = TOP_LEVEL.iter().map(|top| top.name);
    let Some(top) = TOP_LEVEL.iter().find(|top| top.name.to_uppercase() == **top_part) else {
        return Err(unknown("", top_part, top_names, "variables begin with"));
    };
    if top.listed {
        return Err(Lost {
            message: format!("[[{}]] can't be set by a variable", top.name),
            help: Some("write it into the file; values in it may refer to variables".to_owned()),
        });
    }
    let mut path = vec![top.name.to_owned()];
    let mut begun = format!("{}__", top_part);
    if top.named {
        let Some((name, after)) = rest.split_first().filter(|(name, _)| !name.is_empty()) else {
            return Err(Lost {
                message: format!("the name of a {} is missing", top.noun()),
                help: Some(format!("write {PREFIX}{begun}NAME__KEY")),
            });
        };
        path.push(existing_or_new(root, top, name));
        begun.push_str(&format!("{name}__"));
        rest = after;
    }
    find_key(root, top.section, path, &begun, rest)
}

fn find_key(
    root: &Node,
    section: &'static Section,
    mut path: Vec<String>,
    begun: &str,
    parts: &[&str],
) -> Result<KeyPath, Lost> {
    let part = parts.first().copied().unwrap_or_default();
    let Some(key) = section.keys.iter().find(|key| key.name.to_uppercase() == part) else {
        return Err(unknown(begun, part, section.key_names(), "keys here are"));
    };
    path.push(key.name.to_owned());
    let rest = &parts[1..];
    match (&key.kind, rest) {
        (Kind::Table(inner), _) => find_key(root, inner, path, &format!("{begun}{part}__"), rest),
        (Kind::Patterns(inner), [name, after @ ..]) if !name.is_empty() => {
            let begun = format!("{begun}{part}__{name}__");
            path.push(existing_pattern(root, &path, name, &begun)?);
            find_key(root, inner, path, &begun, after)
        }
        (Kind::Patterns(_), _) => Err(Lost {
            message: "the pattern of a rule is missing".to_owned(),
            help: Some(format!("write {PREFIX}{begun}{part}__PATTERN__KEY")),
        }),
        (Kind::Secrets(map), [_, ..]) => {
            let name = map_key(root, &path, *map, &rest.join("__"));
            path.push(name);
            Ok(KeyPath { path, kind: None })
        }
        (Kind::Secrets(_), []) => Err(Lost {
            message: format!("`{}` is a table", key.name),
            help: Some(format!("set one entry: {PREFIX}{begun}{part}__NAME")),
        }),
        (_, []) => Ok(KeyPath { path, kind: Some(&key.kind) }),
        (_, [_, ..]) => Err(Lost {
            message: format!("`{}` is a single value, not a table", key.name),
            help: Some(format!("did you mean `{PREFIX}{begun}{part}`?")),
        }),
    }
}

fn unknown<'a>(
    begun: &str,
    part: &str,
    known: impl Iterator<Item = &'a str> + Clone,
    lead: &str,
) -> Lost {
    let help = match nearest(part, known.clone()) {
        Some(near) => format!("did you mean `{PREFIX}{begun}{}`?", near.to_uppercase()),
        None => format!("{lead} {}", known.map(str::to_uppercase).collect::<Vec<_>>().join(", ")),
    };
    Lost { message: "no setting has this name".to_owned(), help: Some(help) }
}

fn existing_or_new(root: &Node, top: &TopLevel, name: &str) -> String {
    let wanted = name.to_lowercase();
    let alike =
        |entry: &&Entry| entry.key.to_lowercase().replace('-', "_") == wanted.replace('-', "_");
    let section = root.entries().iter().find(|entry| entry.key == top.name);
    section
        .and_then(|section| section.node.entries().iter().find(alike))
        .map_or(wanted, |entry| entry.key.clone())
}

/// The pattern of a rule in the file that has these letters and digits. Others can't be told from the name of a
/// variable.
fn existing_pattern(root: &Node, path: &[String], name: &str, begun: &str) -> Result<String, Lost> {
    let plain = |text: &str| -> String {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric());
        words.filter(|word| !word.is_empty()).collect::<Vec<_>>().join("_").to_uppercase()
    };
    let entries = table_at(root, path).map_or(&[][..], Node::entries);
    let mut found = entries.iter().filter(|entry| plain(&entry.key) == plain(name));
    match (found.next(), found.next()) {
        (Some(entry), None) => Ok(entry.key.clone()),
        (None, _) => Err(Lost {
            message: "no rule for tools has this name".to_owned(),
            help: Some(format!(
                "{PREFIX}{begun}… changes a rule of the file, found by the letters and digits of its pattern"
            )),
        }),
        (Some(one), Some(other)) => Err(Lost {
            message: format!("it may be the rule {} or {}", quoted(&one.key), quoted(&other.key)),
            help: Some("change them in the file".to_owned()),
        }),
    }
}

fn table_at<'a>(root: &'a Node, path: &[String]) -> Option<&'a Node> {
    path.iter().try_fold(root, |node, key| {
        node.entries().iter().find(|entry| entry.key == *key).map(|entry| &entry.node)
    })
}

/// The key for a variable or a header. Header names ignore case and have `-` where a variable can
/// only have `_`.
fn map_key(root: &Node, path: &[String], map: Map, name: &str) -> String {
    if map == Map::Variables {
        return name.to_owned();
    }
    let header = name.replace('_', "-");
    table_at(root, path)
        .and_then(|table| {
            table.entries().iter().find(|entry| entry.key.eq_ignore_ascii_case(&header))
        })
        .map_or(header, |entry| entry.key.clone())
}

fn lay(root: &mut Node, target: &KeyPath, text: &str, at: &At) {
    let node = value_for(target.kind, text, at);
    let Some((last, way)) = target.path.split_last() else { return };
    let mut table = root;
    for key in way {
        // Another value is in the place of the table, which is reported when the file is read.
        let Value::Table(entries) = &mut table.value else { return };
        let index = place_of(entries, key, at);
        table = &mut entries[index].node;
    }
    if let Value::Table(entries) = &mut table.value {
        let index = place_of(entries, last, at);
        entries[index] = Entry { key: last.clone(), key_at: at.clone(), node };
    }
}

/// The index of the entry with this key; a missing entry is added as an empty table.
fn place_of(entries: &mut Vec<Entry>, key: &str, at: &At) -> usize {
    if let Some(index) = entries.iter().position(|entry| entry.key == key) {
        return index;
    }
    let node = Node { at: at.clone(), value: Value::Table(Vec::new()) };
    entries.push(Entry { key: key.to_owned(), key_at: at.clone(), node });
    entries.len() - 1
}

/// Converts a text to the type that the key wants. A text that doesn't fit stays a text, and is
/// refused later with the message of the key.
fn value_for(kind: Option<&Kind>, text: &str, at: &At) -> Node {
    let node = |value| Node { at: at.clone(), value };
    let as_toml =
        |fits: fn(&Value) -> bool| parse_value(text.trim(), at).filter(|node| fits(&node.value));
    let as_text = || node(Value::Text(text.to_owned()));
    match kind {
        Some(Kind::Bool) => {
            as_toml(|value| matches!(value, Value::Bool(_))).unwrap_or_else(as_text)
        }
        Some(Kind::Count { .. }) => {
            as_toml(|value| matches!(value, Value::Integer(_))).unwrap_or_else(as_text)
        }
        Some(Kind::Cpus { .. }) => {
            as_toml(|value| matches!(value, Value::Integer(_) | Value::Float(_)))
                .unwrap_or_else(as_text)
        }
        Some(Kind::Command) => {
            as_toml(|value| matches!(value, Value::List(_))).unwrap_or_else(as_text)
        }
        Some(Kind::List(_)) => {
            as_toml(|value| matches!(value, Value::List(_))).unwrap_or_else(|| {
                let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
                node(Value::List(words.map(|word| node(Value::Text(word.to_owned()))).collect()))
            })
        }
        Some(Kind::Expected | Kind::Maxima(_)) => {
            as_toml(|value| matches!(value, Value::Table(_))).unwrap_or_else(as_text)
        }
        _ => as_text(),
    }
}
