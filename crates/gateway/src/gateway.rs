//! What all requests share, and the daemon's outer life: serving, draining, stopped.

mod install;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arc_swap::{ArcSwap, Guard};
use bytes::Bytes;
use http_body_util::Full;
use mainstay_model::settings::GatewaySettings;
use mainstay_model::{Ids, PublicUrl, ServerId};
use mainstay_pool::Pool;
use mainstay_protocol::Message;
use mainstay_protocol::build::string;
use mainstay_protocol::edit::{Edit, splice};
use mainstay_session::{QuestionNumbers, SealKey};
use mainstay_store::{Backend, SessionStore, StoreState, Upkeep};
use mainstay_telemetry::events::SessionExpired;
use mainstay_telemetry::{Metrics, StreamKind};
use mainstay_upstream::SessionNo;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::answer::HttpAnswer;
use crate::edge::Peer;
use crate::edge::forwarded::Proxies;
use crate::edge::gate::Gate;
use crate::edge::sse::Conversations;
use crate::endpoint::Endpoint;
use crate::endpoint::memory::NameRegistry;
use crate::session::Session;
use crate::session::levels::{self, Levels};
use crate::session::subscribe::{self, turns::Turns};
use crate::session::table::Sessions;
use crate::stateless::listen::Listens;
use crate::stream::kept::Kept;
use crate::topology::{Layout, Topology};

/// Answers requests that are not MCP: health, metrics, the API. None: it does not know the path.
pub type Aside =
    Box<dyn Fn(&http::request::Parts, Peer) -> Option<http::Response<Full<Bytes>>> + Send + Sync>;

/// What a gateway is made of.
#[derive(Debug)]
pub struct Parts {
    pub settings: GatewaySettings,
    pub layout: Layout,
    pub metrics: Arc<Metrics>,
    pub key: SealKey,
    pub backend: Backend,
}

/// The gateway: one for a daemon.
pub struct Gateway {
    pub(crate) settings: GatewaySettings,
    pub(crate) sessions: Sessions,
    pub(crate) conversations: Conversations,
    pub(crate) listens: Listens,
    pub(crate) kept: Arc<Kept>,
    pub(crate) question_numbers: QuestionNumbers,
    pub(crate) levels: Levels,
    pub(crate) turns: Arc<Turns>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) key: SealKey,
    pub(crate) store: Arc<dyn SessionStore>,
    pub(crate) upkeep: Arc<dyn Upkeep>,
    names: Arc<NameRegistry>,
    pub(crate) gate: Gate,
    pub(crate) proxies: Proxies,
    pub(crate) clock: Clock,
    pub(crate) tasks: TaskTracker,
    /// Calls that are being answered.
    calls: AtomicUsize,
    /// Answers on their way from a call to the stream that brings them.
    forwards: AtomicUsize,
    /// Told when there are none of either any more.
    quiet: Notify,
    pub(crate) connections: AtomicUsize,
    pub(crate) aside: std::sync::OnceLock<Aside>,
    /// No new connections and sessions from here on.
    pub(crate) draining: CancellationToken,
    /// Whatever is still under way ends now.
    pub(crate) stopping: CancellationToken,
    stopped_sessions: AtomicBool,
    /// Servers and endpoints as they are now.
    topology: ArcSwap<Topology>,
    ids: Ids,
    /// Tells that there is another topology.
    replaced: watch::Sender<()>,
    /// Held by whoever puts another topology in force.
    installing: Mutex<()>,
    /// Pools of earlier topologies that have not been stopped yet.
    retiring: Mutex<Vec<Arc<Pool>>>,
    owners: AtomicU64,
    connection_numbers: AtomicU64,
}

/// An answer on its way to a stream; a drain waits for its end.
pub(crate) struct Forwards(Arc<Gateway>);

/// Turns monotonic times into dates.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: Instant,
    started_at: SystemTime,
}

/// How often idle sessions are looked for, unless they may be idle for less.
const EXPIRE_EVERY: Duration = Duration::from_secs(5);

// === impl Gateway ===

impl Gateway {
    /// Waits for the published names, as long as the backend takes.
    pub async fn new(parts: Parts) -> Arc<Self> {
        let names = Arc::new(NameRegistry::load(parts.backend.names).await);
        let ids = Ids::default();
        let topology = Topology::after(&Topology::default(), parts.layout, &ids, &names);
        let gateway = Arc::new(Self {
            gate: Gate::new(&parts.settings),
            proxies: Proxies::new(parts.settings.trusted_proxies.clone()),
            sessions: Sessions::new(parts.settings.limits.sessions_max),
            conversations: Conversations::default(),
            listens: Listens::default(),
            kept: Kept::new(Self::another_beginning()),
            question_numbers: QuestionNumbers::beginning_at(Self::another_beginning()),
            levels: Levels::default(),
            turns: Arc::default(),
            settings: parts.settings,
            metrics: parts.metrics,
            key: parts.key,
            store: parts.backend.sessions,
            upkeep: parts.backend.upkeep,
            names,
            clock: Clock { started: Instant::now(), started_at: SystemTime::now() },
            tasks: TaskTracker::new(),
            calls: AtomicUsize::new(0),
            forwards: AtomicUsize::new(0),
            quiet: Notify::new(),
            connections: AtomicUsize::new(0),
            aside: std::sync::OnceLock::new(),
            draining: CancellationToken::new(),
            stopping: CancellationToken::new(),
            stopped_sessions: AtomicBool::new(false),
            topology: ArcSwap::from_pointee(topology),
            ids,
            replaced: watch::Sender::new(()),
            installing: Mutex::default(),
            retiring: Mutex::default(),
            owners: AtomicU64::new(1),
            connection_numbers: AtomicU64::new(1),
        });
        gateway.tasks.spawn(expire(Arc::downgrade(&gateway), gateway.stopping.clone()));
        gateway
    }

    /// A number that another start of the daemon hardly has.
    fn another_beginning() -> u32 {
        let mut random = [0; 4];
        if getrandom::fill(&mut random).is_ok() {
            return u32::from_ne_bytes(random);
        }
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.subsec_nanos())
    }

    /// What answers requests that are not MCP. The first call counts.
    pub fn set_aside(&self, aside: Aside) {
        let _ = self.aside.set(aside);
    }

    /// Starts every server. Nothing waits for them.
    pub fn start(self: &Arc<Self>) {
        let hub: Arc<dyn mainstay_pool::PoolObserver> = self.clone();
        for pool in self.pools() {
            pool.start(Arc::downgrade(&hub));
        }
    }

    /// Takes no new work, lets calls in flight finish for at most `limits.drain`, then ends
    /// everything. The calls that were cut off.
    pub async fn drain(&self) -> usize {
        self.draining.cancel();
        // Who puts another topology in force at this moment finishes, and nobody begins after that.
        drop(self.installing.lock());
        let _ = tokio::time::timeout(self.settings.limits.drain, self.all_answered()).await;
        let left = self.calls.load(Ordering::Acquire);
        self.stopped_sessions.store(true, Ordering::Release);
        // They stay sessions: the next daemon goes on with them.
        self.note_uses(true);
        for session in self.sessions.all() {
            session.end();
        }
        self.conversations.end_all();
        self.listens.end_all();
        self.stopping.cancel();
        self.tasks.close();
        // Connections end by themselves once their streams have; what hangs is not waited for.
        let _ = tokio::time::timeout(Duration::from_secs(2), self.tasks.wait()).await;
        let mut stopping = tokio::task::JoinSet::new();
        let retiring = std::mem::take(&mut *self.retiring.lock());
        for pool in self.pools().into_iter().chain(retiring) {
            stopping.spawn(async move { pool.stop().await });
        }
        while stopping.join_next().await.is_some() {}
        left
    }

    /// Waits until no call is being answered.
    async fn all_answered(&self) {
        loop {
            let quiet = self.quiet.notified();
            let calls = self.calls.load(Ordering::Acquire);
            if calls == 0 && self.forwards.load(Ordering::Acquire) == 0 {
                return;
            }
            quiet.await;
        }
    }

    pub(crate) fn call_begins(&self) {
        self.calls.fetch_add(1, Ordering::AcqRel);
    }

    /// A call's answer has been handed to whoever brings it to the client.
    pub(crate) fn call_ends(&self) {
        if self.calls.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.quiet.notify_waiters();
        }
    }

    /// An answer is being brought to its stream for as long as this is kept.
    pub(crate) fn forwards(self: &Arc<Self>) -> Forwards {
        self.forwards.fetch_add(1, Ordering::AcqRel);
        Forwards(self.clone())
    }

    /// Servers and endpoints as they are now.
    pub fn topology(&self) -> Arc<Topology> {
        self.topology.load_full()
    }

    /// In the order of the file.
    pub fn pools(&self) -> Vec<Arc<Pool>> {
        self.topology.load().servers().iter().map(|server| server.pool.clone()).collect()
    }

    /// As [`Self::topology`], for a moment: it must not be held over an await.
    pub(crate) fn topology_now(&self) -> Guard<Arc<Topology>> {
        self.topology.load()
    }

    /// The endpoint that a session is at; none if there is no such endpoint any more.
    pub(crate) fn endpoint_of(&self, session: &Session) -> Option<Arc<Endpoint>> {
        self.topology.load().endpoint_of(session.endpoint).cloned()
    }

    /// The pool that runs a server now.
    pub(crate) fn pool(&self, server: ServerId) -> Option<Arc<Pool>> {
        self.topology.load().server(server).map(|server| server.pool.clone())
    }

    pub fn sessions_active(&self) -> usize {
        self.sessions.len()
    }

    pub fn sessions_max(&self) -> usize {
        self.sessions.max()
    }

    /// How it is with what outlives the daemon.
    pub fn store_state(&self) -> StoreState {
        self.upkeep.state()
    }

    pub fn calls_in_flight(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }

    pub fn connections_open(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Streams and calls of sessions have been ended: the daemon is about to go.
    pub(crate) fn has_stopped_sessions(&self) -> bool {
        self.stopped_sessions.load(Ordering::Acquire)
    }

    /// What streams hold for clients that read slowly or may come back.
    pub fn streams_kept_bytes(&self) -> usize {
        self.kept.bytes()
    }

    /// Streams of this kind that clients keep open, at all addresses.
    pub fn streams_open(&self, kind: StreamKind) -> usize {
        let topology = self.topology.load();
        topology.endpoints().iter().map(|endpoint| endpoint.streams_open(kind)).sum()
    }

    pub fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// How clients call it when a proxy is in front.
    pub fn public_url(&self) -> Option<&PublicUrl> {
        self.settings.public_url.as_ref()
    }

    /// Where clients find one of the daemon's own paths: elsewhere if a proxy in front moves it.
    pub(crate) fn public_path(&self, own: &str) -> String {
        self.settings.public_url.as_ref().map_or_else(|| own.to_owned(), |url| url.public_path(own))
    }

    pub(crate) fn next_session_no(&self) -> SessionNo {
        SessionNo(self.owners.fetch_add(1, Ordering::Relaxed))
    }

    /// The number of a connection that opens now.
    pub(crate) fn next_connection(&self) -> u64 {
        self.connection_numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Ends a session and what servers hold for it; whether it was there.
    pub(crate) fn end_session(&self, session: &Arc<Session>) -> bool {
        // Before it is gone here: whoever does not find it looks there next.
        if let Some(serial) = session.serial() {
            self.store.ended(serial, self.clock.unix_seconds());
        }
        let was_there = self.sessions.remove(session);
        subscribe::forget_all(self, session, session.end().into_iter().collect());
        if session.log_level().is_some() {
            levels::forget(self, session.owner);
        }
        let endpoint = self.endpoint_of(session);
        if let Some(endpoint) = &endpoint {
            endpoint.lasting.listeners.leave(session.owner.0);
        }
        let pools = endpoint.map_or_else(|| self.pools(), |at| at.pools().cloned().collect());
        for pool in pools {
            pool.end_sharing(&crate::call::placement::own_sharing(session.owner));
        }
        was_there
    }

    /// A notification that a resource changed, under the URI that clients of the endpoint know it by.
    pub(crate) fn published_update(
        endpoint: &Endpoint,
        server: ServerId,
        message: &Message,
    ) -> Bytes {
        let unchanged = message.bytes().clone();
        let Some(uri) = message.params().ok().and_then(|params| params.uri) else {
            return unchanged;
        };
        let own = uri.text().unwrap_or_default();
        match endpoint.published_uri(server, &own) {
            Some(published) => {
                splice(message.bytes(), &mut [Edit::new(uri.span, string(&published).as_bytes())])
            }
            None => unchanged,
        }
    }

    pub(crate) fn answer_aside(
        &self,
        parts: &http::request::Parts,
        peer: Peer,
    ) -> Option<HttpAnswer> {
        let answer = self.aside.get()?(parts, peer)?;
        Some(answer.map(crate::answer::body::Body::Whole))
    }
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway").field("sessions", &self.sessions.len()).finish_non_exhaustive()
    }
}

impl Drop for Forwards {
    fn drop(&mut self) {
        if self.0.forwards.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.quiet.notify_waiters();
        }
    }
}

/// Ends sessions that nobody uses any more.
async fn expire(gateway: std::sync::Weak<Gateway>, stop: CancellationToken) {
    let Some(idle_max) = gateway.upgrade().map(|it| it.settings.limits.session_idle) else {
        return;
    };
    let mut tick = tokio::time::interval(EXPIRE_EVERY.min(idle_max / 4));
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        let Some(gateway) = gateway.upgrade() else { return };
        gateway.note_uses(false);
        let expired = gateway.sessions.expired(Instant::now(), idle_max);
        let count = expired.iter().filter(|session| gateway.end_session(session)).count() as u64;
        if count > 0 {
            SessionExpired { count, idle_max }.emit(&gateway.metrics);
        }
        gateway.kept.make_room(|| gateway.sessions.all());
    }
}

// === impl Clock ===

impl Clock {
    pub fn unix_seconds(self) -> u64 {
        let now = self.started_at + self.started.elapsed();
        now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    }

    pub fn date(self, at: Instant) -> SystemTime {
        match at.checked_duration_since(self.started) {
            Some(after) => self.started_at + after,
            None => self.started_at,
        }
    }

    pub fn uptime(self) -> Duration {
        self.started.elapsed()
    }
}
