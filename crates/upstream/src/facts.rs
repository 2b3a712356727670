//! What a server declared when it became ready: its greeting, revision, capabilities and lists.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use mainstay_protocol::capabilities::ServerCapabilities;
use mainstay_protocol::list::{Caching, ListKind, ToolHints};
use mainstay_protocol::mirror::{BadMirror, MirroredArguments};
use mainstay_protocol::revision::Revision;

/// A server's own words, byte for byte.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The `result` of `initialize`, or of `server/discover` where the revision's era is modern.
    pub greeting: Bytes,
    pub revision: Revision,
    pub capabilities: ServerCapabilities,
    pub lists: Lists,
}

/// The four lists of a server, each with the items of all its pages.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lists {
    by_kind: BTreeMap<u8, List>,
}

/// A list of tools, resources, resource templates or prompts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct List {
    pub items: Vec<Item>,
    /// The strictest caching rule of all pages of the list.
    pub caching: Caching,
    /// Tools that must be left out, and why.
    pub unusable: Vec<(Box<str>, BadMirror)>,
    pub gaps: Gaps,
}

/// Parts of a list that Mainstay could not take over from the server.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Gaps {
    /// Entries without a name or URI, which clients can't refer to.
    pub nameless: usize,
    /// Why the list ends before its end.
    pub cut: Option<Cut>,
}

/// Why Mainstay stopped fetching a list before its last page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The list has more than this many pages.
    Pages(usize),
    /// The list has more than this many items.
    Items(usize),
    /// A page names a next page that was fetched before.
    Circle,
}

/// A tool, resource, resource template or prompt.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// The whole item, byte for byte.
    pub raw: Bytes,
    /// The name, URI or URI template by which clients refer to the item.
    pub key: Box<str>,
    /// The byte range of the key in `raw`, its quotes included.
    pub key_span: Range<usize>,
    pub hints: ToolHints,
    /// Arguments that the server wants repeated as HTTP headers when the tool is called.
    pub mirrors: MirroredArguments,
}

// === impl Item ===

impl Item {
    /// The headers that a call of this tool needs beside those that every request has. `arguments` is
    /// the JSON of them.
    pub fn headers(&self, arguments: Option<&str>) -> Vec<(HeaderName, HeaderValue)> {
        let header = |(name, value): (&str, String)| {
            Some((
                HeaderName::from_bytes(name.as_bytes()).ok()?,
                HeaderValue::try_from(value).ok()?,
            ))
        };
        self.mirrors.headers(arguments).into_iter().filter_map(header).collect()
    }
}

// === impl Gaps ===

impl fmt::Display for Gaps {
    /// Continues a sentence whose subject is the list.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cut {
            Some(Cut::Pages(pages)) => write!(f, "cut after {pages} pages")?,
            Some(Cut::Items(items)) => write!(f, "cut after {items} items")?,
            Some(Cut::Circle) => write!(f, "cut where its pages began to repeat")?,
            None => {}
        }
        if self.nameless > 0 {
            let lead = if self.cut.is_some() { ", and " } else { "" };
            write!(f, "{lead}without {} of its entries, which have no name", self.nameless)?;
        }
        Ok(())
    }
}

// === impl Lists ===

impl Lists {
    pub fn of(&self, kind: ListKind) -> &[Item] {
        self.by_kind.get(&(kind as u8)).map_or(&[], |list| &list.items)
    }

    /// Tools that the server lists and that must not be used, and why.
    pub fn unusable(&self, kind: ListKind) -> &[(Box<str>, BadMirror)] {
        self.by_kind.get(&(kind as u8)).map_or(&[], |list| &list.unusable)
    }

    /// The lists of which something is missing.
    pub fn gaps(&self) -> impl Iterator<Item = (ListKind, Gaps)> {
        ListKind::ALL.into_iter().filter_map(|kind| {
            let gaps = self.by_kind.get(&(kind as u8))?.gaps;
            (gaps != Gaps::default()).then_some((kind, gaps))
        })
    }

    /// How long, and for which clients, the list may be cached.
    pub fn caching(&self, kind: ListKind) -> Caching {
        self.by_kind.get(&(kind as u8)).map(|list| list.caching).unwrap_or_default()
    }

    pub fn set(&mut self, kind: ListKind, list: List) {
        self.by_kind.insert(kind as u8, list);
    }

    pub fn tool(&self, name: &str) -> Option<&Item> {
        self.of(ListKind::Tools).iter().find(|item| &*item.key == name)
    }
}
