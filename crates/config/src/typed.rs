//! A configuration as typed values: each section a table of the keys that it declares.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mainstay_model::settings::{Cpus, Lack};
use mainstay_model::{Name, Redacted};

use crate::document::At;
use crate::keys::Amount;

/// The whole configuration, read.
pub(crate) struct Root {
    pub(crate) gateway: Table,
    pub(crate) servers: Vec<Named>,
    pub(crate) endpoints: Vec<Named>,
    pub(crate) services: Vec<Named>,
    pub(crate) volumes: Vec<Named>,
    pub(crate) externals: Vec<Named>,
    /// Named by their places in the list.
    pub(crate) notify: Vec<Named>,
    /// Likewise.
    pub(crate) checks: Vec<Named>,
}

/// A table with a name of its own, as in `[servers.NAME]`.
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) valid: Option<Name>,
    pub(crate) at: At,
    pub(crate) path: String,
    pub(crate) table: Table,
    /// Values that it refers to and that are not available. They have been noted.
    pub(crate) lacks: Vec<Lack>,
}

/// The keys of a section; each declared one has a slot.
#[derive(Default)]
pub(crate) struct Table {
    slots: BTreeMap<&'static str, Slot>,
}

struct Slot {
    at: At,
    /// The value. None when the key is unset, or wrong, which has been noted.
    typed: Option<Typed>,
}

/// An address to listen on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ListenAddress {
    pub(crate) address: SocketAddr,
    /// Whether it is written as `localhost`, which is an address of either family.
    pub(crate) is_localhost: bool,
}

pub(crate) enum Typed {
    Bool(bool),
    Word(&'static str),
    /// A count or a size in bytes.
    Count(u64),
    Cpus(Cpus),
    Duration(Duration),
    Listen(ListenAddress),
    Text(String),
    /// An address, and how it is written.
    KeyedUrl {
        url: Redacted<String>,
        written: String,
    },
    Path(PathBuf),
    List(Vec<Placed>),
    Secret(Redacted<String>),
    /// Members of a JSON object, by their path with dots, and the JSON texts that each may be.
    Expected(Vec<(String, Vec<String>)>),
    Secrets {
        values: BTreeMap<String, Redacted<String>>,
        /// The keys whose values are `secret:` references.
        references: BTreeSet<String>,
    },
    Table(Table),
    /// Tables, each named by its pattern.
    Rules(Vec<Named>),
    /// Amounts by the paths of arguments.
    Maxima(Amount, Vec<(String, u64)>),
}

/// An item of a list, and where it stands.
#[derive(Clone)]
pub(crate) struct Placed {
    pub(crate) text: String,
    pub(crate) at: At,
    /// Secret values that stand in the text, because it refers to their variables.
    pub(crate) secrets: Vec<Redacted<String>>,
}

// === impl Placed ===

impl Placed {
    /// The text with `***` in place of its secrets.
    pub(crate) fn shown(&self) -> String {
        mainstay_model::settings::without_secrets(&self.text, &self.secrets)
    }
}

// === impl Table ===

impl std::fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.is_localhost {
            write!(f, "localhost:{}", self.address.port())
        } else {
            self.address.fmt(f)
        }
    }
}

impl Table {
    pub(crate) fn insert(&mut self, key: &'static str, at: At, typed: Option<Typed>) {
        self.slots.insert(key, Slot { at, typed });
    }

    /// Whether the section has this key.
    pub(crate) fn declares(&self, key: &str) -> bool {
        self.slots.contains_key(key)
    }

    /// Whether the key is written, validly or not.
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

    pub(crate) fn cpus(&self, key: &str) -> Option<Cpus> {
        if let Typed::Cpus(cpus) = self.typed(key)? { Some(*cpus) } else { None }
    }

    pub(crate) fn duration(&self, key: &str) -> Option<Duration> {
        if let Typed::Duration(duration) = self.typed(key)? { Some(*duration) } else { None }
    }

    pub(crate) fn listen(&self, key: &str) -> Option<SocketAddr> {
        if let Typed::Listen(listen) = self.typed(key)? { Some(listen.address) } else { None }
    }

    /// Whether the address is written as `localhost`.
    pub(crate) fn is_localhost(&self, key: &str) -> bool {
        matches!(self.typed(key), Some(Typed::Listen(listen)) if listen.is_localhost)
    }

    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        if let Typed::Text(text) = self.typed(key)? { Some(text) } else { None }
    }

    /// An address that may hold keys, and how it is written.
    pub(crate) fn keyed_url(&self, key: &str) -> Option<(&Redacted<String>, &str)> {
        match self.typed(key)? {
            Typed::KeyedUrl { url, written } => Some((url, written)),
            _ => None,
        }
    }

    pub(crate) fn secret(&self, key: &str) -> Option<&Redacted<String>> {
        if let Typed::Secret(secret) = self.typed(key)? { Some(secret) } else { None }
    }

    pub(crate) fn expected(&self, key: &str) -> &[(String, Vec<String>)] {
        if let Some(Typed::Expected(members)) = self.typed(key) { members } else { &[] }
    }

    pub(crate) fn path(&self, key: &str) -> Option<&Path> {
        if let Typed::Path(path) = self.typed(key)? { Some(path) } else { None }
    }

    pub(crate) fn list(&self, key: &str) -> &[Placed] {
        if let Some(Typed::List(items)) = self.typed(key) { items } else { &[] }
    }

    /// Whether the list is written, and empty.
    pub(crate) fn is_empty_list(&self, key: &str) -> bool {
        matches!(self.typed(key), Some(Typed::List(items)) if items.is_empty())
    }

    pub(crate) fn secrets(&self, key: &str) -> Option<&BTreeMap<String, Redacted<String>>> {
        if let Typed::Secrets { values, .. } = self.typed(key)? { Some(values) } else { None }
    }

    /// Whether a key of a table of secrets holds a `secret:` reference.
    pub(crate) fn is_reference(&self, table: &str, key: &str) -> bool {
        matches!(self.typed(table), Some(Typed::Secrets { references, .. }) if references.contains(key))
    }

    pub(crate) fn rules(&self, key: &str) -> &[Named] {
        if let Some(Typed::Rules(rules)) = self.typed(key) { rules } else { &[] }
    }

    pub(crate) fn maxima(&self, key: &str) -> &[(String, u64)] {
        if let Some(Typed::Maxima(_, maxima)) = self.typed(key) { maxima } else { &[] }
    }

    pub(crate) fn table(&self, key: &str) -> Option<&Self> {
        if let Typed::Table(table) = self.typed(key)? { Some(table) } else { None }
    }
}
