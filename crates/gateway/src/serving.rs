//! What all requests share: settings, metrics, the clock, tasks, and whether the daemon is draining
//! or stopping.

pub(crate) mod file_reserve;
pub(crate) mod schemas;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arc_swap::{ArcSwap, Guard};
use mainstay_model::settings::GatewaySettings;
use mainstay_model::{Budget, Refusal, RefusalCode};
use mainstay_telemetry::{CorrelationId, ErrorCode, Method, Metrics, Outcome};
use mainstay_upstream::SessionNo;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::file_reserve::FileReserve;
use self::schemas::Schemas;

/// The lowest of the three contexts: it knows no server, no endpoint and no session.
pub(crate) struct Serving {
    /// The settings in force.
    settings: ArcSwap<GatewaySettings>,
    pub(crate) metrics: Arc<Metrics>,
    /// What bodies, answers and streams are charged to.
    pub(crate) budget: Budget,
    pub(crate) clock: Clock,
    pub(crate) tasks: TaskTracker,
    /// Cancelled when new requests are refused, while calls in flight finish.
    pub(crate) draining: CancellationToken,
    /// Cancelled when calls that are still in flight are refused.
    pub(crate) refusing_calls: CancellationToken,
    /// Cancelled when everything that is still under way must end.
    pub(crate) stopping: CancellationToken,
    /// Set before the streams and calls of all sessions are cut off.
    cutting_off: AtomicBool,
    /// Number of calls in flight.
    calls: AtomicUsize,
    /// Number of responses on their way from a call to the stream that carries them.
    forwards: AtomicUsize,
    /// Notified when the last call or forward has ended.
    quiet: Notify,
    /// Compiled schemas of tools whose arguments are compared with them.
    pub(crate) schemas: Arc<Schemas>,
    /// Descriptors for the command socket.
    pub(crate) reserve: FileReserve,
    connections: AtomicUsize,
    connection_numbers: AtomicU64,
    session_numbers: AtomicU64,
}

/// A response on its way to a stream. A drain waits until it is dropped.
pub(crate) struct ForwardGuard(Arc<Serving>);

/// An open connection, counted until it is dropped.
pub(crate) struct ConnectionGuard {
    serving: Arc<Serving>,
    is_counted: bool,
}

/// Converts monotonic times to dates.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: Instant,
    started_at: SystemTime,
}

// === impl Serving ===

impl Serving {
    pub(crate) fn new(
        settings: GatewaySettings,
        metrics: Arc<Metrics>,
        budget: Budget,
    ) -> Arc<Self> {
        Arc::new(Self {
            settings: ArcSwap::from_pointee(settings),
            metrics,
            budget,
            clock: Clock { started: Instant::now(), started_at: SystemTime::now() },
            tasks: TaskTracker::new(),
            draining: CancellationToken::new(),
            refusing_calls: CancellationToken::new(),
            stopping: CancellationToken::new(),
            cutting_off: AtomicBool::new(false),
            calls: AtomicUsize::new(0),
            forwards: AtomicUsize::new(0),
            quiet: Notify::new(),
            schemas: Schemas::new(),
            reserve: FileReserve::default(),
            connections: AtomicUsize::new(0),
            connection_numbers: AtomicU64::new(1),
            session_numbers: AtomicU64::new(1),
        })
    }

    /// The settings in force. A reload may replace them at any time.
    pub(crate) fn settings(&self) -> Guard<Arc<GatewaySettings>> {
        self.settings.load()
    }

    /// Puts other settings in force for whatever begins from now on.
    pub(crate) fn set_settings(&self, settings: GatewaySettings) {
        self.settings.store(Arc::new(settings));
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.is_cancelled()
    }

    /// Returns the refusal for requests that arrive while the daemon drains.
    pub(crate) fn draining_refusal(&self, request_id: &CorrelationId) -> Refusal {
        let mut refusal = Refusal::new(RefusalCode::Maintenance, "the daemon is stopping")
            .retry_after(self.settings().limits.drain)
            .hint("calls in flight are being finished; retry when the daemon is back");
        refusal.data.request_id = Some(request_id.to_string());
        refusal
    }

    /// Whether the streams and calls of all sessions are cut off, or about to be, because the daemon stops.
    pub(crate) fn is_cutting_off(&self) -> bool {
        self.cutting_off.load(Ordering::Acquire)
    }

    /// Notes that streams and calls are cut off from here on.
    pub(crate) fn begin_cut_off(&self) {
        self.cutting_off.store(true, Ordering::Release);
    }

    /// Counts a request that no server at its address answers. No server has the name that it asks for,
    /// so it counts as the gateway's own.
    pub(crate) fn count_unrouted(&self, method: &str, begun: Instant) {
        let counters = self.metrics.gateway();
        counters.finished(Method::from_wire(method), Outcome::Error, begun.elapsed());
        counters.failed(ErrorCode::NoRoute);
    }

    /// Returns the number of a new session, or of a request that belongs to none.
    pub(crate) fn next_session_no(&self) -> SessionNo {
        SessionNo(self.session_numbers.fetch_add(1, Ordering::Relaxed))
    }

    /// Returns the number of a new connection.
    pub(crate) fn next_connection_no(&self) -> u64 {
        self.connection_numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// Counts a new connection, and returns how many were open before. Connections of the operator don't
    /// count: they take no client's place.
    pub(crate) fn open_connection(self: &Arc<Self>, operator: bool) -> (ConnectionGuard, usize) {
        let open_before = match operator {
            true => self.connections_open(),
            false => self.connections.fetch_add(1, Ordering::AcqRel),
        };
        (ConnectionGuard { serving: self.clone(), is_counted: !operator }, open_before)
    }

    pub(crate) fn connections_open(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    pub(crate) fn calls_in_flight(&self) -> usize {
        self.calls.load(Ordering::Acquire)
    }

    pub(crate) fn begin_call(&self) {
        self.calls.fetch_add(1, Ordering::AcqRel);
    }

    /// Counts a call out, once its response was handed to what carries it to the client.
    pub(crate) fn end_call(&self) {
        if self.calls.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.quiet.notify_waiters();
        }
    }

    /// Counts a response that is being forwarded to a stream.
    pub(crate) fn begin_forward(self: &Arc<Self>) -> ForwardGuard {
        self.forwards.fetch_add(1, Ordering::AcqRel);
        ForwardGuard(self.clone())
    }

    /// Waits until no call is in flight and no response is being forwarded.
    pub(crate) async fn wait_until_answered(&self) {
        loop {
            let quiet = self.quiet.notified();
            if self.calls_in_flight() == 0 && self.forwards.load(Ordering::Acquire) == 0 {
                return;
            }
            quiet.await;
        }
    }
}

// === impl ForwardGuard ===

impl Drop for ForwardGuard {
    fn drop(&mut self) {
        if self.0.forwards.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.quiet.notify_waiters();
        }
    }
}

// === impl ConnectionGuard ===

impl ConnectionGuard {
    pub(crate) fn serving(&self) -> &Arc<Serving> {
        &self.serving
    }
}

impl Drop for ConnectionGuard {
    fn drop(&mut self) {
        if self.is_counted {
            self.serving.connections.fetch_sub(1, Ordering::AcqRel);
        }
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
