//! Lists that servers have for clients that can be asked questions, and for them only.

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

/// Returns what servers list for a client, where it differs from what they list for all. Lists that
/// are not known by `deadline` are left out, and the client is notified when they are known.
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

/// Starts to detect what servers list for a client, so that it is known when the client asks.
pub(crate) fn start_detection(endpoint: &Endpoint, session: &Session) {
    if session.capabilities.is_interactive() {
        for pool in endpoint.pools() {
            pool.detect_client_lists(&session.capabilities_json);
        }
    }
}

/// Returns a list at the endpoint of one server, for a client for which the server lists other
/// items than for all. So a list request does not start an instance for each set of capabilities.
///
/// None: the server itself must be asked. It lists the same for all clients, keeps state for each
/// session, does not notify when the list changes, or could not list it.
pub(crate) async fn single_server_page(
    endpoint: &Endpoint,
    session: &Session,
    kind: ListKind,
    deadline: Instant,
) -> Option<String> {
    let [Server { pool, .. }] = &endpoint.servers[..] else { return None };
    if !session.capabilities.is_interactive() || pool.spec().sharing == Sharing::Session {
        return None;
    }
    let base = pool.facts(Era::Legacy)?;
    if !base.capabilities.tells_of(kind) {
        return None;
    }
    let facts = pool.client_lists(&session.capabilities_json, deadline).await?;
    if facts.lists.failure(kind).is_some() {
        return None;
    }
    let items = facts.lists.of(kind).iter();
    let items: Vec<_> = items.map(|item| String::from_utf8_lossy(&item.raw)).collect();
    Some(format!(r#"{{"{}":[{}]}}"#, kind.member(), items.join(",")))
}
