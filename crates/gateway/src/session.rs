//! A session of one client.

pub(crate) mod audience;
pub(crate) mod control;
pub(crate) mod levels;
pub(crate) mod list_changes;
pub(crate) mod placement;
pub(crate) mod questions;
pub(crate) mod room;
pub(crate) mod subscription_locks;
pub(crate) mod table;

mod outgoing;
mod question_origin;
mod restoring;
mod stored;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use mainstay_model::{EndpointId, Principal, ServerId};
use mainstay_protocol::capabilities::ClientCapabilities;
use mainstay_protocol::{Id, Revision};
use mainstay_session::{CallNo, LogLevel, Questions, Serial, Token};
use mainstay_upstream::SessionNo;
use parking_lot::Mutex;

use self::control::CallControl;
use self::list_changes::SeenChanges;
use self::question_origin::{QuestionOrigin, refuse_unanswered};
use self::restoring::Restoring;
use crate::stream::streams::SessionStreams;

/// A session from `initialize` to its end. An idle one is a few hundred bytes.
#[derive(Debug)]
pub struct Session {
    /// Number of the session, by which pools and links know it.
    pub(crate) number: SessionNo,
    /// Number under which pools queue waiting calls fairly: that of the session, or of the
    /// connection where there is none.
    pub(crate) user: u64,
    pub(crate) token: Token,
    pub(crate) principal: Principal,
    pub(crate) revision: Revision,
    pub(crate) capabilities: ClientCapabilities,
    /// JSON that declares the capabilities to servers.
    pub(crate) capabilities_json: Arc<str>,
    pub(crate) endpoint: EndpointId,
    opened: Instant,
    used_ms: AtomicU64,
    /// Whether the client has done anything since the handshake.
    was_used: AtomicBool,
    /// Number of the session in the store. None: the session is not stored.
    serial: Option<Serial>,
    /// Last use that the store knows of, in seconds since 1970.
    use_stored_at: AtomicU64,
    restoring: Option<Restoring>,
    state: Mutex<State>,
}

/// What the API shows of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionStatus {
    /// Unique in this run of the daemon.
    pub number: u64,
    /// The address where it was opened, as the daemon's own path.
    pub endpoint: String,
    pub revision: &'static str,
    pub user: String,
    /// The time since it was opened, or restored by this run of the daemon.
    pub age: Duration,
    /// The time since its last request or answer.
    pub idle: Duration,
    /// Calls in flight.
    pub calls: usize,
    /// Open streams for messages outside of calls.
    pub streams: usize,
}

#[derive(Debug, Default)]
struct State {
    calls: Vec<(Id, Arc<CallControl>)>,
    /// Number of calls that have begun.
    calls_begun: u64,
    questions: Questions<QuestionOrigin>,
    log_level: Option<LogLevel>,
    /// Subscribed resources: the server, and the JSON text of its own URI.
    subscriptions: BTreeSet<(ServerId, Box<str>)>,
    streams: SessionStreams,
    /// Whether the transport has a single stream (HTTP+SSE), which can't be resumed: the session
    /// ends with it.
    has_one_stream: bool,
    /// The changes of lists that the client was notified of.
    seen_changes: SeenChanges,
    /// Updates of resources to send when the client opens a GET stream: no more than it subscribed
    /// to.
    missed_updates: BTreeSet<Bytes>,
    /// Bytes of `missed_updates`.
    missed_bytes: usize,
    ended: bool,
}

// === impl Session ===

impl Session {
    pub(crate) fn new(
        number: SessionNo,
        token: Token,
        principal: Principal,
        revision: Revision,
        capabilities: ClientCapabilities,
        endpoint: EndpointId,
    ) -> Self {
        Self {
            number,
            user: number.0,
            token,
            principal,
            revision,
            capabilities,
            capabilities_json: capabilities.to_json().into(),
            endpoint,
            opened: Instant::now(),
            used_ms: AtomicU64::new(0),
            was_used: AtomicBool::new(false),
            serial: None,
            use_stored_at: AtomicU64::new(0),
            restoring: None,
            state: Mutex::default(),
        }
    }

    /// Creates a stand-in for the client of one request that belongs to no session (2026-07-28).
    pub(crate) fn stateless(
        number: SessionNo,
        principal: Principal,
        revision: Revision,
        capabilities: ClientCapabilities,
        log_level: Option<LogLevel>,
        endpoint: EndpointId,
        connection: u64,
    ) -> Self {
        let session = Self {
            // Connections are numbered apart from sessions.
            user: connection | 1 << 63,
            capabilities_json: Arc::default(),
            ..Self::new(number, Token::none(), principal, revision, capabilities, endpoint)
        };
        session.state.lock().log_level = log_level;
        session
    }

    pub(crate) fn touch(&self) {
        let used = self.opened.elapsed().as_millis() as u64;
        self.used_ms.store(used, Ordering::Relaxed);
    }

    /// Notes that the client has done something since the handshake.
    pub(crate) fn mark_used(&self) {
        self.was_used.store(true, Ordering::Relaxed);
    }

    pub(crate) fn was_used(&self) -> bool {
        self.was_used.load(Ordering::Relaxed)
    }

    /// Returns how long the session was idle. Zero while a call is in flight or a background stream
    /// is read.
    pub(crate) fn idle_for(&self, now: Instant) -> Duration {
        let mut state = self.state.lock();
        state.streams.prune(now);
        if !state.calls.is_empty() || state.streams.is_background_read() {
            return Duration::ZERO;
        }
        let used = self.opened + Duration::from_millis(self.used_ms.load(Ordering::Relaxed));
        now.saturating_duration_since(used)
    }

    /// Returns what the API shows of the session. Its id is a credential and stays out.
    pub(crate) fn status(&self, now: Instant, endpoint: String) -> SessionStatus {
        let used = self.opened + Duration::from_millis(self.used_ms.load(Ordering::Relaxed));
        let mut state = self.state.lock();
        state.streams.prune(now);
        SessionStatus {
            number: self.number.0,
            endpoint,
            revision: self.revision.as_str(),
            user: self.principal.as_str().to_owned(),
            age: now.saturating_duration_since(self.opened),
            idle: now.saturating_duration_since(used),
            calls: state.calls.len(),
            streams: state.streams.background_read(),
        }
    }

    /// Registers a call, so that the client can cancel it. Two calls may have the same id.
    pub(crate) fn begin_call(&self, id: &Id) -> Arc<CallControl> {
        let mut state = self.state.lock();
        state.calls_begun += 1;
        let control = Arc::new(CallControl::new(CallNo(state.calls_begun)));
        if state.ended {
            control.cancel();
        }
        state.calls.push((id.clone(), control.clone()));
        control
    }

    /// Ends the calls with a refusal, because the daemon stops.
    pub(crate) fn stop_calls(&self) {
        for (_, control) in &self.state.lock().calls {
            control.stop();
        }
    }

    /// Removes a call that has ended, with its questions.
    pub(crate) fn end_call(&self, control: &Arc<CallControl>) {
        let mut state = self.state.lock();
        if let Some(at) = state.calls.iter().position(|(_, other)| Arc::ptr_eq(other, control)) {
            state.calls.swap_remove(at);
        }
        state.questions.close_call(control.call);
        self.touch();
    }

    /// Whether a call of the session is in flight.
    pub(crate) fn is_busy(&self) -> bool {
        !self.state.lock().calls.is_empty()
    }

    /// Cancels the calls with this id.
    pub(crate) fn cancel_calls(&self, id: &[u8]) {
        let state = self.state.lock();
        for (_, control) in state.calls.iter().filter(|(other, _)| other.as_bytes() == id) {
            control.cancel();
        }
    }

    pub(crate) fn log_level(&self) -> Option<LogLevel> {
        self.state.lock().log_level
    }

    pub(crate) fn set_log_level(&self, level: LogLevel) {
        self.state.lock().log_level = Some(level);
    }

    /// Whether the client wants log messages of this level. Without `logging/setLevel` a session
    /// gets `info` and above; a request of 2026-07-28 gets none.
    pub(crate) fn wants_log(&self, level: Option<LogLevel>) -> bool {
        // From 2026-07-28 on, a request without a level asks for no log messages.
        let stateful = self.revision.rules().stateful_methods;
        match self.log_level().or(stateful.then_some(LogLevel::Info)) {
            Some(wanted) => level.is_none_or(|level| level >= wanted),
            None => false,
        }
    }

    /// Adds a subscription. False: the session has ended.
    pub(crate) fn add_subscription(&self, server: ServerId, uri: &str) -> bool {
        let mut state = self.state.lock();
        if !state.ended {
            state.subscriptions.insert((server, uri.into()));
        }
        !state.ended
    }

    pub(crate) fn remove_subscription(&self, server: ServerId, uri: &str) {
        self.state.lock().subscriptions.remove(&(server, uri.into()));
    }

    /// Sets which changes of lists the client knows of.
    pub(crate) fn set_seen_changes(&mut self, seen_changes: SeenChanges) {
        self.state.get_mut().seen_changes = seen_changes;
    }

    /// Whether the session has ended.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.state.lock().ended
    }

    /// Ends calls, questions and streams. Returns the subscriptions that servers still hold.
    pub(crate) fn cut_off(&self) -> BTreeSet<(ServerId, Box<str>)> {
        let mut state = self.state.lock();
        state.ended = true;
        for (_, control) in &state.calls {
            control.cancel();
        }
        state.streams.end();
        let unanswered = state.questions.close_everything();
        let subscriptions = std::mem::take(&mut state.subscriptions);
        drop(state);
        refuse_unanswered(unanswered);
        subscriptions
    }
}
