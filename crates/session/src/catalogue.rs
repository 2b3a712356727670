//! Merged lists: the tools, resources, templates or prompts of an endpoint's servers under published
//! names, and the map from a published name back to its server.
//!
//! A list is built once for each change and never modified. Its pages are slices of it.

pub mod pages;
mod room;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use mainstay_model::{Charge, ServerId};
use mainstay_protocol::build::string;
use mainstay_protocol::edit::{Edit, splice};

use self::room::Room;
use crate::names::Names;
use crate::template;

/// An item as its server lists it.
#[derive(Debug, Clone)]
pub struct Source<'a> {
    pub raw: &'a Bytes,
    /// The item's name, URI or URI template.
    pub key: &'a str,
    /// The byte range of the key in `raw`, including its quotes.
    pub key_span: Range<usize>,
    pub may_retry: bool,
    /// Whether the list leaves the item out, because clients would refuse the whole list for it. Its name
    /// still leads to it.
    pub is_left_out: bool,
}

/// A merged list of one kind. Items keep the order of the servers, and within a server its own.
#[derive(Debug, Default)]
pub struct Listing {
    entries: Vec<Entry>,
    /// Items that are left out of the list, but can be used by name.
    left_out: Vec<Entry>,
    by_name: HashMap<Arc<str>, Place>,
    /// Digest of the names in their order. Equal lists have equal digests, also after a restart.
    digest: u64,
    bytes: usize,
    /// The memory of the list beside that of the servers' lists.
    charge: Option<Charge>,
    /// Items for which there was no memory, by server.
    without_room: Vec<(ServerId, usize)>,
}

/// A position in a list.
#[derive(Debug, Clone, Copy)]
enum Place {
    Listed(u32),
    LeftOut(u32),
}

/// An item of a merged list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub server: ServerId,
    /// The published name.
    pub name: Arc<str>,
    /// The server's own name for the item.
    pub own: Arc<str>,
    /// The item. Shares the bytes of the server's list, unless its name differs from the server's own.
    pub raw: Bytes,
    /// Whether the server promises that a call may be repeated.
    pub may_retry: bool,
}

/// The published names of an endpoint, by [`ListKind`](mainstay_protocol::list::ListKind). They are stored
/// across restarts of the daemon.
pub type PublishedNames = [Names; 4];

// === impl Listing ===

impl Listing {
    /// Merges the lists of servers. `name_of` returns the published name of a server's item. An item
    /// without one is left out, and so is a second item of the same name.
    ///
    /// The list takes `charge` with it, which it shrinks to what it takes. If it can't grow, the list ends
    /// early ([`without_room`](Self::without_room)).
    pub fn build<'a, I>(
        servers: impl IntoIterator<Item = (ServerId, &'a str, I)>,
        name_of: impl Fn(&str, &str) -> Option<Arc<str>>,
        charge: Charge,
    ) -> Self
    where
        I: IntoIterator<Item = Source<'a>>,
    {
        Self::default().with(servers, name_of, charge)
    }

    /// Returns the list with further items behind those that it has. `charge` as in [`build`](Self::build).
    #[must_use]
    pub fn with<'a, I>(
        &self,
        servers: impl IntoIterator<Item = (ServerId, &'a str, I)>,
        name_of: impl Fn(&str, &str) -> Option<Arc<str>>,
        charge: Charge,
    ) -> Self
    where
        I: IntoIterator<Item = Source<'a>>,
    {
        let mut room = Room::new(charge);
        let mut listing = Self::default();
        for entry in &self.entries {
            listing.push_listed(entry.clone(), 0, &mut room);
        }
        for entry in &self.left_out {
            listing.push_left_out(entry.clone(), &mut room);
        }
        for (server, server_name, sources) in servers {
            for source in sources {
                if let Some(name) = name_of(server_name, source.key) {
                    listing.push(server, name, &source, &mut room);
                }
            }
        }
        listing.entries.shrink_to_fit();
        let names = listing.entries.iter().map(|entry| &*entry.name);
        listing.digest = pages::digest(names);
        listing.charge = Some(room.into_charge());
        listing
    }

    fn push(&mut self, server: ServerId, name: Arc<str>, source: &Source<'_>, room: &mut Room) {
        // Duplicate names within a server, or in a group that never prefixes: the first one wins.
        if self.by_name.contains_key(&name) {
            return;
        }
        let own = if *name == *source.key { name.clone() } else { source.key.into() };
        let may_retry = source.may_retry;
        if source.is_left_out {
            let entry = Entry { server, name, own, raw: Bytes::new(), may_retry };
            return self.push_left_out(entry, room);
        }
        let (raw, copied) = if name == own {
            (source.raw.clone(), 0)
        } else {
            let quoted = string(&name);
            let edit = Edit::new(source.key_span.clone(), quoted.as_bytes());
            let raw = splice(source.raw, &mut [edit]);
            let copied = raw.len();
            (raw, copied)
        };
        self.push_listed(Entry { server, name, own, raw, may_retry }, copied, room);
    }

    /// `copied`: the bytes of the item that it does not share with its server's list.
    fn push_listed(&mut self, entry: Entry, copied: usize, room: &mut Room) {
        if !room.take(&entry, copied) {
            return self.note_without_room(entry.server);
        }
        self.bytes += entry.raw.len();
        self.by_name.insert(entry.name.clone(), Place::Listed(self.entries.len() as u32));
        self.entries.push(entry);
    }

    fn push_left_out(&mut self, entry: Entry, room: &mut Room) {
        if room.take(&entry, 0) {
            self.by_name.insert(entry.name.clone(), Place::LeftOut(self.left_out.len() as u32));
            self.left_out.push(entry);
        }
    }

    fn note_without_room(&mut self, server: ServerId) {
        match self.without_room.last_mut().filter(|(last, _)| *last == server) {
            Some((_, items)) => *items += 1,
            None => self.without_room.push((server, 1)),
        }
    }

    /// The items in their order. Only names that had to change differ from what the server sent.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The sum of the sizes of all items.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The memory of the list beside that of the servers' lists, in bytes.
    pub fn charged_bytes(&self) -> usize {
        self.charge.as_ref().map_or(0, Charge::bytes)
    }

    /// The numbers of items that are missing because there was no memory for them, by server.
    pub fn without_room(&self) -> &[(ServerId, usize)] {
        &self.without_room
    }

    /// Looks up an item by its published name, also one that is left out.
    pub fn find(&self, name: &str) -> Option<&Entry> {
        self.by_name.get(name).map(|place| match place {
            Place::Listed(at) => &self.entries[*at as usize],
            Place::LeftOut(at) => &self.left_out[*at as usize],
        })
    }

    /// In a list of templates, finds the first one that matches a URI. Returns its server and the server's
    /// own URI.
    pub fn match_template(&self, uri: &str) -> Option<(ServerId, String)> {
        let entry = self.entries.iter().find(|entry| template::matches(&entry.name, uri))?;
        let own = template::own_uri(&entry.name, &entry.own, uri);
        Some((entry.server, own.to_owned()))
    }
}

#[cfg(test)]
mod tests;
