//! Removes a server, a group, a service, a volume or an external.

use std::path::Path;

use serde_json::Value as Json;
use toml_edit::{DocumentMut, Item, TableLike, Value as Inline};

use super::{lines, tree};
use crate::document::{At, Entry, Node, Value, parse_file};
use crate::import::position;
use crate::line_ends;
use crate::problem::Problems;

/// The configuration without something that has a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    pub text: String,
    /// `server`, `group`, `service`, `volume` or `external`.
    pub kind: &'static str,
    /// Groups that no longer have the server.
    pub groups: Vec<String>,
    /// Sections such as `notify.1` that no longer name the server.
    pub notifications: Vec<String>,
    /// Files with secrets that nothing refers to any more, as the configuration named them.
    pub secrets: Vec<String>,
}

/// Why a name can't be removed.
#[derive(Debug, thiserror::Error)]
pub enum RemoveError {
    #[error("the configuration is not valid TOML")]
    Broken(Problems),
    #[error("nothing in the configuration is called `{name}`")]
    Unknown {
        name: String,
        /// The names that there are.
        names: Vec<String>,
    },
    /// Servers and services need it, each with its line.
    #[error("`{name}` is needed by {}", list(by))]
    Needed {
        name: String,
        /// As needs name it: `service:database`.
        need: String,
        /// ``server `search` ``, and its line.
        by: Vec<(String, usize)>,
    },
    /// The only server of a group.
    #[error("group `{group}` (line {line}) has no other server")]
    LastOfGroup { group: String, line: usize },
    /// All that a notification names. Without `servers`, it would be about all of them.
    #[error("`[[notify]]` (line {line}) names no other server")]
    LastOfNotify { line: usize },
    /// What a check is about.
    #[error("the check in line {line} is about `{name}`")]
    Checked { name: String, line: usize },
    #[error("it can't be removed without changing something else (line {line})")]
    Entangled { line: usize },
}

/// A table with a list of servers.
struct Listing<'a> {
    /// The group, or the section such as `notify.1`.
    name: String,
    is_notify: bool,
    table: &'a Node,
    at: &'a At,
}

/// The sections whose tables have names, and the noun for one of them.
const SECTIONS: [(&str, &str); 5] = [
    ("servers", "server"),
    ("endpoints", "group"),
    ("services", "service"),
    ("volumes", "volume"),
    ("externals", "external"),
];

/// Removes what has this name from the text, and from all groups and notifications.
///
/// # Errors
/// When something else needs it, and when the text is not TOML.
pub fn remove(path: &Path, text: &str, name: &str) -> Result<Removed, RemoveError> {
    let root = tree(path, text).map_err(RemoveError::Broken)?;
    let found = SECTIONS.into_iter().find_map(|(section, kind)| {
        let entry = named(&root, section).into_iter().find(|entry| entry.key == name)?;
        Some((section, kind, entry))
    });
    let Some((section, kind, entry)) = found else {
        let all = SECTIONS.into_iter().flat_map(|(section, _)| named(&root, section));
        let names = all.map(|entry| entry.key.clone()).collect();
        return Err(RemoveError::Unknown { name: name.to_owned(), names });
    };
    needed(&root, text, kind, name)?;
    checked(&root, text, name)?;
    let members = match is_listed(section) {
        true => memberships(&root, text, name)?,
        false => Vec::new(),
    };
    let expected = without(&root, section, name);
    let holds = |after: &String| {
        let (root, errors) = parse_file(after);
        errors.is_empty() && normal(root.to_json()) == expected
    };
    let cuts = lines::of_table(text, section, name).map(|mut cuts| {
        cuts.extend(members.iter().map(|member| lines::of_item(text, member)));
        lines::without(text, cuts)
    });
    let after = cuts.filter(holds).or_else(|| rewritten(text, section, name).filter(holds));
    let line = line_of(text, &entry.key_at);
    let text_after = after.ok_or(RemoveError::Entangled { line })?;
    let mut secrets = Vec::new();
    secret_files(&entry.node, &mut secrets);
    secrets.retain(|file| !text_after.contains(&format!("secret:file:{file}")));
    secrets.dedup();
    let (notifications, groups): (Vec<_>, Vec<_>) =
        members.into_iter().partition(|member| member.is_notify);
    let names = |members: Vec<lines::Member>| members.into_iter().map(|member| member.of).collect();
    Ok(Removed {
        text: text_after,
        kind,
        groups: names(groups),
        notifications: names(notifications),
        secrets,
    })
}

/// The tables of a section such as `servers`.
fn named<'a>(root: &'a Node, section: &str) -> Vec<&'a Entry> {
    let sections = root.entries().iter().filter(|entry| entry.key == section);
    sections.flat_map(|entry| entry.node.entries()).collect()
}

/// The items of a list in a table.
fn items<'a>(table: &'a Node, key: &str) -> &'a [Node] {
    let list = table.entries().iter().find(|entry| entry.key == key);
    match list.map(|entry| &entry.node.value) {
        Some(Value::List(items)) => items,
        _ => &[],
    }
}

fn is_text(node: &Node, wanted: &str) -> bool {
    matches!(&node.value, Value::Text(text) if text == wanted)
}

fn line_of(text: &str, at: &At) -> usize {
    match at {
        At::File(span) => position(text, span.start).0,
        _ => 1,
    }
}

/// Whether groups or notifications name tables of this section.
fn is_listed(section: &str) -> bool {
    matches!(section, "servers" | "services" | "externals")
}

/// Whether groups name tables of this section.
fn is_grouped(section: &str) -> bool {
    section == "servers"
}

fn needed(root: &Node, text: &str, kind: &str, name: &str) -> Result<(), RemoveError> {
    let need = format!("{kind}:{name}");
    let needing = [("servers", "server"), ("services", "service")].into_iter();
    let others = needing.flat_map(|(section, noun)| {
        named(root, section).into_iter().map(move |entry| (noun, entry))
    });
    let by = others.filter(|(_, entry)| entry.key != name).filter_map(|(noun, entry)| {
        let item = items(&entry.node, "needs").iter().find(|item| is_text(item, &need))?;
        Some((format!("{noun} `{}`", entry.key), line_of(text, &item.at)))
    });
    let by: Vec<_> = by.collect();
    if by.is_empty() {
        Ok(())
    } else {
        Err(RemoveError::Needed { name: name.to_owned(), need, by })
    }
}

fn checked(root: &Node, text: &str, name: &str) -> Result<(), RemoveError> {
    let names_it =
        |entry: &Entry| matches!(&*entry.key, "server" | "of") && is_text(&entry.node, name);
    let check = items(root, "checks").iter().find(|check| check.entries().iter().any(names_it));
    match check {
        None => Ok(()),
        Some(check) => {
            Err(RemoveError::Checked { name: name.to_owned(), line: line_of(text, &check.at) })
        }
    }
}

/// The groups and notifications.
fn listings(root: &Node) -> Vec<Listing<'_>> {
    let groups = named(root, "endpoints").into_iter().map(|group| {
        let (name, table, at) = (group.key.clone(), &group.node, &group.key_at);
        Listing { name, is_notify: false, table, at }
    });
    let sections = items(root, "notify").iter().enumerate().map(|(index, table)| {
        let name = format!("notify.{}", index + 1);
        Listing { name, is_notify: true, table, at: &table.at }
    });
    groups.chain(sections).collect()
}

/// Where the server is in groups and notifications.
fn memberships(root: &Node, text: &str, name: &str) -> Result<Vec<lines::Member>, RemoveError> {
    let mut members = Vec::new();
    for Listing { name: of, is_notify, table, at } in listings(root) {
        let items = items(table, "servers");
        let Some(index) = items.iter().position(|item| is_text(item, name)) else { continue };
        if items.iter().all(|item| is_text(item, name)) {
            let line = line_of(text, at);
            return Err(match is_notify {
                true => RemoveError::LastOfNotify { line },
                false => RemoveError::LastOfGroup { group: of, line },
            });
        }
        let span = |item: Option<&Node>| match item.map(|item| &item.at) {
            Some(At::File(span)) => Some(span.clone()),
            _ => None,
        };
        let Some(own) = span(Some(&items[index])) else { continue };
        members.push(lines::Member {
            of,
            is_notify,
            own,
            before: index.checked_sub(1).and_then(|index| span(items.get(index))),
            after: span(items.get(index + 1)),
        });
    }
    Ok(members)
}

/// The values that must be left.
fn without(root: &Node, section: &str, name: &str) -> Json {
    let mut all = root.to_json();
    if let Some(tables) = all[section].as_object_mut() {
        tables.remove(name);
    }
    if is_listed(section) {
        let drop_from = |table: &mut Json| {
            if let Some(servers) = table.get_mut("servers").and_then(Json::as_array_mut) {
                servers.retain(|server| server != name);
            }
        };
        if is_grouped(section)
            && let Some(groups) = all.get_mut("endpoints").and_then(Json::as_object_mut)
        {
            groups.values_mut().for_each(drop_from);
        }
        if let Some(sections) = all.get_mut("notify").and_then(Json::as_array_mut) {
            sections.iter_mut().for_each(drop_from);
        }
    }
    normal(all)
}

/// Whether a section without tables is written does not matter.
fn normal(mut all: Json) -> Json {
    if let Some(sections) = all.as_object_mut() {
        sections.retain(|_, section| section.as_object().is_none_or(|tables| !tables.is_empty()));
    }
    all
}

/// The text with the table and the items removed from its tree, for shapes that are not lines of their own.
fn rewritten(text: &str, section: &str, name: &str) -> Option<String> {
    let mut document = text.parse::<DocumentMut>().ok()?;
    document.get_mut(section)?.as_table_like_mut()?.remove(name)?;
    if is_listed(section) {
        let groups = document.get_mut("endpoints").and_then(Item::as_table_like_mut);
        if let Some(groups) = groups.filter(|_| is_grouped(section)) {
            for (_, group) in groups.iter_mut() {
                drop_from(group.as_table_like_mut(), name);
            }
        }
        match document.get_mut("notify") {
            Some(Item::ArrayOfTables(sections)) => {
                sections.iter_mut().for_each(|section| drop_from(Some(section), name));
            }
            Some(Item::Value(Inline::Array(sections))) => {
                let tables = sections.iter_mut().filter_map(Inline::as_inline_table_mut);
                tables.for_each(|section| drop_from(Some(section), name));
            }
            _ => {}
        }
    }
    Some(line_ends::kept(text, &document.to_string()))
}

/// Takes a server out of the list of a table.
fn drop_from(table: Option<&mut dyn TableLike>, name: &str) {
    let servers = table.and_then(|table| table.get_mut("servers")).and_then(Item::as_array_mut);
    if let Some(servers) = servers {
        servers.retain(|server| server.as_str() != Some(name));
    }
}

fn secret_files(node: &Node, files: &mut Vec<String>) {
    match &node.value {
        Value::Text(text) => {
            files.extend(text.strip_prefix("secret:file:").map(str::to_owned));
        }
        Value::List(items) => items.iter().for_each(|item| secret_files(item, files)),
        Value::Table(entries) => {
            entries.iter().for_each(|entry| secret_files(&entry.node, files));
        }
        _ => {}
    }
}

fn list(by: &[(String, usize)]) -> String {
    let by = by.iter().map(|(name, line)| format!("{name} (line {line})"));
    by.collect::<Vec<_>>().join(", ")
}
