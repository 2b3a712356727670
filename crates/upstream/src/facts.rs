//! What a server declared when it became ready: its greeting, revision, capabilities and lists.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderName, HeaderValue};
use mainstay_model::Charge;
use mainstay_model::budget::UNCHARGED_BYTES_MAX;
use mainstay_protocol::Era;
use mainstay_protocol::capabilities::ServerCapabilities;
use mainstay_protocol::list::fit::{Fit, Misfit};
use mainstay_protocol::list::{Caching, ListKind, ListPage, ToolHints};
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

/// The four lists of a server, each with the items of all its pages. A clone shares them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lists {
    /// By [`ListKind`].
    by_kind: [Option<Arc<List>>; ListKind::ALL.len()],
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
    /// Whether the server has the list without declaring the capability.
    pub undeclared: bool,
    /// Positions of the items, in the order of their keys. Empty before the list is complete.
    pub by_key: Vec<u32>,
    /// Positions of the items that merged lists leave out.
    pub unfit: Vec<u32>,
}

/// Parts of a list that Mainstay could not take over from the server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gaps {
    /// Entries without a name or URI, which clients can't refer to.
    pub nameless: usize,
    /// Why the list ends before its end.
    pub cut: Option<Cut>,
    /// Why the list could not be fetched when it was asked for last. Its items are those that came
    /// before.
    pub failed: Option<ListFailure>,
}

/// Why a list could not be fetched from a server that is reached.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListFailure {
    /// The server answered with an error, whose JSON is shortened.
    #[error("it answered {method} with {error}")]
    Refused { method: &'static str, code: Option<i32>, error: Arc<str> },
    /// The answer is not a page of the list.
    #[error("its answer to {method} is not a list: {problem}")]
    NoList { method: &'static str, problem: Arc<str> },
    /// The request was lost although the server is still reached.
    #[error("{reason}")]
    Lost { reason: Arc<str> },
    /// No answer came in time.
    #[error("it did not answer {method} within {after:?}")]
    Silent { method: &'static str, after: Duration },
    /// The pages of the list took too long.
    #[error("it had not listed everything within {after:?}")]
    Slow { after: Duration },
}

/// Why Mainstay stopped fetching a list before its last page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The list has more than this many pages.
    Pages(usize),
    /// The list has more than this many items.
    Items(usize),
    /// The items of the list have more than this many bytes.
    Bytes(usize),
    /// The list, or those of all servers, would take more than this many bytes of the memory budget.
    Memory(usize),
    /// A page names a next page that was fetched before.
    Circle,
    /// The cursor of the next page is not a string.
    OddCursor,
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
    /// Whether merged lists can have the item as it is.
    pub fit: ItemFit,
    /// Arguments that the server wants repeated as HTTP headers when the tool is called.
    pub mirrors: MirroredArguments,
}

/// Whether merged lists can have an item as its server lists it. For one item of a shape that clients
/// refuse, they refuse the whole list.
#[derive(Debug, Clone, PartialEq)]
pub enum ItemFit {
    Fits,
    Mended(Box<MendedItem>),
    Unfit(Box<Misfit>),
}

/// An item in another form that means the same.
#[derive(Debug, Clone, PartialEq)]
pub struct MendedItem {
    raw: Bytes,
    key_span: Range<usize>,
}

// === impl Facts ===

impl Facts {
    /// `greeting` may be a part of what was read from the server.
    pub(crate) fn new(
        greeting: Bytes,
        revision: Revision,
        capabilities: ServerCapabilities,
        lists: Lists,
    ) -> Self {
        // A small copy does not hold the whole buffer. A large one would be without its charge.
        let greeting = match greeting.len() {
            ..=UNCHARGED_BYTES_MAX => Bytes::copy_from_slice(&greeting),
            _ => greeting,
        };
        Self { greeting, revision, capabilities, lists }
    }
}

// === impl ListFailure ===

impl ListFailure {
    /// The kind of failure, without the server's own words: what clients may know.
    pub fn brief(&self) -> String {
        match self {
            Self::Refused { method, code: Some(code), .. } => {
                format!("it answered {method} with error {code}")
            }
            Self::Refused { method, code: None, .. } => {
                format!("it answered {method} with an error")
            }
            Self::NoList { method, .. } => format!("its answer to {method} is not a list"),
            Self::Lost { .. } => "the request for it was lost".to_owned(),
            Self::Silent { .. } | Self::Slow { .. } => self.to_string(),
        }
    }
}

// === impl ItemFit ===

impl ItemFit {
    /// Checks an item. `era`: the era of the server that lists it.
    pub(crate) fn of(kind: ListKind, era: Era, item: &str) -> Self {
        match Fit::of(kind, era, item) {
            Fit::Fits => Self::Fits,
            Fit::Unfit(misfit) => Self::Unfit(Box::new(misfit)),
            Fit::Mended(text) => {
                let page = format!(r#"{{"{}":[{text}]}}"#, kind.member());
                let parsed = ListPage::parse(&page, kind).ok();
                match parsed.as_ref().and_then(|page| page.items.first()) {
                    Some(item) => {
                        let key_span = item.key_span_in_item();
                        Self::Mended(Box::new(MendedItem { raw: text.into(), key_span }))
                    }
                    // An item without a key is not listed at all.
                    None => Self::Fits,
                }
            }
        }
    }
}

// === impl Item ===

impl Item {
    /// The item as merged lists have it, and the byte range of its key. `None`: they leave it out.
    pub fn merged(&self) -> Option<(&Bytes, &Range<usize>)> {
        match &self.fit {
            ItemFit::Fits => Some((&self.raw, &self.key_span)),
            ItemFit::Mended(mended) => Some((&mended.raw, &mended.key_span)),
            ItemFit::Unfit(_) => None,
        }
    }

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

// === impl List ===

impl List {
    /// Moves the items into one buffer of their own with this charge, so that the list holds no answer of the server
    /// in memory.
    #[must_use]
    pub(crate) fn compact(mut self, charge: Option<Charge>) -> Self {
        let total = self.items.iter().map(|item| item.raw.len()).sum();
        let mut all = BytesMut::with_capacity(total);
        for item in &self.items {
            all.extend_from_slice(&item.raw);
        }
        let mut all = all.freeze();
        if let Some(charge) = charge {
            all = charge.hold(all);
        }
        for item in &mut self.items {
            item.raw = all.split_to(item.raw.len());
        }
        self.items.shrink_to_fit();
        let mut by_key: Vec<u32> = (0..self.items.len() as u32).collect();
        by_key.sort_by_key(|at| &self.items[*at as usize].key);
        self.by_key = by_key;
        let items = self.items.iter().zip(0..);
        let unfit = items.filter(|(item, _)| matches!(item.fit, ItemFit::Unfit(_)));
        self.unfit = unfit.map(|(_, at)| at).collect();
        self
    }

    /// The first item with a key. Looks at few items however many there are.
    pub fn find(&self, key: &str) -> Option<&Item> {
        /// Among so few items, comparing lengths is faster than searching.
        const FEW: usize = 16;
        if self.items.len() <= FEW || self.by_key.len() != self.items.len() {
            return self.items.iter().find(|item| &*item.key == key);
        }
        let item = |at: &u32| &self.items[*at as usize];
        let first = self.by_key.partition_point(|at| &*item(at).key < key);
        self.by_key.get(first).map(item).filter(|item| &*item.key == key)
    }
}

// === impl Gaps ===

impl Gaps {
    /// Whether nothing is missing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Cut {
    /// Continues a sentence whose subject is the list.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pages(pages) => write!(f, "cut after {pages} pages"),
            Self::Items(items) => write!(f, "cut after {items} items"),
            Self::Bytes(bytes) => write!(f, "cut after {bytes} bytes"),
            Self::Memory(bytes) => {
                write!(
                    f,
                    "cut where it took more than {bytes} bytes of the memory budget for lists"
                )
            }
            Self::Circle => write!(f, "cut where its pages began to repeat"),
            Self::OddCursor => write!(f, "cut where `nextCursor` is not a string"),
        }
    }
}

// === impl Lists ===

impl Lists {
    /// A list as it was fetched last. `None` if the server was not asked for it.
    pub fn get(&self, kind: ListKind) -> Option<&Arc<List>> {
        self.by_kind[kind as usize].as_ref()
    }

    pub fn of(&self, kind: ListKind) -> &[Item] {
        self.get(kind).map_or(&[], |list| &list.items)
    }

    /// Tools that the server lists and that must not be used, and why.
    pub fn unusable(&self, kind: ListKind) -> &[(Box<str>, BadMirror)] {
        self.get(kind).map_or(&[], |list| &list.unusable)
    }

    /// The lists of which something is missing.
    pub fn gaps(&self) -> impl Iterator<Item = (ListKind, &Gaps)> {
        ListKind::ALL.into_iter().filter_map(|kind| {
            let gaps = &self.get(kind)?.gaps;
            (!gaps.is_empty()).then_some((kind, gaps))
        })
    }

    /// Why the list could not be fetched when it was asked for last.
    pub fn failure(&self, kind: ListKind) -> Option<&ListFailure> {
        self.get(kind)?.gaps.failed.as_ref()
    }

    /// How long, and for which clients, the list may be cached.
    pub fn caching(&self, kind: ListKind) -> Caching {
        self.get(kind).map(|list| list.caching).unwrap_or_default()
    }

    pub fn set(&mut self, kind: ListKind, list: List) {
        self.by_kind[kind as usize] = Some(Arc::new(list));
    }

    /// Takes over a list that was just fetched. If that failed and there are items from before, they
    /// are kept.
    pub fn renew(&mut self, kind: ListKind, list: List) {
        let had = self.get(kind).filter(|had| list.gaps.failed.is_some() && !had.items.is_empty());
        match had {
            Some(had) => {
                let gaps = Gaps { failed: list.gaps.failed, ..had.gaps.clone() };
                self.set(kind, List { gaps, ..(**had).clone() });
            }
            None => self.set(kind, list),
        }
    }

    pub fn tool(&self, name: &str) -> Option<&Item> {
        self.get(ListKind::Tools)?.find(name)
    }
}

#[cfg(test)]
mod tests {
    use mainstay_protocol::list::ToolHints;
    use mainstay_protocol::mirror::MirroredArguments;

    use super::{Item, ItemFit, List};

    fn item(key: &str, raw: &'static str) -> Item {
        Item {
            raw: raw.into(),
            key: key.into(),
            key_span: 0..0,
            hints: ToolHints::default(),
            fit: ItemFit::Fits,
            mirrors: MirroredArguments::default(),
        }
    }

    #[test]
    fn the_first_item_of_a_key_is_found() {
        let items = [("m", "1"), ("b", "2"), ("z", "3"), ("b", "4"), ("", "5"), ("bb", "6")];
        let list = List { items: items.map(|(key, raw)| item(key, raw)).into(), ..List::default() };
        let compact = list.clone().compact(None);
        for key in ["m", "b", "z", "", "bb", "a", "c", "zz"] {
            let wanted = items.iter().find(|(other, _)| *other == key).map(|(_, raw)| *raw);
            for list in [&list, &compact] {
                let found = list.find(key).map(|item| std::str::from_utf8(&item.raw).unwrap());
                assert_eq!(found, wanted, "{key}");
            }
        }
    }
}
