//! What servers list for clients that can be asked, and for them alone: some have tools that ask.

use std::sync::Arc;
use std::time::Instant;

use futures_util::future::join_all;
use mainstay_model::ServerId;
use mainstay_model::settings::Sharing;
use mainstay_protocol::Era;
use mainstay_protocol::list::ListKind;
use mainstay_upstream::facts::Facts;

use crate::endpoint::Endpoint;
use crate::server::Server;
use crate::session::Session;

/// What servers list for a client where that is not what they list
/// for all. What is not known by `deadline` is left out, and announced when it is known.
pub(crate) async fn client_facts(
    endpoint: &Endpoint,
    session: &Session,
    deadline: Instant,
) -> Vec<(ServerId, Arc<Facts>)> {
    if !session.capabilities.is_interactive() {
        return Vec::new();
    }
    let each = endpoint.servers.iter().map(async |Server { id, pool }| {
        Some((*id, pool.client_lists(&session.capabilities_json, deadline).await?))
    });
    join_all(each).await.into_iter().flatten().collect()
}

/// FirstOutput to find out what servers list for a client, so that it is known when the client asks.
pub(crate) fn start_detection(endpoint: &Endpoint, session: &Session) {
    if session.capabilities.is_interactive() {
        for pool in endpoint.pools() {
            pool.detect_client_lists(&session.capabilities_json);
        }
    }
}

/// The result of a list at the address of one server, for a client that it lists other things for than
/// for all: so that no list starts an instance for each kind of clients.
///
/// None: the server itself is asked. It lists the same for all, or keeps state for each session, or does
/// not tell when a list changes.
pub(crate) async fn single_server_page(
    endpoint: &Endpoint,
    session: &Session,
    kind: ListKind,
    deadline: Instant,
) -> Option<String> {
    let [Server { pool, .. }] = &endpoint.servers[..] else { return None };
    if !session.capabilities.is_interactive() || pool.spec.sharing == Sharing::Session {
        return None;
    }
    let base = pool.facts(Era::Legacy)?;
    if !base.capabilities.tells_of(kind) {
        return None;
    }
    let facts = pool.client_lists(&session.capabilities_json, deadline).await?;
    let items = facts.lists.of(kind).iter();
    let items: Vec<_> = items.map(|item| String::from_utf8_lossy(&item.raw)).collect();
    Some(format!(r#"{{"{}":[{}]}}"#, kind.member(), items.join(",")))
}
