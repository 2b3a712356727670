//! What servers say to clients that can be asked, and to them alone: some have tools that ask.

use std::sync::Arc;
use std::time::Instant;

use futures_util::future::join_all;
use mainstay_model::settings::Sharing;
use mainstay_pool::{Live, Pool};
use mainstay_protocol::Generation;
use mainstay_protocol::list::ListKind;
use mainstay_upstream::facts::Facts;

use crate::call::want;
use crate::session::Session;

/// What servers say to a client's own instances, by their place in its endpoint. An instance that is not
/// there is started, and left out if it is not ready by `deadline`.
pub(crate) async fn said(session: &Session, deadline: Instant) -> Vec<(usize, Arc<Facts>)> {
    if !session.capabilities.is_interactive() {
        return Vec::new();
    }
    let servers = session.endpoint.servers.iter().enumerate();
    let each = servers.map(async |(at, pool)| {
        let live = live(session, pool, deadline).await?;
        Some((at, live.facts.load_full()))
    });
    join_all(each).await.into_iter().flatten().collect()
}

/// Finds out what there is beyond the lists that all clients see, for a name that is in none of them: the
/// client may have it from an earlier daemon.
pub(crate) async fn learn(session: &Session, deadline: Instant) {
    let (endpoint, generation) = (&session.endpoint, Generation::Legacy);
    let said = said(session, deadline).await;
    for kind in [ListKind::Tools, ListKind::Prompts, ListKind::Resources] {
        endpoint.show_more(endpoint.catalogue(generation), generation, kind, &said);
    }
}

async fn live(session: &Session, pool: &Arc<Pool>, deadline: Instant) -> Option<Arc<Live>> {
    // An instance for each call has nothing to say before it, and one that never came up nothing at all.
    if pool.spec.sharing == Sharing::Call || pool.facts(Generation::Legacy).is_none() {
        return None;
    }
    let want = want::of(session, pool);
    let instances = pool.instances();
    let own = instances.iter().filter(|instance| *instance.key() == want.key);
    // What it says depends on what its client can do: others tell it as well, where all are the same user.
    let alike = instances.iter().filter(|instance| {
        let key = instance.key();
        session.principal.is_anonymous()
            && key.generation == want.key.generation
            && key.capabilities == want.key.capabilities
    });
    let there = own.chain(alike).find_map(|instance| instance.live());
    match there {
        Some(live) => Some(live),
        None => pool.lease(&want, deadline).await.ok().map(|lease| lease.live.clone()),
    }
}
