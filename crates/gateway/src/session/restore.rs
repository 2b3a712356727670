//! Restores sessions of earlier daemons, and stores what later ones need for that.
//!
//! A session's id says what it began with, so any id that is sealed with our key, has not expired and
//! was not ended is a session: it is made again when it is first seen, and its client notices nothing.
//! The first request that names it reserves its place in the table, asks the store, and commits; others
//! that name it meanwhile wait for that.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use mainstay_model::{Principal, Refusal, RefusalCode, ServerId};
use mainstay_pool::Pool;
use mainstay_protocol::capabilities::ClientCapabilities;
use mainstay_protocol::{Notification, Revision, build};
use mainstay_session::{Claims, Token};
use mainstay_store::{Kept, Known, Unavailable};
use mainstay_telemetry::CorrelationId;
use mainstay_telemetry::events::{EndUnwritten, SessionRestored};
use tokio::sync::watch;

use crate::endpoint::Endpoint;
use crate::gateway::Gateway;
use crate::session::Session;
use crate::session::levels::LogLevel;
use crate::session::table::{Place, Reservation};
use crate::session::{levels, subscribe};
use crate::topology::Server;

/// Why an id is no session.
#[derive(Debug)]
pub(crate) enum Lost {
    /// It never was one, has expired or was ended.
    Unknown,
    /// It is somebody else's, or at another address.
    Foreign,
    /// It is one, but there is no room for it now.
    NoRoom(Refusal),
    /// It may be one: the store does not say.
    Unknowable(Refusal),
}

/// Servers that a restored session still has to be made known to.
#[derive(Debug)]
pub(crate) struct Restoring(watch::Sender<BTreeSet<ServerId>>);

/// That a session is in use is noted at most this often: a restart may make it seem idle for so much
/// longer than it was.
const USE_NOTED_EVERY: Duration = Duration::from_secs(60);

/// Longest that a call waits until a server knows again what its session had asked for.
const RESTORE_PATIENCE: Duration = Duration::from_secs(5);

/// How often a server that goes away meanwhile is asked again.
const RESTORE_ATTEMPTS: usize = 3;

/// Longest that a request waits for a session that is being restored.
const FIND_PATIENCE: Duration = Duration::from_secs(5);

/// When a client should try again whose session can't be looked up.
const UNKNOWABLE_RETRY: Duration = Duration::from_secs(2);

/// Finds the session with this id, if this caller may use it here. Waits only where it has to be restored.
pub(crate) async fn find(
    gateway: &Arc<Gateway>,
    endpoint: &Arc<Endpoint>,
    principal: &Principal,
    id: &str,
) -> Result<Arc<Session>, Lost> {
    if let Some(session) = gateway.sessions.find(id) {
        return own(session, endpoint, principal);
    }
    // In a box: it happens once in the life of a session, and every request would be larger by it.
    Box::pin(look_up(gateway, endpoint, principal, id)).await
}

fn own(
    session: Arc<Session>,
    endpoint: &Endpoint,
    principal: &Principal,
) -> Result<Arc<Session>, Lost> {
    let own = session.principal == *principal && session.endpoint == endpoint.id;
    if own { Ok(session) } else { Err(Lost::Foreign) }
}

async fn look_up(
    gateway: &Arc<Gateway>,
    endpoint: &Arc<Endpoint>,
    principal: &Principal,
    id: &str,
) -> Result<Arc<Session>, Lost> {
    let (token, claims) = gateway.key.open(id).ok_or(Lost::Unknown)?;
    let place = gateway.sessions.reserve(id);
    match tokio::time::timeout(FIND_PATIENCE, place).await {
        Ok(Place::Taken(session)) => own(session, endpoint, principal),
        Ok(Place::Reserved(reservation)) => {
            restore(gateway, endpoint, principal, (token, &claims), reservation).await
        }
        Err(_) => Err(unknowable(&Unavailable::Slow(FIND_PATIENCE))),
    }
}

/// Restores a session whose place is reserved. Nobody in this daemon can end it before it is in the table.
async fn restore(
    gateway: &Arc<Gateway>,
    endpoint: &Arc<Endpoint>,
    principal: &Principal,
    (token, claims): (Token, &Claims),
    reservation: Reservation<'_>,
) -> Result<Arc<Session>, Lost> {
    let known = gateway.store.known(claims.serial).await.map_err(|error| unknowable(&error))?;
    let kept = match known {
        Known::Ended => return Err(Lost::Unknown),
        Known::Nothing => Kept { used_at: claims.opened_at, ..Kept::default() },
        Known::Kept(kept) => kept,
    };
    if claims.principal != principal.as_str() || claims.endpoint != endpoint.name {
        return Err(Lost::Foreign);
    }
    let now = gateway.clock.unix_seconds();
    if now.saturating_sub(kept.used_at) >= gateway.settings.limits.session_idle.as_secs() {
        // So that it stays expired, however long sessions may be idle from now on.
        gateway.store.ended(claims.serial, now);
        return Err(Lost::Unknown);
    }
    let session = restored(gateway, endpoint, principal, token, claims, &kept)?;
    reservation.commit(session.clone()).map_err(Lost::NoRoom)?;
    SessionRestored { subscriptions: kept.subscriptions.len() }.emit(&gateway.metrics);
    if gateway.has_stopped_sessions() {
        session.end();
    } else if session.is_restoring() {
        if let Some(level) = session.log_level() {
            levels::note(gateway, endpoint, &session, level);
        }
        gateway.tasks.spawn(ask_again(gateway.clone(), session.clone()));
    }
    Ok(session)
}

/// A client is never told that its session is lost because nobody could look: it would begin another.
fn unknowable(error: &Unavailable) -> Lost {
    let refusal = Refusal::new(
        RefusalCode::Degraded,
        format!("what is stored of this session can't be read now: {error}"),
    );
    Lost::Unknowable(refusal.retry_after(UNKNOWABLE_RETRY))
}

/// A session as it was.
fn restored(
    gateway: &Gateway,
    endpoint: &Arc<Endpoint>,
    principal: &Principal,
    token: Token,
    claims: &Claims,
    kept: &Kept,
) -> Result<Arc<Session>, Lost> {
    let revision = Revision::parse(&claims.revision).ok_or(Lost::Unknown)?;
    let capabilities = ClientCapabilities::from_json(&claims.capabilities);
    let (owner, principal) = (gateway.next_session_no(), principal.clone());
    let mut session = Session::new(owner, token, principal, revision, capabilities, endpoint.id);
    session.store_as(claims.serial, kept.used_at);
    let id = |server: &str| Some(endpoint.server_named(server)?.id);
    // A server that is gone from the configuration has nothing to tell.
    let subscriptions = kept.subscriptions.iter();
    let subscriptions: BTreeSet<(ServerId, Box<str>)> =
        subscriptions.filter_map(|(server, uri)| Some((id(server)?, uri.clone()))).collect();
    // Nobody knows what has changed while no daemon was there to be told.
    session.begin_with(endpoint.lasting.changes.unknown());
    for (server, uri) in &subscriptions {
        session.resource_updated(&update_of(endpoint, *server, uri));
    }
    let level = kept.level.as_deref().and_then(LogLevel::parse);
    session.take_over(level, subscriptions, endpoint.servers.iter().map(|server| server.id));
    Ok(Arc::new(session))
}

/// The notification that a resource changed, from the JSON text of the server's own URI.
pub(crate) fn update_of(endpoint: &Endpoint, server: ServerId, uri: &str) -> Bytes {
    let own: String = serde_json::from_str(uri).unwrap_or_default();
    let published = endpoint.published_uri(server, &own).map(|uri| build::string(&uri));
    let params = format!(r#"{{"uri":{}}}"#, published.as_deref().unwrap_or(uri));
    build::notification(Notification::ResourcesUpdated.as_str(), Some(&params))
}

/// Asks servers for what a session had asked for, each as soon as it is ready.
async fn ask_again(gateway: Arc<Gateway>, session: Arc<Session>) {
    let servers = session.servers_to_restore();
    let each = servers.into_iter().map(|server| at_server(&gateway, &session, server));
    tokio::select! {
        _ = join_all(each) => {}
        () = gateway.stopping.cancelled() => {}
    }
}

/// Asks a server, once it is ready, for what a session had asked for.
pub(crate) async fn at_server(gateway: &Gateway, session: &Arc<Session>, server: ServerId) {
    let Some(pool) = &gateway.pool(server) else { return session.restored_at(server) };
    pool.wait_until(Pool::is_ready).await;
    if session.log_level().is_some() {
        levels::tell(gateway, vec![Server { id: server, pool: pool.clone() }]).await;
    }
    for uri in session.subscriptions_at(server) {
        for _ in 0..RESTORE_ATTEMPTS {
            if subscribe::again(gateway, session, (server, pool), &uri).await {
                break;
            }
            pool.wait_until(Pool::is_ready).await;
        }
    }
    session.restored_at(server);
}

// === impl Gateway ===

impl Gateway {
    /// Notes which sessions have been in use; `exactly`: as exactly as it is known.
    pub(crate) fn note_uses(&self, exactly: bool) {
        let now = Instant::now();
        let now_seconds = self.clock.unix_seconds();
        let interval = USE_NOTED_EVERY.min(self.settings.limits.session_idle / 8).as_secs();
        let interval = if exactly { 1 } else { interval.max(1) };
        let sessions = self.sessions.all();
        let uses = sessions.iter().filter_map(|session| {
            let used_at = now_seconds.saturating_sub(session.idle_for(now).as_secs());
            Some((session.note_use(used_at, interval)?, used_at))
        });
        let uses: Vec<_> = uses.collect();
        self.store.used(&uses);
        self.store.prune(now_seconds);
    }

    /// Stores a level a session has asked for; waits for the disk, so that what was confirmed is
    /// there after a crash.
    pub(crate) async fn keep_level(&self, session: &Session, level: LogLevel) {
        if let Some(serial) = session.serial() {
            self.store.level(serial, self.clock.unix_seconds(), &level.to_json());
            self.store.stored().await;
        }
    }

    /// Waits until the end of a session is written, so that no crash of the daemon can undo what its
    /// client was told. What a power cut would undo is not waited for: bringing it to the disk takes a
    /// hundred times as long, and nobody but that client could use the session.
    pub(crate) async fn keep_end(&self, session: &Session, request_id: &CorrelationId) {
        let begun = Instant::now();
        // A disk that fails has been told of already.
        if session.serial().is_some()
            && !self.store.written().await
            && self.upkeep.state().failing.is_none()
        {
            EndUnwritten { request_id, after: begun.elapsed() }.emit(&self.metrics);
        }
    }

    /// Stores a subscription, or that it is over, in the same way.
    pub(crate) async fn keep_subscription(
        &self,
        session: &Session,
        server: ServerId,
        uri: &str,
        subscribed: bool,
    ) {
        let Some(serial) = session.serial() else { return };
        let Some(pool) = self.pool(server) else { return };
        let name = pool.spec.name.as_str();
        if subscribed {
            self.store.subscribed(serial, self.clock.unix_seconds(), name, uri);
        } else {
            self.store.unsubscribed(serial, name, uri);
        }
        self.store.stored().await;
    }
}

// === impl Restoring ===

impl Restoring {
    pub(crate) fn new(servers: BTreeSet<ServerId>) -> Self {
        Self(watch::Sender::new(servers))
    }

    pub(crate) fn servers(&self) -> BTreeSet<ServerId> {
        self.0.borrow().clone()
    }

    pub(crate) fn done(&self, server: ServerId) {
        self.0.send_modify(|servers| {
            servers.remove(&server);
        });
    }

    /// Waits until a server knows what it has to know, for as long as a call may be held up by it.
    pub(crate) async fn wait(&self, server: ServerId) {
        let mut servers = self.0.subscribe();
        let done = servers.wait_for(|servers| !servers.contains(&server));
        let _ = tokio::time::timeout(RESTORE_PATIENCE, done).await;
    }
}
