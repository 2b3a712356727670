//! The names under which a merged endpoint publishes its servers' items.
//!
//! A published name never changes while its server is configured, because models remember tools by name
//! and users approve them by name.

pub mod assign;
mod fit;
mod stored;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use self::assign::{Assignment, FreshNames, KeyForm, NameStyle};
pub use self::fit::{LENGTH_MAX, is_strict};
use self::stored::StoredNames;
use crate::template;

/// The published names of one [`ListKind`](mainstay_protocol::list::ListKind) at one endpoint that are
/// remembered. Clones share their content.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "StoredNames", into = "StoredNames")]
pub struct Names {
    servers: BTreeMap<Box<str>, Arc<ServerNames>>,
    /// The items that published names stand for, also names that were replaced.
    owners: Arc<HashMap<Arc<str>, Owner>>,
    /// The memory of all names, in bytes.
    bytes: usize,
}

/// How much memory the names of a list may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NameBounds {
    /// For the names of one server.
    pub server_bytes_max: usize,
    /// For the names of all servers.
    pub list_bytes_max: usize,
}

/// The item that a published name stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    pub server: Arc<str>,
    /// The server's own name of the item.
    pub own: Arc<str>,
}

/// The names of one server.
#[derive(Debug, Clone, Default)]
struct ServerNames {
    by_own: HashMap<Arc<str>, KnownName>,
    /// The memory of the names, in bytes.
    bytes: usize,
    /// The number of names that were ever remembered.
    count: u64,
    /// Published names that `names = "strict"` has replaced, with the own names. They stay valid in calls.
    former: BTreeMap<Arc<str>, Arc<str>>,
}

#[derive(Debug, Clone)]
struct KnownName {
    published: Arc<str>,
    /// Position among the names of the server, in the order of their publication.
    serial: u64,
}

/// The most names of a server in a list that are remembered although the server does not list them now.
/// The oldest give way. A server that makes up new names all the time must not fill memory and disk.
pub const UNLISTED_MAX: usize = 2_000;
/// The same for URIs, of which servers make up more. This is also the most URIs that a server may list for
/// its bare URIs to be remembered at all.
pub const URIS_MAX: usize = 500;

/// What a name takes in memory beside its text: two entries of maps, and the heads of two texts. It is more
/// than the quotes and commas around it in a file.
const NAME_BYTES: usize = 160;

// === impl Names ===

impl Names {
    /// The published name for `server`'s own name `own`, if it is remembered.
    pub fn find(&self, server: &str, own: &str) -> Option<&Arc<str>> {
        Some(&self.servers.get(server)?.by_own.get(own)?.published)
    }

    /// The item that a published name stands for.
    pub fn owner(&self, published: &str) -> Option<&Owner> {
        self.owners.get(published)
    }

    /// The server whose published template matches a URI, and the server's own URI. `None` if no template
    /// matches, or templates of more than one server.
    pub fn match_template(&self, uri: &str) -> Option<(&str, String)> {
        let matching = self.servers.iter().filter_map(|(server, of)| {
            let (own, known) =
                of.by_own.iter().find(|(_, known)| template::matches(&known.published, uri))?;
            Some((&**server, template::own_uri(&known.published, own, uri).to_owned()))
        });
        let mut matching = matching.fuse();
        match (matching.next(), matching.next()) {
            (Some(only), None) => Some(only),
            _ => None,
        }
    }

    /// Remembers names that clients are about to see. `is_listed` returns whether a server lists an item
    /// now; names of other items are forgotten beyond [`UNLISTED_MAX`] and [`URIS_MAX`]. Beyond `bounds`, a
    /// server's oldest names are forgotten, those of items that are not listed first.
    ///
    /// Returns how many names of listed items were forgotten. They may change when their list does.
    pub fn remember(
        &mut self,
        fresh: &FreshNames,
        is_listed: impl Fn(&str, &str) -> bool,
        bounds: NameBounds,
    ) -> usize {
        if fresh.is_empty() {
            return 0;
        }
        let mut listed_forgotten = 0;
        let owners = Arc::make_mut(&mut self.owners);
        let unlisted_max = if fresh.are_uris() { URIS_MAX } else { UNLISTED_MAX };
        for (server, names) in fresh.remembered() {
            let of = Arc::make_mut(self.servers.entry(server.as_ref().into()).or_default());
            for (own, published) in names {
                if let Some(owner) = fresh.owner(&published) {
                    owners.entry(published.clone()).or_insert_with(|| owner.clone());
                }
                of.insert(own, published);
            }
            let is_listed = |own: &str| is_listed(&server, own);
            forget_owners(owners, &server, of.forget_unlisted(unlisted_max, is_listed));
            for listed in [false, true] {
                let excess = of.bytes.saturating_sub(bounds.server_bytes_max);
                let gone = of.forget_bytes(excess, |own| is_listed(own) == listed);
                listed_forgotten += if listed { gone.len() } else { 0 };
                forget_owners(owners, &server, gone);
            }
        }
        self.count_bytes();
        listed_forgotten + self.shrink(bounds.list_bytes_max, is_listed)
    }

    /// Forgets names until they take no more than `bytes_max`: first those of items that are not listed, of
    /// the servers with the most of them, the oldest first. Returns how many of listed items there were.
    pub fn shrink(&mut self, bytes_max: usize, is_listed: impl Fn(&str, &str) -> bool) -> usize {
        let mut listed_forgotten = 0;
        for listed in [false, true] {
            let mut excess = self.bytes.saturating_sub(bytes_max);
            if excess == 0 {
                break;
            }
            let is_such = |server: &str, own: &str| is_listed(server, own) == listed;
            let sizes: Vec<_> = self
                .servers
                .iter()
                .map(|(server, of)| of.bytes_of(|own| is_such(server, own)))
                .collect();
            let level = level(sizes.clone(), excess);
            for ((server, of), size) in self.servers.iter_mut().zip(sizes) {
                let most = size.saturating_sub(level).min(excess);
                if most > 0 {
                    let of = Arc::make_mut(of);
                    let before = of.bytes;
                    let gone = of.forget_bytes(most, |own| is_such(server, own));
                    excess = excess.saturating_sub(before - of.bytes);
                    listed_forgotten += if listed { gone.len() } else { 0 };
                    forget_owners(Arc::make_mut(&mut self.owners), server, gone);
                }
            }
            self.count_bytes();
        }
        listed_forgotten
    }

    /// The memory of all names, in bytes. Their file is no larger, the names of servers aside.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    fn count_bytes(&mut self) {
        self.bytes = self.servers.values().map(|of| of.bytes).sum();
    }

    /// Removes servers that are no longer configured.
    pub fn retain(&mut self, is_configured: impl Fn(&str) -> bool) {
        if self.servers.keys().all(|server| is_configured(server)) {
            return;
        }
        self.servers.retain(|server, _| is_configured(server));
        self.count_bytes();
        self.owners = Arc::new(owners_of(&self.servers));
    }

    /// The number of names that are remembered.
    pub fn len(&self) -> usize {
        self.servers.values().map(|of| of.by_own.len()).sum()
    }

    pub fn is_empty(&self) -> bool {
        self.servers.is_empty()
    }
}

impl PartialEq for Names {
    /// Whether both remember the same names, regardless of the order of publication.
    fn eq(&self, other: &Self) -> bool {
        let is_same = |(one, other): (&Arc<ServerNames>, &Arc<ServerNames>)| {
            Arc::ptr_eq(one, other) || one.has_same_names(other)
        };
        self.servers.keys().eq(other.servers.keys())
            && self.servers.values().zip(other.servers.values()).all(is_same)
    }
}

impl Eq for Names {}

// === impl ServerNames ===

impl ServerNames {
    fn insert(&mut self, own: Arc<str>, published: Arc<str>) {
        self.bytes += name_bytes(&own, &published);
        let known = KnownName { published, serial: self.count };
        self.count += 1;
        if let Some(before) = self.by_own.insert(own.clone(), known) {
            self.bytes -= name_bytes(&own, &before.published);
            self.insert_former(&before.published, own);
        }
    }

    fn insert_former(&mut self, published: &Arc<str>, own: Arc<str>) {
        self.bytes += name_bytes(&own, published);
        if let Some(before) = self.former.insert(published.clone(), own) {
            self.bytes -= name_bytes(&before, published);
        }
    }

    /// Forgets the oldest names of items that are not listed, beyond `max`. Returns the published names
    /// that are gone.
    fn forget_unlisted(&mut self, max: usize, is_listed: impl Fn(&str) -> bool) -> Vec<Arc<str>> {
        if self.by_own.len() <= max {
            return Vec::new();
        }
        let unlisted = self.by_own.iter().filter(|(own, _)| !is_listed(own));
        let mut unlisted: Vec<_> =
            unlisted.map(|(own, known)| (known.serial, own.clone())).collect();
        let excess = unlisted.len().saturating_sub(max);
        if excess == 0 {
            return Vec::new();
        }
        unlisted.sort_unstable_by_key(|(serial, _)| *serial);
        self.forget(&unlisted.into_iter().take(excess).map(|(_, own)| own).collect())
    }

    /// Forgets the oldest of certain names until `excess` bytes are free. Returns the published names that
    /// are gone.
    fn forget_bytes(&mut self, excess: usize, is_such: impl Fn(&str) -> bool) -> Vec<Arc<str>> {
        if excess == 0 {
            return Vec::new();
        }
        let such = self.by_own.iter().filter(|(own, _)| is_such(own));
        let mut such: Vec<_> = such.map(|(own, known)| (known, own)).collect();
        such.sort_unstable_by_key(|(known, _)| known.serial);
        let mut freed = 0;
        let gone = such.into_iter().take_while(|(known, own)| {
            let is_enough = freed >= excess;
            freed += name_bytes(own, &known.published);
            !is_enough
        });
        self.forget(&gone.map(|(_, own)| own.clone()).collect())
    }

    /// The memory of certain names, in bytes.
    fn bytes_of(&self, is_such: impl Fn(&str) -> bool) -> usize {
        let such = self.by_own.iter().filter(|(own, _)| is_such(own));
        such.map(|(own, known)| name_bytes(own, &known.published)).sum()
    }

    /// Forgets the names of these items. Returns the published names that are gone.
    fn forget(&mut self, gone: &HashSet<Arc<str>>) -> Vec<Arc<str>> {
        let known = gone.iter().filter_map(|own| self.by_own.remove_entry(own));
        let mut all: Vec<_> = known.map(|(own, known)| (known.published, own)).collect();
        all.extend(self.former.extract_if(.., |_, own| gone.contains(own)));
        self.bytes -= all.iter().map(|(published, own)| name_bytes(own, published)).sum::<usize>();
        all.into_iter().map(|(published, _)| published).collect()
    }

    fn has_same_names(&self, other: &Self) -> bool {
        let has = |(own, known): (&Arc<str>, &KnownName)| {
            other.by_own.get(own).is_some_and(|theirs| theirs.published == known.published)
        };
        self.by_own.len() == other.by_own.len()
            && self.former == other.former
            && self.by_own.iter().all(has)
    }

    /// The own and the published names, in the order of their publication.
    fn in_order(&self) -> Vec<(&Arc<str>, &Arc<str>)> {
        let mut all: Vec<_> = self.by_own.iter().collect();
        all.sort_unstable_by_key(|(_, known)| known.serial);
        all.into_iter().map(|(own, known)| (own, &known.published)).collect()
    }
}

/// The memory that a name takes, in bytes.
fn name_bytes(own: &str, published: &str) -> usize {
    NAME_BYTES + text_bytes(own) + text_bytes(published)
}

/// The size of a text, or of its JSON where that is larger.
fn text_bytes(text: &str) -> usize {
    let escaped = text.bytes().map(|byte| match byte {
        b'"' | b'\\' => 2,
        ..0x20 => 6,
        _ => 1,
    });
    escaped.sum()
}

/// The size to which the largest of `sizes` must shrink so that `excess` is saved. 0: all of them together are
/// no larger.
fn level(mut sizes: Vec<usize>, excess: usize) -> usize {
    sizes.sort_unstable_by(|one, other| other.cmp(one));
    let mut sum = 0;
    for (at, size) in sizes.iter().enumerate() {
        sum += size;
        let next = sizes.get(at + 1).copied().unwrap_or(0);
        // All up to here shrink to one size, which is at least the next.
        let level = sum.saturating_sub(excess) / (at + 1);
        if sum >= excess && level >= next {
            return level;
        }
    }
    0
}

fn forget_owners(owners: &mut HashMap<Arc<str>, Owner>, server: &str, gone: Vec<Arc<str>>) {
    for gone in gone {
        if owners.get(&gone).is_some_and(|owner| *owner.server == *server) {
            owners.remove(&gone);
        }
    }
}

fn owners_of(servers: &BTreeMap<Box<str>, Arc<ServerNames>>) -> HashMap<Arc<str>, Owner> {
    let mut owners = HashMap::new();
    for (server, of) in servers {
        let server: Arc<str> = server.as_ref().into();
        let former = of.former.iter().map(|(published, own)| (own, published));
        for (own, published) in of.in_order().into_iter().chain(former) {
            let owner = Owner { server: server.clone(), own: own.clone() };
            owners.entry(published.clone()).or_insert(owner);
        }
    }
    owners
}

#[cfg(test)]
mod tests;
