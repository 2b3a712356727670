//! Sizes and names of merged lists, for the status.

use mainstay_model::Name;
use mainstay_protocol::Era;
use mainstay_protocol::list::ListKind;
use mainstay_session::catalogue::Entry;
use mainstay_session::names::is_strict;

use super::Endpoint;

/// The size of a merged list, and what became of the names in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListSize {
    pub kind: ListKind,
    pub items: usize,
    /// The sum of the sizes of the items.
    pub bytes: usize,
    /// Items whose published names differ from the servers' own.
    pub renamed: usize,
    /// Published names of tools and prompts that most model APIs refuse.
    pub refused_names: usize,
}

/// An item whose published name differs from the server's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenamedItem {
    pub kind: ListKind,
    pub server: Name,
    pub own: String,
    pub published: String,
}

// === impl Endpoint ===

impl Endpoint {
    /// Returns the sizes of the merged lists. Empty at the endpoint of one server.
    pub fn list_sizes(&self) -> Vec<ListSize> {
        if self.single {
            return Vec::new();
        }
        let size = |kind: ListKind| {
            let listing = self.listing(self.largest_view(kind), kind);
            let has_names = matches!(kind, ListKind::Tools | ListKind::Prompts);
            let count = |is_so: fn(&Entry) -> bool| {
                listing.entries().iter().filter(|entry| is_so(entry)).count()
            };
            ListSize {
                kind,
                items: listing.entries().len(),
                bytes: listing.bytes(),
                renamed: count(|entry| entry.name != entry.own),
                refused_names: if has_names { count(|entry| !is_strict(&entry.name)) } else { 0 },
            }
        };
        ListKind::ALL.into_iter().map(size).collect()
    }

    /// Returns items whose published names differ from the servers' own, at most `max`.
    pub fn renamed_items(&self, max: usize) -> Vec<RenamedItem> {
        if self.single {
            return Vec::new();
        }
        let mut renamed = Vec::new();
        for kind in ListKind::ALL {
            let listing = self.listing(self.largest_view(kind), kind);
            let entries = listing.entries().iter().filter(|entry| entry.name != entry.own);
            let items = entries.filter_map(|entry| {
                let server = self.pool(entry.server)?.name.clone();
                let (own, published) = (entry.own.to_string(), entry.name.to_string());
                Some(RenamedItem { kind, server, own, published })
            });
            renamed.extend(items.take(max - renamed.len()));
        }
        renamed
    }

    /// Returns the era whose clients see the longer list.
    fn largest_view(&self, kind: ListKind) -> Era {
        let count = |era: Era| self.listing(era, kind).entries().len();
        if count(Era::Modern) > count(Era::Legacy) { Era::Modern } else { Era::Legacy }
    }
}
