//! From the tree to typed values, key by key, as declared. What holds across keys is `check`'s.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mainstay_model::{Name, Redacted};

use crate::disk::Disk;
use crate::document::{At, Entry, Node, Value, key_text, parse_value};
use crate::keys::{Key, Kind, Section, TOP_LEVEL, TopLevel};
use crate::origin::Written;
use crate::problem::{Notes, quoted};

mod addresses;
mod lists;
mod texts;
mod unknown;
mod values;

pub(crate) use lists::is_taken as is_header_taken;

/// Reads a tree; notes what is wrong and goes on.
pub(crate) struct Reader<'a> {
    pub(crate) env: &'a BTreeMap<String, String>,
    pub(crate) home: Option<&'a Path>,
    /// Relative paths count from here.
    pub(crate) base: &'a Path,
    pub(crate) disk: &'a dyn Disk,
    pub(crate) notes: Notes,
    pub(crate) written: Vec<Written>,
}

/// Everything that was read.
pub(crate) struct Root {
    pub(crate) gateway: Table,
    pub(crate) servers: Vec<Named>,
    pub(crate) endpoints: Vec<Named>,
    pub(crate) volumes: Vec<Named>,
    pub(crate) externals: Vec<Named>,
}

/// A table with a name of its own, as in `[servers.NAME]`.
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) valid: Option<Name>,
    pub(crate) at: At,
    pub(crate) path: String,
    pub(crate) table: Table,
}

/// The keys of a section; each declared one has a slot.
#[derive(Default)]
pub(crate) struct Table {
    slots: BTreeMap<&'static str, Slot>,
}

struct Slot {
    at: At,
    /// None where it is unset, and where it is wrong, which has been noted.
    typed: Option<Typed>,
}

pub(crate) enum Typed {
    Bool(bool),
    Word(&'static str),
    /// A count or a size in bytes.
    Count(u64),
    Duration(Duration),
    Listen(SocketAddr),
    Text(String),
    Path(PathBuf),
    List(Vec<Placed>),
    /// A secret that was checked; nothing in the settings takes one outside of a table yet.
    Secret,
    Secrets(BTreeMap<String, Redacted<String>>),
    Table(Table),
}

/// An item of a list, and where it stands.
#[derive(Clone)]
pub(crate) struct Placed {
    pub(crate) text: String,
    pub(crate) at: At,
}

// === impl Reader ===

impl Reader<'_> {
    pub(crate) fn read(&mut self, root: &Node) -> Root {
        for entry in root.entries().iter().filter(|entry| TopLevel::find(&entry.key).is_none()) {
            let names = TOP_LEVEL.iter().map(|top| top.name);
            self.note_unknown(entry, "", "at the top of the file", names);
        }
        let none = Node::empty_table();
        let find = |name: &str| {
            root.entries().iter().find(|entry| entry.key == name).map_or(&none, |entry| &entry.node)
        };
        let gateway = TopLevel::find("gateway").map_or_else(Table::default, |top| {
            let node = find(top.name);
            self.expect_table(node, top.name);
            self.section(top.section, node, top.name)
        });
        Root {
            gateway,
            servers: self.named("servers", find("servers")),
            endpoints: self.named("endpoints", find("endpoints")),
            volumes: self.named("volumes", find("volumes")),
            externals: self.named("externals", find("externals")),
        }
    }

    fn named(&mut self, name: &'static str, node: &Node) -> Vec<Named> {
        let Some(top) = TopLevel::find(name) else { return Vec::new() };
        if !self.expect_table(node, name) {
            return Vec::new();
        }
        node.entries().iter().filter_map(|entry| self.one_named(top, entry)).collect()
    }

    fn one_named(&mut self, top: &'static TopLevel, entry: &Entry) -> Option<Named> {
        let path = format!("{}.{}", top.name, key_text(&entry.key));
        let valid = Name::try_new(&entry.key).ok();
        if valid.is_none() {
            self.notes
                .error(
                    &entry.key_at,
                    &path,
                    format!("{} is not a name for a {}", quoted(&entry.key), top.noun()),
                )
                .help(
                    "a name is 1 to 40 letters, digits, `-` and `_`, and begins with a letter or \
         digit"
                        .to_owned(),
                );
        }
        if !matches!(entry.node.value, Value::Table(_)) {
            let key_elsewhere = top.section.key(&entry.key).is_some();
            let draft = self.notes.error(
                &entry.node.at,
                &path,
                format!("expected a table [{}], found {}", path, entry.node.type_name()),
            );
            if key_elsewhere {
                draft.help(format!(
                    "`{}` is a key of [{}]: the name is missing",
                    entry.key, top.section.title
                ));
            }
            return None;
        }
        let table = self.section(top.section, &entry.node, &path);
        Some(Named { name: entry.key.clone(), valid, at: entry.key_at.clone(), path, table })
    }

    fn expect_table(&mut self, node: &Node, path: &str) -> bool {
        let is_table = matches!(node.value, Value::Table(_));
        if !is_table {
            let message = format!("expected a table, found {}", node.type_name());
            let title = TopLevel::find(path).map(|top| top.section.title);
            let help = title.map(|title| format!("a table begins with a line [{title}]"));
            self.notes.error(&node.at, path, message).help(help);
        }
        is_table
    }

    fn section(&mut self, section: &'static Section, node: &Node, path: &str) -> Table {
        for entry in node.entries().iter().filter(|entry| section.key(&entry.key).is_none()) {
            self.note_unknown(entry, path, &format!("in [{path}]"), section.key_names());
        }
        let mut table = Table::default();
        for key in section.keys {
            let entry = node.entries().iter().find(|entry| entry.key == key.name);
            let slot = self.slot(key, entry, &format!("{path}.{}", key.name));
            table.slots.insert(key.name, slot);
        }
        table
    }

    fn slot(&mut self, key: &'static Key, entry: Option<&Entry>, path: &str) -> Slot {
        let default = key.default.and_then(|toml| parse_value(toml, &At::Default));
        let Some(node) = entry.map(|entry| &entry.node).or(default.as_ref()) else {
            return Slot { at: At::Default, typed: None };
        };
        if let Kind::Refused { why, instead } = &key.kind {
            let at = entry.map_or(&node.at, |entry| &entry.key_at);
            self.notes.error(at, path, *why).help((*instead).to_owned());
            return Slot { at: node.at.clone(), typed: None };
        }
        let typed = self.value(&key.kind, node, path);
        match (&typed, &node.value) {
            (Some(typed), _) => Written::add(&mut self.written, path, typed, node),
            (None, Value::Text(text)) if text.is_empty() => {
                Written::add_empty(&mut self.written, path, node);
            }
            (None, _) => {}
        }
        Slot { at: node.at.clone(), typed }
    }
}

// === impl Table ===

impl Table {
    /// Somebody wrote the key, rightly or wrongly.
    pub(crate) fn is_written(&self, key: &str) -> bool {
        self.slots.get(key).is_some_and(|slot| slot.at.is_written())
    }

    pub(crate) fn at(&self, key: &str) -> &At {
        self.slots.get(key).map_or(&At::Default, |slot| &slot.at)
    }

    fn typed(&self, key: &str) -> Option<&Typed> {
        debug_assert!(
            self.slots.is_empty() || self.slots.contains_key(key),
            "{key} is not declared"
        );
        self.slots.get(key)?.typed.as_ref()
    }

    pub(crate) fn bool(&self, key: &str) -> Option<bool> {
        if let Typed::Bool(truth) = self.typed(key)? { Some(*truth) } else { None }
    }

    pub(crate) fn word(&self, key: &str) -> Option<&'static str> {
        if let Typed::Word(word) = self.typed(key)? { Some(word) } else { None }
    }

    pub(crate) fn count(&self, key: &str) -> Option<usize> {
        if let Typed::Count(count) = self.typed(key)? { usize::try_from(*count).ok() } else { None }
    }

    pub(crate) fn duration(&self, key: &str) -> Option<Duration> {
        if let Typed::Duration(duration) = self.typed(key)? { Some(*duration) } else { None }
    }

    pub(crate) fn listen(&self, key: &str) -> Option<SocketAddr> {
        if let Typed::Listen(address) = self.typed(key)? { Some(*address) } else { None }
    }

    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        if let Typed::Text(text) = self.typed(key)? { Some(text) } else { None }
    }

    pub(crate) fn path(&self, key: &str) -> Option<&Path> {
        if let Typed::Path(path) = self.typed(key)? { Some(path) } else { None }
    }

    pub(crate) fn list(&self, key: &str) -> &[Placed] {
        if let Some(Typed::List(items)) = self.typed(key) { items } else { &[] }
    }

    /// A list that was written, and holds nothing.
    pub(crate) fn is_empty_list(&self, key: &str) -> bool {
        matches!(self.typed(key), Some(Typed::List(items)) if items.is_empty())
    }

    pub(crate) fn secrets(&self, key: &str) -> Option<&BTreeMap<String, Redacted<String>>> {
        if let Typed::Secrets(secrets) = self.typed(key)? { Some(secrets) } else { None }
    }

    pub(crate) fn table(&self, key: &str) -> Option<&Self> {
        if let Typed::Table(table) = self.typed(key)? { Some(table) } else { None }
    }
}
