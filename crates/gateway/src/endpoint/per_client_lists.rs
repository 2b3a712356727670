//! What servers list for clients that can be asked, and for them alone: some have tools that ask.

use std::sync::Arc;
use std::time::Instant;

use futures_util::future::join_all;
use mainstay_upstream::facts::Facts;

use crate::session::Session;

/// What servers list for a client, by their place in its endpoint, where that is not what they list
/// for all. What is not known by `deadline` is left out, and announced when it is known.
pub(crate) async fn said(session: &Session, deadline: Instant) -> Vec<(usize, Arc<Facts>)> {
    if !session.capabilities.is_interactive() {
        return Vec::new();
    }
    let servers = session.endpoint.servers.iter().enumerate();
    let each = servers.map(async |(at, pool)| {
        Some((at, pool.lists_for(&session.capabilities_json, deadline).await?))
    });
    join_all(each).await.into_iter().flatten().collect()
}

/// Begins to find out what servers list for a client, so that it is known when the client asks.
pub(crate) fn look_into(session: &Session) {
    if session.capabilities.is_interactive() {
        for pool in &session.endpoint.servers {
            pool.look_into_lists(&session.capabilities_json);
        }
    }
}
