//! What servers list for clients that can be asked, and for them alone: some have tools that ask.

use std::sync::Arc;
use std::time::Instant;

use futures_util::future::join_all;
use mainstay_model::ServerId;
use mainstay_upstream::facts::Facts;

use crate::endpoint::Endpoint;
use crate::session::Session;
use crate::topology::Server;

/// What servers list for a client where that is not what they list
/// for all. What is not known by `deadline` is left out, and announced when it is known.
pub(crate) async fn said(
    endpoint: &Endpoint,
    session: &Session,
    deadline: Instant,
) -> Vec<(ServerId, Arc<Facts>)> {
    if !session.capabilities.is_interactive() {
        return Vec::new();
    }
    let each = endpoint.servers.iter().map(async |Server { id, pool }| {
        Some((*id, pool.lists_for(&session.capabilities_json, deadline).await?))
    });
    join_all(each).await.into_iter().flatten().collect()
}

/// Begins to find out what servers list for a client, so that it is known when the client asks.
pub(crate) fn look_into(endpoint: &Endpoint, session: &Session) {
    if session.capabilities.is_interactive() {
        for pool in endpoint.pools() {
            pool.look_into_lists(&session.capabilities_json);
        }
    }
}
