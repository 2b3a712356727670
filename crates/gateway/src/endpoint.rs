//! An address and the servers behind it.

use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use mainstay_model::Name;
use mainstay_model::settings::Prefix;
use mainstay_model::status::InstanceState;
use mainstay_pool::Pool;
use mainstay_protocol::Generation;
use mainstay_protocol::list::ListKind;
use mainstay_session::catalogue::Memory;
use mainstay_session::{Catalogue, Source};
use parking_lot::Mutex;

use crate::memory::NameStore;

/// What clients attach to: all servers, one of them, or a named group.
#[derive(Debug)]
pub struct Endpoint {
    /// Empty for `/mcp`.
    pub name: String,
    pub servers: Vec<Arc<Pool>>,
    /// One server under its own name: its lists and names pass through untouched.
    pub single: bool,
    prefix: Prefix,
    catalogue: ArcSwap<Catalogue>,
    given: Mutex<Given>,
    names: Arc<NameStore>,
}

/// The names an endpoint gives out.
#[derive(Debug)]
struct Given {
    /// Clients have seen these: they stay.
    seen: Memory,
    /// Those of the present catalogue. Which of two servers comes up first must not decide about
    /// names, so what nobody has seen is given out anew, in the order of the file.
    now: Memory,
    /// By kind: `seen` lacks something of `now`.
    unseen: [bool; 4],
}

impl Endpoint {
    pub(crate) fn single(server: Arc<Pool>, names: Arc<NameStore>) -> Self {
        let name = server.spec.name.to_string();
        Self { single: true, ..Self::merged(name, vec![server], Prefix::Never, names) }
    }

    pub(crate) fn merged(
        name: String,
        servers: Vec<Arc<Pool>>,
        prefix: Prefix,
        names: Arc<NameStore>,
    ) -> Self {
        let configured =
            |server: &str| servers.iter().any(|pool| pool.spec.name.as_str() == server);
        let seen = names.load(&name, configured);
        let given = Mutex::new(Given { now: seen.clone(), seen, unseen: [false; 4] });
        let catalogue = ArcSwap::default();
        Self { name, servers, single: false, prefix, catalogue, given, names }
    }

    pub fn path(&self) -> String {
        if self.name.is_empty() { "/mcp".to_owned() } else { format!("/mcp/{}", self.name) }
    }

    pub(crate) fn position(&self, server: &Name) -> Option<usize> {
        self.servers.iter().position(|pool| pool.spec.name == *server)
    }

    pub(crate) fn catalogue(&self) -> Arc<Catalogue> {
        self.catalogue.load_full()
    }

    /// Merges lists anew from what the servers last said. Servers that were given up are left out;
    /// one that is only being restarted keeps its place.
    pub(crate) fn publish(&self, kinds: &[ListKind]) {
        if self.single {
            return;
        }
        let mut given = self.given.lock();
        let mut catalogue = (**self.catalogue.load()).clone();
        let facts: Vec<_> = self
            .servers
            .iter()
            .enumerate()
            .filter(|(_, pool)| !is_given_up(pool))
            .filter_map(|(at, pool)| Some((at, &pool.spec.name, pool.facts(Generation::Legacy)?)))
            .collect();
        for kind in kinds {
            let servers = facts.iter().map(|(at, name, facts)| {
                let sources = facts
                    .lists
                    .of(*kind)
                    .iter()
                    .map(|item| Source {
                        raw: &item.raw,
                        key: &item.key,
                        key_span: item.key_span.clone(),
                        may_repeat: item.hints.may_repeat(),
                    })
                    .collect();
                (*at, *name, sources)
            });
            let at = *kind as usize;
            given.now[at] = given.seen[at].clone();
            catalogue.publish(*kind, servers, self.prefix, &mut given.now);
            given.unseen[at] = true;
        }
        self.catalogue.store(Arc::new(catalogue));
    }

    /// The catalogue for a client that is about to see this list of it: its names stay from now on.
    pub(crate) fn show(&self, kind: ListKind) -> Arc<Catalogue> {
        let mut given = self.given.lock();
        let at = kind as usize;
        if std::mem::take(&mut given.unseen[at]) {
            given.seen[at] = given.now[at].clone();
            self.names.save(&self.name, &given.seen);
        }
        self.catalogue()
    }

    /// Waits until every server has said what it has, or is known not to, or `deadline`.
    pub(crate) async fn settle(&self, deadline: Instant) {
        let said = |pool: &Pool| pool.facts(Generation::Legacy).is_some() || !is_on_its_way(pool);
        for pool in &self.servers {
            if tokio::time::timeout_at(deadline.into(), pool.reaches(said)).await.is_err() {
                return;
            }
        }
    }

    /// Asks servers that don't tell when a list changes whether it has.
    pub(crate) async fn freshen(&self, kind: ListKind, deadline: Instant) {
        let mut asking = tokio::task::JoinSet::new();
        for pool in &self.servers {
            let pool = pool.clone();
            asking.spawn(async move { pool.freshen(Generation::Legacy, kind, deadline).await });
        }
        let _ = tokio::time::timeout_at(deadline.into(), async {
            while asking.join_next().await.is_some() {}
        })
        .await;
    }

    /// Under which URI a server's resource is known here, if under another than its own.
    pub(crate) fn published_uri(&self, server: usize, own: &str) -> Option<String> {
        let given = self.given.lock();
        let names = &given.now[ListKind::Resources as usize];
        let published = names.find(&self.servers[server].spec.name, own)?;
        (published != own).then(|| published.to_owned())
    }

    /// Servers whose items are not in the lists, and why not.
    pub(crate) fn missing(&self) -> Vec<(&Name, InstanceState)> {
        self.servers
            .iter()
            .filter(|pool| pool.facts(Generation::Legacy).is_none() || is_given_up(pool))
            .map(|pool| (&pool.spec.name, state(pool)))
            .collect()
    }
}

fn state(pool: &Pool) -> InstanceState {
    pool.primary_base().map_or(InstanceState::Stopped, |base| base.state())
}

fn is_given_up(pool: &Pool) -> bool {
    matches!(state(pool), InstanceState::Failed | InstanceState::CrashLooping)
}

fn is_on_its_way(pool: &Pool) -> bool {
    use InstanceState::{Handshaking, Starting, Stopped};
    // Stopped: before its first start.
    matches!(state(pool), Stopped | Starting | Handshaking)
}
