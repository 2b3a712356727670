//! Endpoints: an address that clients use, and the servers behind it.

mod client_views;
pub(crate) mod lists;
mod merged;
pub(crate) mod names;
mod paged_lists;
pub(crate) mod per_client_lists;
pub(crate) mod route;
mod server_lists;
pub(crate) mod state;
pub mod summary;
#[cfg(test)]
pub(crate) mod test_servers;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use mainstay_model::settings::{NameRule, Prefix};
use mainstay_model::status::{InstanceState, MissingItems};
use mainstay_model::{EndpointId, Name, ServerId};
use mainstay_pool::{EraSupport, Pool, Wait};
use mainstay_protocol::list::{Caching, ListKind};
use mainstay_protocol::{Era, Revision};
use mainstay_session::catalogue::Listing;
use mainstay_session::names::NameStyle;
use mainstay_telemetry::StreamKind;
use mainstay_upstream::handshake;

use self::names::NameRegistry;
use self::server_lists::ServerLists;
use self::state::EndpointState;
use crate::server::Server;

/// An address that clients use: all servers, one of them, or a named group.
#[derive(Debug)]
pub struct Endpoint {
    pub id: EndpointId,
    /// Empty for `/mcp`.
    pub name: String,
    /// In the order in which they are configured here.
    pub servers: Vec<Server>,
    /// Whether the endpoint is that of one server, whose lists and names pass unchanged.
    pub single: bool,
    style: NameStyle,
    /// Number of this version of the endpoint.
    version: u64,
    /// Positions in `servers`, sorted by server id.
    index_by_id: Vec<(ServerId, usize)>,
    pub(crate) state: Arc<EndpointState>,
    names: Arc<NameRegistry>,
}

/// A server that is missing in a list.
pub(crate) struct MissingServer<'a> {
    pub(crate) server: &'a Name,
    pub(crate) state: InstanceState,
    /// Reason, where the state does not tell it: the server runs, but not for these clients.
    pub(crate) why: Option<String>,
}

const ERAS: [Era; 2] = [Era::Legacy, Era::Modern];

/// The names at the endpoint of one server.
const OWN_NAMES: NameStyle = NameStyle { prefix: Prefix::Never, rule: NameRule::AsIs };

impl Endpoint {
    /// Creates a new endpoint. Without a `style` it is that of one server under its own name.
    pub(crate) fn new(
        id: EndpointId,
        name: String,
        servers: Vec<Server>,
        style: Option<NameStyle>,
        names: &Arc<NameRegistry>,
    ) -> Self {
        let seen = names.names_of(&name, |server| has_server(&servers, server));
        let path = if name.is_empty() { "/mcp".to_owned() } else { format!("/mcp/{name}") };
        let state = Arc::new(EndpointState::new(path, seen));
        Self::build_version(id, name, servers, style, state, names.clone())
    }

    /// Returns an endpoint with these servers that keeps the state of `before`.
    pub(crate) fn updated(
        before: &Arc<Self>,
        servers: Vec<Server>,
        style: Option<NameStyle>,
    ) -> Arc<Self> {
        let same = |(one, other): (&Server, &Server)| {
            one.id == other.id && Arc::ptr_eq(&one.pool, &other.pool)
        };
        let unchanged = before.servers.len() == servers.len()
            && before.servers.iter().zip(&servers).all(same)
            && before.style == style.unwrap_or(OWN_NAMES);
        if unchanged {
            return before.clone();
        }
        before.state.merged.retain(|server| has_server(&servers, server));
        let (name, state) = (before.name.clone(), before.state.clone());
        let names = before.names.clone();
        Arc::new(Self::build_version(before.id, name, servers, style, state, names))
    }

    fn build_version(
        id: EndpointId,
        name: String,
        servers: Vec<Server>,
        style: Option<NameStyle>,
        state: Arc<EndpointState>,
        names: Arc<NameRegistry>,
    ) -> Self {
        let mut index_by_id: Vec<_> =
            servers.iter().enumerate().map(|(at, it)| (it.id, at)).collect();
        index_by_id.sort_unstable();
        let (single, style) = (style.is_none(), style.unwrap_or(OWN_NAMES));
        let version = state.next_version();
        Self { id, name, servers, single, style, version, index_by_id, state, names }
    }

    pub fn path(&self) -> String {
        self.state.streams.path().to_owned()
    }

    /// Returns the number of open streams of a kind.
    pub fn streams_open(&self, kind: StreamKind) -> usize {
        self.state.streams.count(kind)
    }

    pub fn pools(&self) -> impl Iterator<Item = &Arc<Pool>> {
        self.servers.iter().map(|server| &server.pool)
    }

    /// Returns the pool that runs a server. None: the endpoint does not have the server.
    pub(crate) fn pool(&self, server: ServerId) -> Option<&Arc<Pool>> {
        let at = self.index_by_id.binary_search_by_key(&server, |(id, _)| *id).ok()?;
        Some(&self.servers[self.index_by_id[at].1].pool)
    }

    pub(crate) fn server_named(&self, name: &str) -> Option<&Server> {
        self.servers.iter().find(|server| server.pool.name.as_str() == name)
    }

    /// Whether the lists differ from those of `before`, the same endpoint earlier, as soon as they
    /// are published. What a server that is yet to start has follows when it is ready.
    pub(crate) fn lists_differ_from(&self, before: &Self) -> bool {
        let (kept, gained): (Vec<&Server>, Vec<&Server>) =
            self.servers.iter().partition(|server| before.pool(server.id).is_some());
        let had = before.servers.iter().map(|server| server.id);
        !had.eq(kept.iter().map(|server| server.id))
            || gained.iter().any(|server| server.pool.primary_facts().is_some())
            || self.style != before.style
    }

    /// Returns the latest lists of the servers for clients of an era.
    fn server_lists(&self, era: Era) -> Vec<ServerLists<'_>> {
        let there =
            self.servers.iter().enumerate().filter(|(_, server)| !is_left_out(&server.pool));
        there
            .filter_map(|(place, Server { id, pool })| {
                let (name, facts) = (&pool.name, pool.facts(era)?);
                Some(ServerLists { server: *id, name, place, facts })
            })
            .collect()
    }

    /// Waits until the names that were shown are stored, for a second at most.
    pub(crate) async fn wait_until_names_stored(&self) {
        self.names.stored().await;
    }

    /// Waits until the lists of every server for clients of an era are known, or known not to
    /// exist, or until `deadline`. With several servers, one that a request has waited for in vain is
    /// not waited for again before it has listed something.
    pub(crate) async fn wait_for_lists(&self, era: Era, deadline: Instant) {
        let wait = if self.single { Wait::Always } else { Wait::Once };
        let loading = self.pools().filter(|pool| may_support(pool, era) && pool.is_loading());
        join_all(loading.map(|pool| pool.wait_until_listed(wait, deadline))).await;
        let asked = self.pools().filter(|pool| pool.primary_facts().is_some());
        join_all(asked.map(|pool| pool.detect(era, wait, deadline))).await;
    }

    /// Returns whether any server supports clients of an era. Waits at most `within`.
    pub(crate) async fn era_support(&self, era: Era, within: Duration) -> EraSupport {
        let has = |pool: &Arc<Pool>| pool.facts(era).is_some();
        if self.pools().any(has) || self.servers.is_empty() {
            return EraSupport::Yes;
        }
        self.wait_for_lists(era, Instant::now() + within).await;
        let mut best = EraSupport::No;
        for pool in self.pools() {
            match pool.detect(era, Wait::Once, Instant::now()).await {
                EraSupport::Yes => return EraSupport::Yes,
                EraSupport::NotYet(refusal) => best = EraSupport::NotYet(refusal),
                EraSupport::No => {}
            }
        }
        best
    }

    /// Whether legacy clients see every server that modern clients see, and more. A client that
    /// supports both is then better off with a legacy revision.
    pub(crate) fn legacy_serves_more(&self) -> bool {
        let has = |pool: &Pool, era| pool.facts(era).is_some();
        let (mut more, mut less) = (false, false);
        for pool in self.pools() {
            match (has(pool, Era::Legacy), has(pool, Era::Modern)) {
                (true, false) => more = true,
                (false, true) => less = true,
                _ => {}
            }
        }
        more && !less
    }

    /// Whether clients of 2026-07-28 are notified when a list changes.
    pub(crate) fn notifies_changes_of(&self, kind: ListKind) -> bool {
        let facts = || self.servers[0].pool.facts(Era::Modern);
        !self.single || facts().is_some_and(|facts| facts.capabilities.has_changes_of(kind))
    }

    /// Whether a server notifies clients of 2026-07-28 when a resource changes.
    pub(crate) fn can_subscribe(&self, server: ServerId) -> bool {
        let facts = self.pool(server).and_then(|pool| pool.facts(Era::Modern));
        facts.is_some_and(|facts| facts.capabilities.resources_subscribe)
    }

    /// Fetches a list again from servers that don't notify when it changes, where it may be outdated.
    pub(crate) async fn refresh_list(&self, era: Era, kind: ListKind, deadline: Instant) {
        let outdated = self.pools().filter(|pool| pool.must_refresh_list(era, kind));
        let refreshed = outdated.map(|pool| pool.refresh_list(era, kind, deadline));
        join_all(refreshed).await;
    }

    /// Gives up lists that were kept for clients who have not come back for the next page.
    pub(crate) fn expire_paged_lists(&self, now: Instant) {
        self.state.paged.expire(now);
    }

    /// Returns how long and for whom a merged list may be cached: the strictest of what its servers
    /// say.
    pub(crate) fn caching(&self, era: Era, kind: ListKind) -> Caching {
        let has_failed = |pool: &Arc<Pool>| pool.has_failed_list(era, kind);
        if !self.missing(era).is_empty() || self.pools().any(has_failed) {
            return Caching { ttl_ms: Some(0), public: false };
        }
        let facts = self.pools().filter_map(|pool| pool.facts(era));
        let all = facts.map(|facts| facts.lists.caching(kind));
        all.reduce(|one, other| Caching {
            ttl_ms: Some(one.ttl_ms.unwrap_or(0).min(other.ttl_ms.unwrap_or(0))),
            public: one.public && other.public,
        })
        .unwrap_or_default()
    }

    /// Returns the servers that have not listed anything for clients of this era yet, and may soon.
    pub(crate) fn loading(&self, era: Era) -> Vec<&Name> {
        let loading = self.pools().filter(|pool| pool.may_list_soon(era));
        loading.map(|pool| &pool.name).collect()
    }

    /// Returns the servers whose items are missing in the lists of an era, and why.
    pub(crate) fn missing(&self, era: Era) -> Vec<MissingServer<'_>> {
        self.pools()
            .filter(|pool| pool.facts(era).is_none() || is_left_out(pool))
            .map(|pool| MissingServer {
                server: &pool.name,
                state: primary_state(pool),
                why: pool.unsupported_reason(era).or_else(|| undetected_reason(pool, era)),
            })
            .collect()
    }
}

impl Endpoint {
    /// Returns what is missing in the servers' lists of a kind, although the servers are there. Clients
    /// learn the reason without the servers' own words.
    pub(crate) fn missing_items(
        &self,
        era: Era,
        kind: ListKind,
    ) -> Vec<(MissingServer<'_>, MissingItems)> {
        let there = self.pools().filter(|pool| pool.facts(era).is_some() && !is_left_out(pool));
        let of_server = |pool: &Arc<Pool>| pool.missing_items(era, kind);
        let of_each = there.flat_map(|pool| of_server(pool).into_iter().map(move |of| (pool, of)));
        of_each.map(|(pool, items)| missing_of(pool, items)).collect()
    }

    /// Returns the items for which a merged list has no memory.
    pub(crate) fn items_without_room(
        &self,
        kind: ListKind,
        listing: &Listing,
    ) -> Vec<(MissingServer<'_>, MissingItems)> {
        let of_each = listing.without_room().iter().filter_map(|(server, items)| {
            let why = format!("has {items} more, for which the memory for lists has no room");
            let list = kind.member().to_owned();
            let brief = why.clone();
            Some((self.pool(*server)?, MissingItems { list, why, brief, items: Vec::new() }))
        });
        of_each.map(|(pool, items)| missing_of(pool, items)).collect()
    }
}

// === impl MissingServer ===

impl std::fmt::Display for MissingServer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({}", self.server, self.state.as_str())?;
        match &self.why {
            Some(why) => write!(f, ": it {why})"),
            None => f.write_str(")"),
        }
    }
}

fn missing_of(pool: &Pool, items: MissingItems) -> (MissingServer<'_>, MissingItems) {
    let (server, state) = (&pool.name, primary_state(pool));
    (MissingServer { server, state, why: Some(items.brief.clone()) }, items)
}

fn has_server(servers: &[Server], name: &str) -> bool {
    servers.iter().any(|server| server.pool.name.as_str() == name)
}

fn primary_state(pool: &Pool) -> InstanceState {
    pool.state()
}

/// Whether the configuration allows a server to support an era.
fn may_support(pool: &Pool, era: Era) -> bool {
    handshake::era_of(pool.spec().revision).is_none_or(|configured| configured == era)
}

/// Returns why a running server is missing, if detection for this era has not finished.
fn undetected_reason(pool: &Pool, era: Era) -> Option<String> {
    let is_there = pool.facts(era).is_none() && pool.primary_facts().is_some();
    let revision = match era {
        Era::Legacy => Revision::LATEST_LEGACY,
        Era::Modern => Revision::LATEST,
    };
    is_there.then(|| format!("has not answered yet whether it supports {revision}"))
}

/// Whether the lists leave a server out: it failed, crashes in a loop, or was stopped by hand.
fn is_left_out(pool: &Pool) -> bool {
    use InstanceState::{CrashLooping, Failed, Held, Stopped};
    match pool.state() {
        Failed | CrashLooping | Held => true,
        // A server that is about to be started is not left out.
        Stopped => pool.holding().is_held(),
        _ => false,
    }
}
