//! What a server said about itself when it became ready.

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
    pub gaps: Gaps,
}

/// What of a list is missing, though its server has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Gaps {
    /// Entries without a name or URI, which nobody could call.
    pub nameless: usize,
    /// Why the list ends before its end.
    pub cut: Option<Cut>,
}

/// Why a list was not fetched to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// It has more pages than this.
    Pages(usize),
    /// It has more items than this.
    Items(usize),
    /// It goes round: a page names one as the next that came before.
    Circle,
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
    /// As the rest of a sentence about the list.
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
