//! Reads the tree into typed values, key by key. `check` checks rules that concern several keys.

use std::collections::BTreeMap;
use std::path::Path;

use mainstay_model::Name;
use mainstay_model::settings::Lack;

use crate::disk::Disk;
use crate::document::{At, Entry, Node, Value, key_text, parse_value};
use crate::keys::{Key, Kind, Section, TOP_LEVEL, TopLevel};
use crate::notes::Notes;
use crate::origin::Written;
use crate::problem::quoted;
use crate::typed::{Named, Root, Table, Typed};

mod addresses;
mod elsewhere;
mod lists;
mod members;
mod patterns;
mod texts;
mod unknown;
mod values;

pub(crate) use lists::is_taken as is_header_taken;

/// Reads a tree; notes each problem and goes on.
pub(crate) struct Reader<'a> {
    pub(crate) env: &'a BTreeMap<String, String>,
    pub(crate) home: Option<&'a Path>,
    /// Relative paths count from here.
    pub(crate) base: &'a Path,
    pub(crate) disk: &'a dyn Disk,
    pub(crate) notes: Notes,
    pub(crate) written: Vec<Written>,
    /// The values that the table being read refers to and that are not available. None in tables
    /// that the daemon can't do without.
    pub(crate) lacks: Option<Vec<Lack>>,
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
            services: self.named("services", find("services")),
            volumes: self.named("volumes", find("volumes")),
            externals: self.named("externals", find("externals")),
            notify: self.listed("notify", find("notify")),
            checks: self.listed("checks", find("checks")),
        }
    }

    fn named(&mut self, name: &'static str, node: &Node) -> Vec<Named> {
        let Some(top) = TopLevel::find(name) else { return Vec::new() };
        if !self.expect_table(node, name) {
            return Vec::new();
        }
        node.entries().iter().filter_map(|entry| self.one_named(top, entry)).collect()
    }

    /// Reads a list of tables. Each one is called by its place in the list, counted from 1.
    fn listed(&mut self, name: &'static str, node: &Node) -> Vec<Named> {
        let Some(top) = TopLevel::find(name) else { return Vec::new() };
        let items = match &node.value {
            Value::List(items) => items.as_slice(),
            // Nothing is written.
            Value::Table(entries) if entries.is_empty() && node.at == At::Default => &[],
            _ => {
                let message = format!("expected a list of tables, found {}", node.type_name());
                let help = format!("each begins with a line [[{name}]]");
                self.notes.error(&node.at, name, message).help(help);
                &[]
            }
        };
        let mut all = Vec::new();
        for (at, item) in items.iter().enumerate() {
            let (name, path) = ((at + 1).to_string(), format!("{name}.{}", at + 1));
            if self.expect_table(item, &path) {
                // The daemon runs without it.
                self.lacks = Some(Vec::new());
                let table = self.section(top.section, item, &path);
                let (at, lacks) = (item.at.clone(), self.lacks.take().unwrap_or_default());
                all.push(Named { name, valid: None, at, path, table, lacks });
            }
        }
        all
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
        // The daemon runs the other servers. A group that lost a member would be another group.
        self.lacks = (top.name != "endpoints").then(Vec::new);
        let table = self.section(top.section, &entry.node, &path);
        let lacks = self.lacks.take().unwrap_or_default();
        Some(Named { name: entry.key.clone(), valid, at: entry.key_at.clone(), path, table, lacks })
    }

    fn expect_table(&mut self, node: &Node, path: &str) -> bool {
        let is_table = matches!(node.value, Value::Table(_));
        if !is_table {
            let message = format!("expected a table, found {}", node.type_name());
            let title = TopLevel::find(path).map(|top| top.section.title);
            let help = title
                .map(|title| format!("a table begins with a line [{title}]"))
                .or_else(|| elsewhere::of_table(path, node));
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
            let (at, typed) = self.slot(key, entry, &format!("{path}.{}", key.name));
            table.insert(key.name, at, typed);
        }
        table
    }

    /// The place of a key's value, and the value if it is valid.
    fn slot(
        &mut self,
        key: &'static Key,
        entry: Option<&Entry>,
        path: &str,
    ) -> (At, Option<Typed>) {
        let default = key.default.and_then(|toml| parse_value(toml, &At::Default));
        let Some(node) = entry.map(|entry| &entry.node).or(default.as_ref()) else {
            return (At::Default, None);
        };
        if let Kind::Refused { why, instead } = &key.kind {
            let at = entry.map_or(&node.at, |entry| &entry.key_at);
            self.notes.error(at, path, *why).help((*instead).to_owned());
            return (node.at.clone(), None);
        }
        let lacks = self.lack_count();
        let mut typed = self.value(&key.kind, node, path);
        if typed.is_none() && self.lack_count() > lacks {
            typed = self.stand_in(&key.kind, node, default.as_ref(), path);
        }
        match (&typed, &node.value) {
            (Some(typed), _) => Written::add(&mut self.written, path, typed, node),
            (None, Value::Text(text)) if text.is_empty() => {
                Written::add_empty(&mut self.written, path, node);
            }
            (None, _) => {}
        }
        (node.at.clone(), typed)
    }
}
