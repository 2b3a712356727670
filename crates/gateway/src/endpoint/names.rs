//! Published names of all endpoints, within their share of the memory budget.

use std::sync::Arc;
use std::time::Instant;

use mainstay_model::{Budget, Charge, MemoryKind};
use mainstay_protocol::list::ListKind;
use mainstay_session::catalogue::PublishedNames;
use mainstay_session::names::{FreshNames, NameBounds};
use mainstay_store::{NameStore, NamesByEndpoint};
use mainstay_telemetry::Recurrence;
use parking_lot::Mutex;

/// Assigned names, and the store that keeps them for the next daemon.
#[derive(Debug)]
pub(crate) struct NameRegistry {
    store: Arc<dyn NameStore>,
    /// Whether the names of earlier daemons were read. What was not read is not replaced either.
    is_loaded: bool,
    budget: Budget,
    kept: Mutex<KeptNames>,
}

#[derive(Debug)]
struct KeptNames {
    by_endpoint: NamesByEndpoint,
    /// The memory of all names.
    charge: Charge,
    /// Limits the warnings about names that are forgotten.
    forgotten: Recurrence,
}

/// The part of the share of names that the names of one server in one list may take, as a divisor.
const SERVER_SHARE: usize = 8;

impl NameRegistry {
    /// Loads the names that earlier daemons assigned. If the store can't be read, names are assigned again
    /// and not stored until the daemon restarts: it serves all the same, and the stored names stay.
    pub(crate) async fn load(store: Arc<dyn NameStore>, budget: Budget) -> Self {
        let (mut by_endpoint, is_loaded) = match store.load().await {
            Ok(by_endpoint) => (by_endpoint, true),
            Err(error) => {
                tracing::warn!(
                    target: "mainstay", %error,
                    "published names can't be read; until a restart, names are assigned again and not stored"
                );
                (NamesByEndpoint::new(), false)
            }
        };
        let charge = budget.charge(MemoryKind::Names);
        // An earlier daemon may have had more memory.
        for names in by_endpoint.values_mut().flatten() {
            let share = budget.of(MemoryKind::Names);
            names.shrink(share.bytes_max.saturating_sub(share.used_bytes), |_, _| false);
            charge.grow(names.bytes());
        }
        let kept = KeptNames { by_endpoint, charge, forgotten: Recurrence::default() };
        Self { store, is_loaded, budget, kept: Mutex::new(kept) }
    }

    /// What merged lists are charged to.
    pub(crate) fn budget(&self) -> Budget {
        self.budget
    }

    /// Returns the names of an endpoint, without those of servers it no longer has.
    pub(crate) fn names_of(
        &self,
        endpoint: &str,
        configured: impl Fn(&str) -> bool,
    ) -> PublishedNames {
        let known = self.kept.lock().by_endpoint.get(endpoint).cloned();
        let mut memory = known.unwrap_or_default();
        for names in &mut memory {
            names.retain(&configured);
        }
        memory
    }

    /// Adds names that clients of an endpoint are about to see to those that are remembered, and stores
    /// them. `is_listed` returns whether a server lists an item now.
    ///
    /// If the share of names is used up, the list with the new names takes no more than before: its server
    /// with the most names lets the oldest go.
    pub(crate) fn remember(
        &self,
        endpoint: &str,
        names: &mut PublishedNames,
        kind: ListKind,
        fresh: &FreshNames,
        is_listed: impl Fn(&str, &str) -> bool,
    ) {
        // Saved under the lock, so that the last names saved are the last ones stored.
        let mut kept = self.kept.lock();
        let before = names[kind as usize].bytes();
        let has_room = self.has_room(&kept.charge, fresh.bytes());
        let bounds = NameBounds {
            server_bytes_max: self.budget.of(MemoryKind::Names).bytes_max / SERVER_SHARE,
            list_bytes_max: if has_room { usize::MAX } else { before },
        };
        let forgotten = names[kind as usize].remember(fresh, is_listed, bounds);
        kept.set(endpoint, names);
        if forgotten > 0 {
            if has_room {
                self.budget.note_refusal(MemoryKind::Names);
            }
            kept.warn(endpoint, kind, forgotten);
        }
        if self.is_loaded {
            self.store.save(endpoint, names);
        }
    }

    /// Waits until all saved names are stored, for at most a second. Does not wait for a store that
    /// fails.
    pub(crate) async fn stored(&self) {
        self.store.stored().await;
    }
}

impl NameRegistry {
    /// Charges names if their share has room. What other kinds of data take at the moment is no reason to
    /// forget names.
    fn has_room(&self, charge: &Charge, more: usize) -> bool {
        let share = self.budget.of(MemoryKind::Names);
        if share.used_bytes.saturating_add(more) <= share.bytes_max {
            charge.grow(more);
            return true;
        }
        charge.try_grow(more).is_ok()
    }
}

// === impl KeptNames ===

impl KeptNames {
    /// Replaces the names of an endpoint, and charges what all take now.
    fn set(&mut self, endpoint: &str, names: &PublishedNames) {
        self.by_endpoint.insert(endpoint.to_owned(), names.clone());
        let all = self.by_endpoint.values().flatten();
        let bytes: usize = all.map(mainstay_session::Names::bytes).sum();
        let charged = self.charge.bytes();
        self.charge.grow(bytes.saturating_sub(charged));
        self.charge.shrink(charged.saturating_sub(bytes));
    }

    fn warn(&mut self, endpoint: &str, kind: ListKind, forgotten: usize) {
        let (at, list) = (format!("/mcp/{endpoint}"), kind.member());
        if self.forgotten.admit(Instant::now(), "no room").is_some() {
            tracing::warn!(
                target: "mainstay", endpoint = at.trim_end_matches('/'), list, forgotten,
                "the memory for names is used up; names of listed items are not remembered and may \
                 change with the list"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mainstay_model::settings::{NameRule, Prefix};
    use mainstay_model::{Budget, MemoryKind};
    use mainstay_protocol::list::ListKind;
    use mainstay_session::catalogue::PublishedNames;
    use mainstay_session::names::{Assignment, KeyForm, NameStyle};
    use mainstay_store::NameStore;
    use mainstay_testkit::MemoryStore;

    use super::NameRegistry;

    const PREFIXED: NameStyle = NameStyle { prefix: Prefix::Always, rule: NameRule::Spec };

    async fn load(store: &MemoryStore, budget: Budget) -> NameRegistry {
        let names: Arc<dyn NameStore> = store.open().names;
        NameRegistry::load(names, budget).await
    }

    /// Shows clients of an endpoint tools of a server, which lists nothing else.
    fn show(
        registry: &NameRegistry,
        endpoint: &str,
        names: &mut PublishedNames,
        server: &str,
        tools: &[String],
    ) {
        let known = names[ListKind::Tools as usize].clone();
        let mut assignment = Assignment::new(&known, PREFIXED, KeyForm::Name, &|_| None);
        for tool in tools {
            assignment.publish(server, tool);
        }
        let fresh = assignment.into_fresh();
        let is_listed = |of: &str, own: &str| of == server && tools.iter().any(|tool| tool == own);
        registry.remember(endpoint, names, ListKind::Tools, &fresh, is_listed);
    }

    fn shown(registry: &NameRegistry, endpoint: &str, server: &str) -> PublishedNames {
        let mut names = PublishedNames::default();
        show(registry, endpoint, &mut names, server, &["echo".to_owned()]);
        names
    }

    /// Tools with names of 100 bytes.
    fn tools(from: u32, count: u32) -> Vec<String> {
        (from..from + count).map(|number| format!("{number:0100}")).collect()
    }

    #[tokio::test]
    async fn names_take_no_more_than_their_share_and_the_oldest_go_first() {
        // The share of names is 1 MiB, and that of a server 128 KiB.
        let budget = Budget::new(16 << 20);
        let used = || budget.of(MemoryKind::Names).used_bytes;
        let store = MemoryStore::default();
        let registry = load(&store, budget).await;
        let mut names = PublishedNames::default();
        for round in 0..30 {
            show(&registry, "", &mut names, "hog", &tools(round * 100, 100));
            assert!(used() <= 160 << 10, "{}", used());
        }
        let of_tools = &names[ListKind::Tools as usize];
        assert!(of_tools.find("hog", &tools(2999, 1)[0]).is_some());
        assert!(of_tools.find("hog", &tools(0, 1)[0]).is_none());
        assert_eq!(budget.of(MemoryKind::Names).refused, 0);
        // Many servers use it up.
        for server in 0..30 {
            show(&registry, "", &mut names, &format!("s{server}"), &tools(0, 200));
            assert!(used() <= 1 << 20, "{}", used());
        }
        assert!(budget.of(MemoryKind::Names).refused > 0, "it is told");
        let of_tools = &names[ListKind::Tools as usize];
        assert!(of_tools.find("s29", &tools(199, 1)[0]).is_some(), "new names have room");
        // A daemon with less memory keeps what has room.
        let smaller = Budget::new(8 << 20);
        let second = load(&store, smaller).await;
        assert!(smaller.of(MemoryKind::Names).used_bytes <= 512 << 10);
        assert!(second.names_of("", |_| true)[ListKind::Tools as usize].len() > 100);
        drop((registry, second));
        assert_eq!((used(), smaller.of(MemoryKind::Names).used_bytes), (0, 0));
    }

    #[tokio::test]
    async fn names_are_there_for_the_next_daemon() {
        let store = MemoryStore::default();
        let first = load(&store, Budget::UNLIMITED).await;
        let of_work = shown(&first, "work", "a");
        shown(&first, "play", "b");
        first.stored().await;
        store.crash();
        let second = load(&store, Budget::UNLIMITED).await;
        let known = second.names_of("work", |server| server == "a");
        assert_eq!(known, of_work);
        let gone = second.names_of("play", |server| server == "a");
        assert_eq!(gone, PublishedNames::default(), "not configured any more");
    }

    #[tokio::test]
    async fn names_that_can_not_be_read_are_given_out_anew_and_not_replaced() {
        let store = MemoryStore::default();
        let first = load(&store, Budget::UNLIMITED).await;
        let stored = shown(&first, "work", "a");
        first.stored().await;
        store.fail(Some("gone"));
        let second = load(&store, Budget::UNLIMITED).await;
        let known = second.names_of("work", |_| true);
        assert_eq!(known, PublishedNames::default());
        store.fail(None);
        let anew = shown(&second, "work", "b");
        second.stored().await;
        let own = second.names_of("work", |_| true);
        assert_eq!(own, anew, "what it has given out stays so for it");
        let third = load(&store, Budget::UNLIMITED).await;
        assert_eq!(third.names_of("work", |_| true), stored);
    }
}
