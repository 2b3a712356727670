//! What a server said about itself when it became ready.

use std::collections::BTreeMap;
use std::ops::Range;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use mainstay_protocol::capabilities::ServerCapabilities;
use mainstay_protocol::list::{Caching, ListKind, ToolHints};
use mainstay_protocol::mirror::{BadMirror, Mirrors};
use mainstay_protocol::revision::Revision;

/// A server's own words, byte for byte.
#[derive(Debug, Clone)]
pub struct Facts {
    /// The `result` of `initialize`, or of `server/discover` where the revision's generation is modern.
    pub greeting: Bytes,
    pub revision: Revision,
    pub capabilities: ServerCapabilities,
    pub lists: Lists,
}

/// The four lists, each whole, however many pages it came in.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lists {
    by_kind: BTreeMap<u8, List>,
}

/// One list.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct List {
    pub items: Vec<Item>,
    /// The strictest that any of its pages said.
    pub caching: Caching,
    /// Tools that must be left out, and why.
    pub unusable: Vec<(Box<str>, BadMirror)>,
}

/// One tool, resource, template or prompt.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// The whole item, byte for byte.
    pub raw: Bytes,
    /// What it is called by: a name, a URI or a URI template.
    pub key: Box<str>,
    /// Where the key stands in `raw`, its quotes included.
    pub key_span: Range<usize>,
    pub hints: ToolHints,
    /// Arguments of a tool that its server wants repeated as headers.
    pub mirrors: Mirrors,
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

// === impl Lists ===

impl Lists {
    pub fn of(&self, kind: ListKind) -> &[Item] {
        self.by_kind.get(&(kind as u8)).map_or(&[], |list| &list.items)
    }

    /// Tools that the server lists and that must not be used, and why.
    pub fn unusable(&self, kind: ListKind) -> &[(Box<str>, BadMirror)] {
        self.by_kind.get(&(kind as u8)).map_or(&[], |list| &list.unusable)
    }

    /// For how long and for whom the list may be kept.
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
