//! The metrics of a daemon, and the scrape.
//!
//! Counters and histograms are atomics. Gauges are not stored: observers supply their values at each
//! scrape, so a gauge can't drift from what it measures.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use mainstay_model::Name;
use parking_lot::RwLock;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::DescriptorEncoder;
use prometheus_client::registry::Registry;

use crate::changes::Changes;
use crate::labels::{Notified, Refused, Resumption, StreamEnd, StreamKind};
use crate::throttle::Throttle;

mod encode;
mod histogram;
mod sample;
mod server;
#[cfg(test)]
mod tests;

pub use sample::Sample;
pub use server::ServerMetrics;

/// The value of the label `server` for requests that the gateway answers itself. It is not a valid
/// [`Name`].
pub const GATEWAY_LABEL: &str = "*";

/// Supplies gauges. Called at each scrape.
pub type Observer = Box<dyn Fn(&mut Sample) + Send + Sync>;

/// All metrics of a daemon. Clones are cheap and share the values.
#[derive(Clone)]
pub struct Metrics {
    board: Arc<Board>,
    registry: Arc<Registry>,
}

/// The shared values.
pub(crate) struct Board {
    version: Box<str>,
    gateway: Arc<ServerMetrics>,
    /// The metrics of the servers in the order of the configuration and of the scrape. Callers look a
    /// server up once and keep the result, so a list is fast enough.
    servers: RwLock<Vec<Arc<ServerMetrics>>>,
    refused: [AtomicU64; Refused::COUNT],
    resumed: [AtomicU64; Resumption::COUNT],
    streams: [StreamCounts; StreamKind::COUNT],
    refused_lines: [Throttle; Refused::COUNT],
    unwritten_lines: Throttle,
    unaccepted_lines: Throttle,
    sessions_expired: AtomicU64,
    sessions_restored: AtomicU64,
    store_failures: AtomicU64,
    notified: [AtomicU64; Notified::COUNT],
    unnotified_lines: Throttle,
    observers: RwLock<Vec<Observer>>,
    changes: Changes,
}

/// The counts of streams of one kind.
#[derive(Default)]
struct StreamCounts {
    opened: AtomicU64,
    ended: [AtomicU64; StreamEnd::COUNT],
    refused: AtomicU64,
    refused_lines: Throttle,
}

// === impl Metrics ===

impl Metrics {
    /// New metrics. All series of `servers` start at zero.
    pub fn new<'a>(version: &str, servers: impl IntoIterator<Item = &'a Name>) -> Self {
        let servers = servers.into_iter().map(|name| Arc::new(ServerMetrics::new(name.as_str())));
        let board = Arc::new(Board {
            version: version.into(),
            gateway: Arc::new(ServerMetrics::new(GATEWAY_LABEL)),
            servers: RwLock::new(servers.collect()),
            refused: [const { AtomicU64::new(0) }; Refused::COUNT],
            resumed: [const { AtomicU64::new(0) }; Resumption::COUNT],
            streams: std::array::from_fn(|_| StreamCounts::default()),
            refused_lines: std::array::from_fn(|_| Throttle::default()),
            unwritten_lines: Throttle::default(),
            unaccepted_lines: Throttle::default(),
            sessions_expired: AtomicU64::new(0),
            sessions_restored: AtomicU64::new(0),
            store_failures: AtomicU64::new(0),
            notified: [const { AtomicU64::new(0) }; Notified::COUNT],
            unnotified_lines: Throttle::default(),
            observers: RwLock::default(),
            changes: Changes::default(),
        });
        let mut registry = Registry::default();
        registry.register_collector(Box::new(Arc::clone(&board)));
        Self { board, registry: Arc::new(registry) }
    }

    /// The counters of a server. Look them up once and keep them. A new server gets its series here.
    pub fn server(&self, name: &Name) -> Arc<ServerMetrics> {
        let known = |list: &[Arc<ServerMetrics>]| {
            list.iter().find(|server| server.label() == name.as_str()).cloned()
        };
        if let Some(server) = known(&self.board.servers.read()) {
            return server;
        }
        let mut servers = self.board.servers.write();
        known(&servers).unwrap_or_else(|| {
            let server = Arc::new(ServerMetrics::new(name.as_str()));
            servers.push(Arc::clone(&server));
            server
        })
    }

    /// Keeps the series of these servers only, in this order. Those of new servers start at zero.
    pub fn keep_servers<'a>(&self, names: impl IntoIterator<Item = &'a Name>) {
        let kept = names.into_iter().map(|name| self.server(name)).collect();
        *self.board.servers.write() = kept;
    }

    /// The counters for requests that the gateway answers itself, with the server label [`GATEWAY_LABEL`].
    pub fn gateway(&self) -> Arc<ServerMetrics> {
        Arc::clone(&self.board.gateway)
    }

    /// Registers a source of gauges. It is called at each scrape, must not block, and is never removed, so
    /// it should hold only weak references.
    pub fn observe(&self, observer: Observer) {
        self.board.observers.write().push(observer);
    }

    /// Where changes of the condition of servers are made known.
    pub fn changes(&self) -> &Changes {
        &self.board.changes
    }

    /// Counts a refused request or connection.
    pub fn refused(&self, reason: Refused) {
        self.board.refused[reason.index()].fetch_add(1, Relaxed);
    }

    /// Counts an attempt to resume a stream.
    pub fn resumed(&self, outcome: Resumption) {
        self.board.resumed[outcome.index()].fetch_add(1, Relaxed);
    }

    /// Counts an opened stream.
    pub fn stream_opened(&self, kind: StreamKind) {
        self.board.streams[kind.index()].opened.fetch_add(1, Relaxed);
    }

    /// Counts a stream that ended.
    pub fn stream_ended(&self, kind: StreamKind, reason: StreamEnd) {
        self.board.streams[kind.index()].ended[reason.index()].fetch_add(1, Relaxed);
    }

    /// Counts a refused stream.
    pub fn stream_refused(&self, kind: StreamKind) {
        self.board.streams[kind.index()].refused.fetch_add(1, Relaxed);
    }

    /// Counts sessions that expired.
    pub fn sessions_expired(&self, count: u64) {
        self.board.sessions_expired.fetch_add(count, Relaxed);
    }

    /// Counts a restored session.
    pub fn session_restored(&self) {
        self.board.sessions_restored.fetch_add(1, Relaxed);
    }

    /// Counts a failed attempt to write to the state folder.
    pub fn store_failed(&self) {
        self.board.store_failures.fetch_add(1, Relaxed);
    }

    /// Counts a notification about a server.
    pub fn notified(&self, outcome: Notified) {
        self.board.notified[outcome.index()].fetch_add(1, Relaxed);
    }

    /// Encodes all metrics as OpenMetrics text, with the media type [`CONTENT_TYPE`].
    pub fn encode(&self) -> String {
        let mut text = String::with_capacity(64 << 10);
        prometheus_client::encoding::text::encode(&mut text, &self.registry)
            .expect("writing to a string does not fail");
        text
    }

    pub(crate) fn refused_lines(&self, reason: Refused) -> &Throttle {
        &self.board.refused_lines[reason.index()]
    }

    pub(crate) fn refused_stream_lines(&self, kind: StreamKind) -> &Throttle {
        &self.board.streams[kind.index()].refused_lines
    }

    pub(crate) fn unaccepted_lines(&self) -> &Throttle {
        &self.board.unaccepted_lines
    }

    pub(crate) fn unnotified_lines(&self) -> &Throttle {
        &self.board.unnotified_lines
    }

    pub(crate) fn unwritten_lines(&self) -> &Throttle {
        &self.board.unwritten_lines
    }
}

/// The media type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.board.fmt(f)
    }
}

// === impl Board ===

impl Board {
    fn sample(&self, servers: &[Arc<ServerMetrics>]) -> Sample {
        let mut sample = Sample::zero(servers.iter().map(|server| server.label()));
        for observer in self.observers.read().iter() {
            observer(&mut sample);
        }
        sample
    }
}

impl Collector for Board {
    fn encode(&self, mut out: DescriptorEncoder<'_>) -> fmt::Result {
        let servers = self.servers.read().clone();
        let sample = self.sample(&servers);
        encode::requests(&mut out, &servers, &self.gateway)?;
        encode::gauges(&mut out, &sample)?;
        encode::tools(&mut out, &servers)?;
        encode::servers(&mut out, &servers, &sample)?;
        encode::gateway(&mut out, self, &sample)
    }
}

impl fmt::Debug for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").field("version", &self.version).finish_non_exhaustive()
    }
}
