//! The gateway: joins the three contexts, and starts, drains and stops serving.

mod install;
mod observer;

use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, Guard};
use mainstay_model::settings::GatewaySettings;
use mainstay_model::{Budget, PublicUrl};
use mainstay_pool::{Pool, PoolObserver};
use mainstay_session::SealKey;
use mainstay_store::{Backend, StoreState};
use mainstay_telemetry::{Metrics, StreamKind};
use parking_lot::Mutex;

use crate::admission::Admission;
use crate::directory::Directory;
use crate::endpoint::names::NameRegistry;
use crate::non_mcp::NonMcp;
use crate::serving::{Clock, Serving};
use crate::session::SessionStatus;
use crate::sessions::Sessions;
use crate::sse_streams::SseStreams;
use crate::stateless::Stateless;
use crate::topology::{Layout, Topology};

/// What a gateway is made of.
#[derive(Debug)]
pub struct Parts {
    pub settings: GatewaySettings,
    pub layout: Layout,
    pub metrics: Arc<Metrics>,
    /// What bodies, answers and streams are charged to.
    pub budget: Budget,
    pub key: SealKey,
    pub backend: Backend,
}

/// The gateway: one in each daemon.
pub struct Gateway {
    pub(crate) serving: Arc<Serving>,
    pub(crate) directory: Arc<Directory>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) stateless: Stateless,
    pub(crate) sse_streams: SseStreams,
    admission: ArcSwap<Admission>,
    non_mcp: OnceLock<NonMcp>,
    /// Held while another topology is put in force.
    installing: Mutex<()>,
    /// Pools of earlier topologies that have not been stopped yet.
    retiring: Mutex<Vec<Arc<Pool>>>,
}

/// Interval at which idle sessions are looked for, unless sessions may be idle for less.
const EXPIRE_EVERY: Duration = Duration::from_secs(5);

/// How often it is checked whether a pool that is no longer in force has ended.
const RETIRED_CHECK_EVERY: Duration = Duration::from_millis(20);

/// Longest wait until calls that are cut off have been answered with a refusal.
const REFUSE_WAIT_MAX: Duration = Duration::from_secs(1);

/// Longest wait for connections and tasks to end when the daemon stops.
const STOP_WAIT_MAX: Duration = Duration::from_secs(2);

// === impl Gateway ===

impl Gateway {
    /// Creates a gateway. Waits for the published names, as long as the backend takes.
    pub async fn new(parts: Parts) -> Arc<Self> {
        let Parts { settings, layout, metrics, budget, key, backend } = parts;
        let names = Arc::new(NameRegistry::load(backend.names, budget).await);
        let admission = Admission::new(&settings);
        let serving = Serving::new(settings, metrics, budget);
        let directory = Directory::new(layout, names);
        let store = (backend.sessions, backend.upkeep);
        let sessions = Sessions::new(serving.clone(), directory.clone(), key, store);
        let gateway = Arc::new(Self {
            stateless: Stateless::new(&sessions),
            sse_streams: SseStreams::default(),
            admission: ArcSwap::from_pointee(admission),
            non_mcp: OnceLock::new(),
            installing: Mutex::default(),
            retiring: Mutex::default(),
            serving,
            directory,
            sessions,
        });
        gateway.serving.tasks.spawn(expire(gateway.sessions.clone()));
        gateway
    }

    /// Mounts what answers requests that are not MCP. Only the first call has an effect.
    pub fn mount(&self, non_mcp: NonMcp) {
        let _ = self.non_mcp.set(non_mcp);
    }

    /// What answers requests that are not MCP, once it is mounted.
    pub(crate) fn non_mcp(&self) -> Option<&NonMcp> {
        self.non_mcp.get()
    }

    /// The rules in force about who may send requests.
    pub(crate) fn admission(&self) -> Guard<Arc<Admission>> {
        self.admission.load()
    }

    /// Puts other settings in force for requests that begin from now on, and for connections that are opened from
    /// now on. What is fixed at the start of a daemon must be the same as before.
    pub fn set_settings(&self, settings: GatewaySettings) {
        self.admission.store(Arc::new(Admission::new(&settings)));
        self.serving.set_settings(settings);
    }

    /// The settings in force.
    pub fn settings(&self) -> GatewaySettings {
        GatewaySettings::clone(&self.serving.settings())
    }

    /// Starts a pool that is not in force yet, so that it is ready when it is put in force.
    pub fn prepare(self: &Arc<Self>, pool: &Arc<Pool>) {
        pool.set_quiet(true);
        pool.start(self.observer());
    }

    /// Waits until nothing is left of a pool that is no longer in force.
    pub async fn until_retired(&self, pool: &Arc<Pool>) {
        let is_there = || self.retiring.lock().iter().any(|retiring| Arc::ptr_eq(retiring, pool));
        while is_there() && !self.serving.stopping.is_cancelled() {
            tokio::time::sleep(RETIRED_CHECK_EVERY).await;
        }
    }

    /// Starts every server without waiting for any.
    pub fn start(self: &Arc<Self>) {
        let observer = self.observer();
        for pool in self.pools() {
            pool.start(observer.clone());
        }
    }

    fn observer(self: &Arc<Self>) -> Weak<dyn PoolObserver> {
        let observer: Arc<dyn PoolObserver> = self.clone();
        Arc::downgrade(&observer)
    }

    /// Accepts no new work, lets calls in flight finish for at most `limits.drain`, and then ends
    /// everything. Returns the number of calls that were cut off.
    pub async fn drain_and_stop(&self) -> usize {
        let Serving { draining, stopping, tasks, .. } = &*self.serving;
        draining.cancel();
        // A change of the topology that is under way finishes first, and no other one starts after that.
        drop(self.installing.lock());
        let _ = tokio::time::timeout(
            self.serving.settings().limits.drain,
            self.serving.wait_until_answered(),
        )
        .await;
        let left = self.calls_in_flight();
        if left > 0 {
            self.serving.refusing_calls.cancel();
            for session in self.sessions.table.all() {
                session.stop_calls();
            }
            let _ = tokio::time::timeout(REFUSE_WAIT_MAX, self.serving.wait_until_answered()).await;
        }
        self.serving.begin_cut_off();
        // The sessions themselves stay stored, and the next daemon restores them.
        self.sessions.store_uses(true);
        for session in self.sessions.table.all() {
            session.cut_off();
        }
        self.sse_streams.end_all();
        self.stateless.listens.end_all();
        stopping.cancel();
        tasks.close();
        // Connections close once their streams have ended. A connection that hangs is abandoned.
        let _ = tokio::time::timeout(STOP_WAIT_MAX, tasks.wait()).await;
        let mut pools = tokio::task::JoinSet::new();
        let retiring = std::mem::take(&mut *self.retiring.lock());
        for pool in self.pools().into_iter().chain(retiring) {
            pools.spawn(async move { pool.stop().await });
        }
        while pools.join_next().await.is_some() {}
        left
    }

    /// The servers and endpoints that are in force.
    pub fn topology(&self) -> Arc<Topology> {
        self.directory.topology()
    }

    /// All pools, in the order of the configuration.
    pub fn pools(&self) -> Vec<Arc<Pool>> {
        self.directory.pools()
    }

    pub fn sessions_active(&self) -> usize {
        self.sessions.table.len()
    }

    /// Returns all sessions, oldest first.
    pub fn sessions(&self) -> Vec<SessionStatus> {
        let (topology, now) = (self.directory.topology_now(), Instant::now());
        let path = |id| topology.endpoint_by_id(id).map(|endpoint| endpoint.path());
        let all = self.sessions.table.all();
        let status = all.iter().map(|one| one.status(now, path(one.endpoint).unwrap_or_default()));
        let mut status: Vec<_> = status.collect();
        status.sort_by_key(|session| session.number);
        status
    }

    pub fn sessions_max(&self) -> usize {
        self.sessions.table.max()
    }

    /// Returns how many sessions that were never used gave way to others.
    pub fn sessions_displaced(&self) -> u64 {
        self.sessions.table.displaced()
    }

    /// Returns whether the store works.
    pub fn store_state(&self) -> StoreState {
        self.sessions.upkeep.state()
    }

    /// Returns the longest time that a call to any tool may take, with all its progress.
    pub fn call_max(&self) -> Duration {
        let settings = self.serving.settings();
        let limits = &settings.limits;
        let of_servers = self.pools().into_iter().map(|pool| pool.spec().call_max(limits));
        of_servers.max().unwrap_or(limits.call_max)
    }

    pub fn calls_in_flight(&self) -> usize {
        self.serving.calls_in_flight()
    }

    pub fn connections_open(&self) -> usize {
        self.serving.connections_open()
    }

    /// Returns the bytes that streams hold for clients that read slowly or may return.
    pub fn streams_kept_bytes(&self) -> usize {
        self.sessions.replay.bytes()
    }

    /// Returns the number of open streams of a kind, at all endpoints.
    pub fn streams_open(&self, kind: StreamKind) -> usize {
        let topology = self.directory.topology_now();
        topology.endpoints().iter().map(|endpoint| endpoint.streams_open(kind)).sum()
    }

    /// What bodies, answers and streams are charged to.
    pub fn budget(&self) -> Budget {
        self.serving.budget
    }

    /// Waits until the drain is over and connections are closed.
    pub async fn stopping(&self) {
        self.serving.stopping.cancelled().await;
    }

    pub fn is_draining(&self) -> bool {
        self.serving.is_draining()
    }

    pub fn clock(&self) -> Clock {
        self.serving.clock
    }

    /// Returns the address at which clients reach the daemon, if a proxy is in front.
    pub fn public_url(&self) -> Option<PublicUrl> {
        self.serving.settings().public_url.clone()
    }

    /// Returns the path under which clients reach one of the daemon's own paths. It differs if a
    /// proxy in front moves it.
    pub(crate) fn public_path(&self, own: &str) -> String {
        self.public_url().map_or_else(|| own.to_owned(), |url| url.public_path(own))
    }
}

impl std::fmt::Debug for Gateway {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gateway").field("sessions", &self.sessions_active()).finish_non_exhaustive()
    }
}

/// Ends idle sessions at intervals, until the daemon stops.
async fn expire(sessions: Arc<Sessions>) {
    let stopping = &sessions.serving.stopping;
    let idle = sessions.serving.settings().limits.session_idle;
    let mut tick = tokio::time::interval(EXPIRE_EVERY.min(idle / 4));
    loop {
        tokio::select! {
            () = stopping.cancelled() => return,
            _ = tick.tick() => {}
        }
        sessions.store_uses(false);
        sessions.expire();
        sessions.refuse_unheard_questions();
        sessions.make_room_in_time();
        for endpoint in sessions.directory.topology_now().endpoints() {
            endpoint.expire_paged_lists(Instant::now());
        }
    }
}
