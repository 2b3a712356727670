//! Finds the session that a request names, and restores it if an earlier daemon opened it.
//!
//! The id of a session holds what the session began with. So any id that is sealed with this
//! daemon's key, has not expired and was not ended names a session: it is rebuilt when a request
//! first names it, and its client notices nothing. The first such request reserves the slot in the
//! table, reads the store, and commits; others that name the session meanwhile wait for that.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use mainstay_model::{Principal, Refusal, RefusalCode, ServerId};
use mainstay_pool::Pool;
use mainstay_protocol::capabilities::ClientCapabilities;
use mainstay_protocol::{Notification, Revision, build};
use mainstay_session::{Claims, LogLevel, Token};
use mainstay_store::{SessionChanges, SessionStatus, Unavailable};
use mainstay_telemetry::events::SessionRestored;

use super::{Sessions, levels, subscribe};
use crate::endpoint::Endpoint;
use crate::server::Server;
use crate::session::Session;
use crate::session::table::{Reservation, Slot};

/// Why an id names no usable session.
#[derive(Debug)]
pub(crate) enum LookupError {
    /// The session never existed, has expired, or was ended.
    Unknown,
    /// The session belongs to another principal or endpoint.
    Foreign,
    /// The session exists, but the table is full.
    TableFull(Refusal),
    /// The store can't be read, so the session may exist.
    StoreUnavailable(Refusal),
}

/// Attempts to restore a subscription at a server that stops meanwhile.
const RESTORE_ATTEMPTS: usize = 3;

/// Longest wait of a request for a session that is being restored.
const FIND_WAIT_MAX: Duration = Duration::from_secs(5);

/// When a client should retry after the store could not be read.
const STORE_RETRY: Duration = Duration::from_secs(2);

/// Finds the session with this id, if this caller may use it at this endpoint. Waits only where the
/// session has to be restored.
pub(crate) async fn find_or_restore(
    sessions: &Arc<Sessions>,
    endpoint: &Arc<Endpoint>,
    principal: &Principal,
    id: &str,
) -> Result<Arc<Session>, LookupError> {
    if let Some(session) = sessions.table.get(id) {
        return check_owner(session, endpoint, principal);
    }
    // Boxed, because a restore is rare and would make every request larger.
    Box::pin(reserve_and_restore(sessions, endpoint, principal, id)).await
}

fn check_owner(
    session: Arc<Session>,
    endpoint: &Endpoint,
    principal: &Principal,
) -> Result<Arc<Session>, LookupError> {
    let own = session.principal == *principal && session.endpoint == endpoint.id;
    if own { Ok(session) } else { Err(LookupError::Foreign) }
}

async fn reserve_and_restore(
    sessions: &Arc<Sessions>,
    endpoint: &Arc<Endpoint>,
    principal: &Principal,
    id: &str,
) -> Result<Arc<Session>, LookupError> {
    let (token, claims) = sessions.key.open(id).ok_or(LookupError::Unknown)?;
    let place = sessions.table.reserve(id);
    match tokio::time::timeout(FIND_WAIT_MAX, place).await {
        Ok(Slot::Occupied(session)) => check_owner(session, endpoint, principal),
        Ok(Slot::Reserved(reservation)) => {
            restore(sessions, endpoint, principal, (token, &claims), reservation).await
        }
        Err(_) => Err(store_unavailable(&Unavailable::Slow(FIND_WAIT_MAX))),
    }
}

/// Restores a session whose slot is reserved. Nobody in this daemon can end it before it is in the
/// table.
async fn restore(
    sessions: &Arc<Sessions>,
    endpoint: &Arc<Endpoint>,
    principal: &Principal,
    (token, claims): (Token, &Claims),
    reservation: Reservation<'_>,
) -> Result<Arc<Session>, LookupError> {
    let status =
        sessions.store.status(claims.serial).await.map_err(|error| store_unavailable(&error))?;
    let changes = match status {
        SessionStatus::Ended => return Err(LookupError::Unknown),
        SessionStatus::Unchanged => {
            SessionChanges { used_at: claims.opened_at, ..SessionChanges::default() }
        }
        SessionStatus::Changed(changes) => changes,
    };
    if claims.principal != principal.as_str() || claims.endpoint != endpoint.name {
        return Err(LookupError::Foreign);
    }
    let now = sessions.serving.clock.unix_seconds();
    if now.saturating_sub(changes.used_at)
        >= sessions.serving.settings().limits.session_idle.as_secs()
    {
        // Ends the session for good, even if the idle limit is raised later.
        sessions.store.ended(claims.serial, now);
        return Err(LookupError::Unknown);
    }
    let session = rebuild(sessions, endpoint, principal, token, claims, &changes)?;
    reservation.commit(session.clone()).map_err(LookupError::TableFull)?;
    SessionRestored { subscriptions: changes.subscriptions.len() }.emit(&sessions.serving.metrics);
    if sessions.serving.is_cutting_off() {
        session.cut_off();
    } else if session.is_restoring() {
        if let Some(level) = session.log_level() {
            levels::set(sessions, endpoint, &session, level);
        }
        sessions.serving.tasks.spawn(restore_at_servers(sessions.clone(), session.clone()));
    }
    Ok(session)
}

/// Returns the error for a store that can't be read. The client must not be told that its session
/// is gone, or it would begin another.
fn store_unavailable(error: &Unavailable) -> LookupError {
    let refusal = Refusal::new(
        RefusalCode::Degraded,
        format!("the saved state of this session can't be read now: {error}"),
    );
    LookupError::StoreUnavailable(refusal.retry_after(STORE_RETRY))
}

/// Rebuilds a session as it was.
fn rebuild(
    sessions: &Sessions,
    endpoint: &Arc<Endpoint>,
    principal: &Principal,
    token: Token,
    claims: &Claims,
    changes: &SessionChanges,
) -> Result<Arc<Session>, LookupError> {
    let revision = Revision::parse(&claims.revision).ok_or(LookupError::Unknown)?;
    let capabilities = ClientCapabilities::from_json(&claims.capabilities);
    let (owner, principal) = (sessions.serving.next_session_no(), principal.clone());
    let mut session = Session::new(owner, token, principal, revision, capabilities, endpoint.id);
    session.store_as(claims.serial, changes.used_at);
    let id = |server: &str| Some(endpoint.server_named(server)?.id);
    // A server that is gone from the configuration has nothing to tell.
    let subscriptions = changes.subscriptions.iter();
    let subscriptions: BTreeSet<(ServerId, Box<str>)> =
        subscriptions.filter_map(|(server, uri)| Some((id(server)?, uri.clone()))).collect();
    // Nobody knows what has changed while no daemon was there to be told.
    session.set_seen_changes(endpoint.state.audience.changes().none_seen());
    for (server, uri) in &subscriptions {
        session.notify_resource_updated(&updated_notification(endpoint, *server, uri));
    }
    let level = changes.level.as_deref().and_then(LogLevel::parse);
    session.restore_state(level, subscriptions, endpoint.servers.iter().map(|server| server.id));
    Ok(Arc::new(session))
}

/// Returns the notification that a resource changed, for the JSON text of the server's own URI.
pub(crate) fn updated_notification(endpoint: &Endpoint, server: ServerId, uri: &str) -> Bytes {
    let own: String = serde_json::from_str(uri).unwrap_or_default();
    let published = endpoint.published_uri(server, &own).map(|uri| build::string(&uri));
    let params = format!(r#"{{"uri":{}}}"#, published.as_deref().unwrap_or(uri));
    build::notification(Notification::ResourcesUpdated.as_str(), Some(&params))
}

/// Restores a session at all its servers, at each as soon as it is ready.
async fn restore_at_servers(sessions: Arc<Sessions>, session: Arc<Session>) {
    let servers = session.servers_to_restore();
    let each = servers.into_iter().map(|server| restore_at_server(&sessions, &session, server));
    tokio::select! {
        _ = join_all(each) => {}
        () = sessions.serving.stopping.cancelled() => {}
    }
}

/// Sets the log level and the subscriptions of a session at a server, once the server is ready.
pub(crate) async fn restore_at_server(
    sessions: &Sessions,
    session: &Arc<Session>,
    server: ServerId,
) {
    let Some(pool) = &sessions.directory.pool(server) else {
        return session.mark_restored_at(server);
    };
    pool.wait_until(Pool::is_ready).await;
    if session.log_level().is_some() {
        levels::send(sessions, vec![Server { id: server, pool: pool.clone() }]).await;
    }
    for uri in session.subscriptions_at(server) {
        for _ in 0..RESTORE_ATTEMPTS {
            if subscribe::resubscribe(sessions, session, (server, pool), &uri).await {
                break;
            }
            pool.wait_until(Pool::is_ready).await;
        }
    }
    session.mark_restored_at(server);
}
