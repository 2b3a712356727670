//! The merged lists of an endpoint: built once for each change, and shared by all who read them.
//!
//! A change only counts ([`Endpoint::note_changes`]). The next list that is built covers all changes so
//! far: in the background after a change, or before a request that needs it earlier.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use mainstay_model::{Charge, MemoryKind, ServerId};
use mainstay_protocol::Era;
use mainstay_protocol::list::ListKind;
use mainstay_session::catalogue::{Listing, PublishedNames};
use mainstay_session::names::{Assignment, FreshNames, KeyForm, Names};
use mainstay_upstream::facts::Facts;
use parking_lot::Mutex;
use tokio_util::task::TaskTracker;

use super::client_views::ClientViews;
use super::server_lists::ServerLists;
use super::{ERAS, Endpoint};

/// The merged lists of an endpoint, over all its versions.
#[derive(Debug)]
pub(super) struct MergedLists {
    /// By [`ListKind`].
    kinds: [MergedList; 4],
    /// Held while a list is built.
    assigned: Mutex<AssignedNames>,
    pub(super) views: ClientViews,
    /// Whether a task is about to build what has changed.
    is_build_due: AtomicBool,
}

/// The part of the share of lists that kept lists of an endpoint may take when they are replaced, as a
/// divisor.
const PAGED_SHARE: usize = 16;
/// Time between a change and the build in the background.
const SETTLE: Duration = Duration::from_millis(10);

#[derive(Debug)]
struct MergedList {
    /// Number of changes so far.
    changes: AtomicU64,
    built: ArcSwap<BuiltList>,
}

/// A list as it was built after a change.
#[derive(Debug, Default)]
struct BuiltList {
    /// The number of changes that it covers.
    changes: u64,
    /// The version of the endpoint whose servers it has. 0: it was never built.
    version: u64,
    /// For clients of each era, in the order of [`ERAS`].
    eras: [Arc<Listing>; 2],
    /// Whether a client has seen it, so that all of its names stay as they are.
    is_shown: AtomicBool,
}

/// The names that an endpoint has assigned, by [`ListKind`].
#[derive(Debug, Default)]
struct AssignedNames {
    /// Names that clients have seen, which don't change.
    shown: PublishedNames,
    /// Names in the present lists that nobody has seen. They are assigned again in the order of the
    /// file, so that they don't depend on which server starts first.
    fresh: [FreshNames; 4],
    /// The resources that clients have seen last. Their URIs need not be remembered beyond that.
    seen_resources: [Arc<Listing>; 2],
}

// === impl MergedLists ===

impl MergedLists {
    pub(super) fn new(shown: PublishedNames) -> Self {
        Self {
            kinds: std::array::from_fn(|_| MergedList {
                changes: AtomicU64::new(0),
                built: ArcSwap::default(),
            }),
            assigned: Mutex::new(AssignedNames { shown, ..AssignedNames::default() }),
            views: ClientViews::default(),
            is_build_due: AtomicBool::new(false),
        }
    }

    /// Removes the names of servers that the endpoint no longer has.
    pub(super) fn retain(&self, is_here: impl Fn(&str) -> bool) {
        for names in &mut self.assigned.lock().shown {
            names.retain(&is_here);
        }
    }
}

// === impl MergedList ===

impl MergedList {
    /// Whether a build covers all changes, for this version of the endpoint.
    fn is_current(&self, built: &BuiltList, version: u64) -> bool {
        built.version >= version && built.changes == self.changes.load(Ordering::Acquire)
    }
}

// === impl Endpoint ===

impl Endpoint {
    /// Counts a change of what servers list.
    pub(crate) fn note_changes(&self, kinds: &[ListKind]) {
        for kind in kinds {
            self.list(*kind).changes.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Builds lists that have changed in a task, so that no request has to. Changes that follow each other
    /// closely are built once.
    pub(crate) fn start_build(self: &Arc<Self>, tasks: &TaskTracker) {
        if self.single || self.state.merged.is_build_due.swap(true, Ordering::AcqRel) {
            return;
        }
        let endpoint = self.clone();
        tasks.spawn(async move {
            tokio::time::sleep(SETTLE).await;
            endpoint.state.merged.is_build_due.store(false, Ordering::Release);
            for kind in ListKind::ALL {
                endpoint.built(kind);
            }
        });
    }

    /// Returns the merged list of clients of an era, as it is now.
    pub(crate) fn listing(&self, era: Era, kind: ListKind) -> Arc<Listing> {
        self.built(kind).eras[era as usize].clone()
    }

    /// Looks something up in a merged list. A list that has just changed is not built for this if the
    /// list before has what is looked for, and clients have seen it. A list of other servers is.
    pub(crate) fn find_in_list<T>(
        &self,
        era: Era,
        kind: ListKind,
        find: impl Fn(&Listing) -> Option<T>,
    ) -> Option<T> {
        let list = self.list(kind);
        let built = list.built.load();
        let is_current = list.is_current(&built, self.version);
        let is_of_version = built.version >= self.version;
        if is_current || (is_of_version && built.is_shown.load(Ordering::Acquire)) {
            let found = find(&built.eras[era as usize]);
            if is_current || found.is_some() {
                return found;
            }
        }
        find(&self.listing(era, kind))
    }

    /// Returns the merged list for a client that is about to see it. Its names don't change from now on.
    pub(crate) fn show(&self, era: Era, kind: ListKind) -> Arc<Listing> {
        let built = self.built(kind);
        if built.is_shown.load(Ordering::Acquire) {
            return built.eras[era as usize].clone();
        }
        let mut assigned = self.state.merged.assigned.lock();
        // Another change may have been counted in the meantime.
        let built = self.build(&mut assigned, kind);
        if !built.is_shown.load(Ordering::Acquire) {
            let fresh = std::mem::take(&mut assigned.fresh[kind as usize]);
            if kind == ListKind::Resources {
                assigned.seen_resources = built.eras.clone();
            }
            self.remember(&mut assigned.shown, kind, &fresh, &built.eras);
            built.is_shown.store(true, Ordering::Release);
        }
        built.eras[era as usize].clone()
    }

    /// Adds what some servers list for this client only to a merged list. These names don't change from
    /// now on either.
    pub(crate) fn show_with_client_lists(
        &self,
        shown: Arc<Listing>,
        era: Era,
        kind: ListKind,
        said: Vec<(ServerId, Arc<Facts>)>,
    ) -> Arc<Listing> {
        if said.is_empty() {
            return shown;
        }
        let views = &self.state.merged.views;
        if let Some(view) = views.find(kind, &shown, &said) {
            return view;
        }
        let whole = self.merge_client_lists(&shown, era, kind, &said);
        views.keep(kind, shown, said, whole.clone());
        whole
    }

    fn merge_client_lists(
        &self,
        shown: &Arc<Listing>,
        era: Era,
        kind: ListKind,
        said: &[(ServerId, Arc<Facts>)],
    ) -> Arc<Listing> {
        let base = self.server_lists(era);
        let more = said.iter().filter_map(|(server, facts)| {
            let all = base.iter().find(|base| base.server == *server)?;
            let more = ServerLists { facts: facts.clone(), ..*all };
            more.lists_beyond(all, kind).then_some(more)
        });
        let more: Vec<_> = more.collect();
        if more.is_empty() {
            return shown.clone();
        }
        let mut assigned = self.state.merged.assigned.lock();
        let fresh = self.assign(&assigned, kind, more.iter());
        let names = &assigned.shown[kind as usize];
        let sources = more.iter().map(|of| of.sources(kind));
        let charge = self.names.budget().charge(MemoryKind::Lists);
        let whole = shown.with(sources, |server, own| name_of(&fresh, names, server, own), charge);
        let whole = [Arc::new(whole)];
        self.remember(&mut assigned.shown, kind, &fresh, &whole);
        let [whole] = whole;
        whole
    }

    /// Finds the server and its own name for a published name that is in no list now, but was shown
    /// to a client, by this daemon or an earlier one. The server may be starting or away, or may
    /// not have listed yet what it has for this client; or it no longer has the item, and says so
    /// itself. None: the name is unknown, or clients of this era can't use that server.
    pub(crate) fn find_remembered(
        &self,
        era: Era,
        kind: ListKind,
        published: &str,
    ) -> Option<(ServerId, String)> {
        let assigned = self.state.merged.assigned.lock();
        let owner = assigned.shown[kind as usize].owner(published);
        let seen = owner.map(|owner| (&*owner.server, owner.own.to_string()));
        let seen = seen.or_else(|| match kind {
            // A URI may have been made from a template.
            ListKind::Resources => {
                assigned.shown[ListKind::ResourceTemplates as usize].match_template(published)
            }
            _ => None,
        });
        let (server, own) = seen?;
        let server = self.server_named(server)?;
        server.pool.unsupported_reason(era).is_none().then_some((server.id, own))
    }

    /// Returns the URI under which a server's resource is published, if it differs from the
    /// server's own.
    pub(crate) fn published_uri(&self, server: ServerId, own: &str) -> Option<String> {
        let server = &self.pool(server)?.name;
        let at = ListKind::Resources as usize;
        let assigned = self.state.merged.assigned.lock();
        let published = name_of(&assigned.fresh[at], &assigned.shown[at], server.as_str(), own)?;
        (*published != *own).then(|| published.to_string())
    }

    fn list(&self, kind: ListKind) -> &MergedList {
        &self.state.merged.kinds[kind as usize]
    }

    /// Returns the list as it is now. Builds it if it has changed.
    fn built(&self, kind: ListKind) -> Arc<BuiltList> {
        let list = self.list(kind);
        let built = list.built.load();
        if list.is_current(&built, self.version) {
            return Arc::clone(&built);
        }
        drop(built);
        self.build(&mut self.state.merged.assigned.lock(), kind)
    }

    /// Merges the latest lists of all servers, unless that is done. Servers that failed for good are left
    /// out; one that is only restarting keeps its place.
    ///
    /// A name is assigned for both eras at once, in the order of the file, so that all clients see
    /// a tool under the same name, even when its server learns another revision.
    fn build(&self, assigned: &mut AssignedNames, kind: ListKind) -> Arc<BuiltList> {
        let list = self.list(kind);
        let before = list.built.load_full();
        if list.is_current(&before, self.version) {
            return before;
        }
        // Counted before the lists are read, so that no later change is taken for covered.
        let changes = list.changes.load(Ordering::Acquire);
        let said = ERAS.map(|era| self.server_lists(era));
        let mut in_order: Vec<_> = said.iter().flatten().collect();
        in_order.sort_by_key(|of| of.place);
        let fresh = self.assign(assigned, kind, in_order);
        let names = &assigned.shown[kind as usize];
        let eras = ERAS.map(|era| {
            let sources = said[era as usize].iter().map(|of| of.sources(kind));
            let charge = self.charge_instead(&before.eras[era as usize]);
            let name_of = |server: &str, own: &str| name_of(&fresh, names, server, own);
            Arc::new(Listing::build(sources, name_of, charge))
        });
        let built = Arc::new(BuiltList {
            changes,
            version: self.version,
            eras,
            is_shown: AtomicBool::new(false),
        });
        assigned.fresh[kind as usize] = fresh;
        list.built.store(built.clone());
        self.note_replaced(kind, &built.eras);
        self.warn(kind, &before, &built);
        built
    }

    /// A charge for a list that takes the place of another. For a moment there are both.
    fn charge_instead(&self, before: &Listing) -> Charge {
        let charge = self.names.budget().charge(MemoryKind::Lists);
        charge.grow(before.charged_bytes());
        charge
    }

    /// Gives up lists of a kind that are kept for clients and no longer current.
    fn note_replaced(&self, kind: ListKind, now: &[Arc<Listing>; 2]) {
        self.state.merged.views.retain(kind, now);
        let bytes_max = self.names.budget().of(MemoryKind::Lists).bytes_max / PAGED_SHARE;
        self.state.paged.note_replaced(kind, now, bytes_max, Instant::now());
    }

    /// Says which lists have no memory for all items, where that is new.
    fn warn(&self, kind: ListKind, before: &BuiltList, now: &BuiltList) {
        let missing = |built: &BuiltList| {
            let each = built.eras.iter().flat_map(|listing| listing.without_room());
            each.map(|(_, items)| items).sum::<usize>()
        };
        if missing(now) > 0 && missing(before) == 0 {
            tracing::warn!(
                target: "mainstay", endpoint = %self.path(), list = kind.member(), items = missing(now),
                "the memory for lists is used up; a merged list ends early"
            );
        }
    }

    /// Returns the names of items that have none yet.
    fn assign<'a>(
        &self,
        assigned: &AssignedNames,
        kind: ListKind,
        servers: impl IntoIterator<Item = &'a ServerLists<'a>>,
    ) -> FreshNames {
        let seen_at = |uri: &str| {
            let seen = assigned.seen_resources.iter().filter_map(|listing| listing.find(uri));
            let mut seen = seen.filter(|entry| *entry.own == *uri);
            Some(self.pool(seen.next()?.server)?.name.as_str().into())
        };
        let form = match kind {
            ListKind::Tools | ListKind::Prompts => KeyForm::Name,
            ListKind::Resources => KeyForm::Uri,
            ListKind::ResourceTemplates => KeyForm::Template,
        };
        let known = &assigned.shown[kind as usize];
        let mut assignment = Assignment::new(known, self.style, form, &seen_at);
        for of in servers {
            for item in of.facts.lists.of(kind) {
                assignment.publish(of.name.as_str(), &item.key);
            }
        }
        assignment.into_fresh()
    }

    /// Remembers names that clients are about to see in these lists, and stores them.
    fn remember(
        &self,
        shown: &mut PublishedNames,
        kind: ListKind,
        fresh: &FreshNames,
        lists: &[Arc<Listing>],
    ) {
        if fresh.is_empty() {
            return;
        }
        let listed: OnceCell<HashMap<&str, HashSet<&str>>> = OnceCell::new();
        let is_listed = |server: &str, own: &str| {
            let listed = listed.get_or_init(|| self.own_names(lists));
            listed.get(server).is_some_and(|names| names.contains(own))
        };
        self.names.remember(&self.name, shown, kind, fresh, is_listed);
    }

    /// Returns what each server lists, by its own names.
    fn own_names<'a>(&'a self, lists: &'a [Arc<Listing>]) -> HashMap<&'a str, HashSet<&'a str>> {
        let mut own_names: HashMap<&str, HashSet<&str>> = HashMap::new();
        for entry in lists.iter().flat_map(|listing| listing.entries()) {
            if let Some(pool) = self.pool(entry.server) {
                own_names.entry(pool.name.as_str()).or_default().insert(&entry.own);
            }
        }
        own_names
    }
}

/// Returns the published name of an item.
fn name_of(fresh: &FreshNames, shown: &Names, server: &str, own: &str) -> Option<Arc<str>> {
    fresh.find(server, own).or_else(|| shown.find(server, own)).cloned()
}
