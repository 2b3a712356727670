//! One client's conversation with the gateway.

pub(crate) mod handshake;
pub(crate) mod levels;
pub(crate) mod outlive;
pub(crate) mod questions;
pub(crate) mod subscribe;
pub(crate) mod table;

mod stored;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use mainstay_model::Principal;
use mainstay_protocol::capabilities::ClientCapabilities;
use mainstay_protocol::list::ListKind;
use mainstay_protocol::{Id, Revision, build};
use mainstay_session::{CallNo, Questions, Serial, Token};
use mainstay_upstream::Owner;
use parking_lot::Mutex;

use self::levels::LogLevel;
use self::outlive::Restoring;
use self::questions::Asking;
use crate::answer;
use crate::endpoint::Endpoint;
use crate::stream::EventStream;
use crate::stream::kept::Kept;
use crate::stream::resume::{Ended, EventId, Name, Resumed, Streams};

/// A session from `initialize` to its end. An idle one is a few hundred bytes.
#[derive(Debug)]
pub struct Session {
    /// Its number: what pools and links know it by.
    pub(crate) owner: Owner,
    pub(crate) token: Token,
    pub(crate) principal: Principal,
    pub(crate) revision: Revision,
    pub(crate) capabilities: ClientCapabilities,
    /// The JSON that declares them to servers.
    pub(crate) capabilities_json: Arc<str>,
    pub(crate) endpoint: Arc<Endpoint>,
    opened: Instant,
    used_ms: AtomicU64,
    /// What the store knows it by; none: nothing of it outlives the daemon.
    serial: Option<Serial>,
    /// When it was in use, as the store knows; seconds since 1970.
    noted_at: AtomicU64,
    restoring: Option<Restoring>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    calls: Vec<(Id, Arc<Control>)>,
    /// How many calls there have been.
    calls_begun: u64,
    questions: Questions<Asking>,
    log_level: Option<LogLevel>,
    /// By position of the server in the endpoint, with the JSON text of the server's own URI.
    subscriptions: BTreeSet<(usize, Box<str>)>,
    streams: Streams,
    /// Its transport has one stream, which is never taken up again: it ends with it.
    on_one_stream: bool,
    /// What to say when a GET stream is opened.
    missed: Missed,
    ended: bool,
}

/// What a client without an open stream would miss, kept as little as it can be.
#[derive(Debug, Default)]
struct Missed {
    lists: u8,
    resources: BTreeSet<Bytes>,
}

/// What reaches a call from outside: that the client takes it back, or has answered a question.
#[derive(Debug)]
pub(crate) struct Control {
    call: CallNo,
    cancelled: AtomicBool,
    answered: AtomicBool,
    waker: AtomicWaker,
}

/// Updated resources remembered for a client without a stream.
const MISSED_RESOURCES_MAX: usize = 64;

// === impl Session ===

impl Session {
    pub(crate) fn new(
        owner: Owner,
        token: Token,
        principal: Principal,
        revision: Revision,
        capabilities: ClientCapabilities,
        endpoint: Arc<Endpoint>,
    ) -> Self {
        Self {
            owner,
            token,
            principal,
            revision,
            capabilities,
            capabilities_json: capabilities.to_json().into(),
            endpoint,
            opened: Instant::now(),
            used_ms: AtomicU64::new(0),
            serial: None,
            noted_at: AtomicU64::new(0),
            restoring: None,
            state: Mutex::default(),
        }
    }

    /// Stands for the client of one request that belongs to no session.
    pub(crate) fn passing(
        owner: Owner,
        principal: Principal,
        revision: Revision,
        capabilities: ClientCapabilities,
        log_level: Option<LogLevel>,
        endpoint: Arc<Endpoint>,
    ) -> Self {
        let session = Self {
            capabilities_json: Arc::default(),
            ..Self::new(owner, Token::none(), principal, revision, capabilities, endpoint)
        };
        session.state.lock().log_level = log_level;
        session
    }

    pub(crate) fn touch(&self) {
        let used = self.opened.elapsed().as_millis() as u64;
        self.used_ms.store(used, Ordering::Relaxed);
    }

    /// How long nobody has used it; zero while a call is in flight or a stream is open.
    pub(crate) fn idle_for(&self, now: Instant) -> Duration {
        let mut state = self.state.lock();
        state.streams.prune(now);
        if !state.calls.is_empty() || state.streams.is_read() {
            return Duration::ZERO;
        }
        let used = self.opened + Duration::from_millis(self.used_ms.load(Ordering::Relaxed));
        now.saturating_duration_since(used)
    }

    /// Notes a call, so that the client can cancel it. Ids may be used twice at once.
    pub(crate) fn begin(&self, id: &Id) -> Arc<Control> {
        let mut state = self.state.lock();
        state.calls_begun += 1;
        let control = Arc::new(Control::of(CallNo(state.calls_begun)));
        state.calls.push((id.clone(), control.clone()));
        control
    }

    /// Forgets a call that is over, with its questions.
    pub(crate) fn finish(&self, control: &Arc<Control>) {
        let mut state = self.state.lock();
        if let Some(at) = state.calls.iter().position(|(_, other)| Arc::ptr_eq(other, control)) {
            state.calls.swap_remove(at);
        }
        state.questions.close_call(control.call);
        self.touch();
    }

    /// Cancels the calls with this id.
    pub(crate) fn cancel(&self, id: &[u8]) {
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

    /// Whether a log message of this severity is wanted. A client that never said gets what a
    /// server would send unasked.
    pub(crate) fn wants_log(&self, level: Option<LogLevel>) -> bool {
        // From 2026-07-28 on a request that says nothing of it wants none.
        let stateful = self.revision.rules().stateful_methods;
        match self.log_level().or(stateful.then_some(LogLevel::Info)) {
            Some(wanted) => level.is_none_or(|level| level >= wanted),
            None => false,
        }
    }

    /// Notes a subscription; false: the session has ended.
    pub(crate) fn subscribed(&self, server: usize, uri: &str) -> bool {
        let mut state = self.state.lock();
        if !state.ended {
            state.subscriptions.insert((server, uri.into()));
        }
        !state.ended
    }

    pub(crate) fn unsubscribed(&self, server: usize, uri: &str) {
        self.state.lock().subscriptions.remove(&(server, uri.into()));
    }

    /// Opens a stream for what comes of its own accord, beginning with what was missed.
    pub(crate) fn stand(&self, kept: &Arc<Kept>) -> Arc<EventStream> {
        let stream = self.new_stream(kept, Name::standing);
        let mut state = self.state.lock();
        if state.ended {
            stream.end();
            return stream;
        }
        state.missed.say_on(&stream);
        state.streams.stand(stream.clone());
        stream
    }

    /// Takes a stream that is there already for everything: its transport has no other.
    pub(crate) fn stand_on(&self, stream: Arc<EventStream>) {
        let mut state = self.state.lock();
        state.on_one_stream = true;
        state.streams.stand(stream);
    }

    /// A stream for what comes of a call.
    pub(crate) fn stream_of_call(&self, kept: &Arc<Kept>, request: &Id) -> Arc<EventStream> {
        let mut state = self.state.lock();
        if state.on_one_stream || state.ended {
            return Arc::default();
        }
        let stream = self.new_stream(kept, |number| Name::call(number, request));
        if stream.name().is_some() {
            state.streams.begin(stream.clone());
        }
        stream
    }

    fn new_stream(&self, kept: &Arc<Kept>, name: impl Fn(u64) -> Name) -> Arc<EventStream> {
        let rules = self.revision.rules();
        if !rules.resumable {
            return Arc::default();
        }
        let (number, share) = kept.open();
        Arc::new(EventStream::resumable(name(number), rules.priming_events, share))
    }

    /// Goes on with a stream after an event.
    pub(crate) fn resume(&self, event: &EventId) -> Resumed {
        let mut state = self.state.lock();
        let resumed = state.streams.resume(event);
        if let Resumed::Goes(reader) = &resumed
            && !event.is_of_call()
        {
            state.missed.say_on(reader.stream());
        }
        resumed
    }

    pub(crate) fn bound_streams(&self) {
        self.state.lock().streams.bound();
    }

    pub(crate) fn ended_streams(&self) -> Vec<Ended> {
        self.state.lock().streams.ended()
    }

    pub(crate) fn forget_stream(&self, stream: &Arc<EventStream>) {
        self.state.lock().streams.forget(stream);
    }

    pub(crate) fn forget_read(&self, now: Instant) {
        self.state.lock().streams.forget_read(now);
    }

    /// Says something outside of calls to a client that listens, on one stream only; whether it does.
    pub(crate) fn say(&self, message: &[u8]) -> bool {
        self.state.lock().streams.say(&answer::event(message))
    }

    /// As [`Self::say`], or leaves it on a stream that the client may go on with.
    pub(crate) fn leave_word(&self, message: &[u8]) -> bool {
        self.state.lock().streams.leave_word(&answer::event(message))
    }

    pub(crate) fn lists_changed(&self, kinds: &[ListKind]) {
        let mut state = self.state.lock();
        for kind in kinds {
            let Some(notification) = list_changed(*kind) else { continue };
            if !state.streams.say(&answer::event(&notification)) {
                state.missed.lists |= 1 << *kind as u8;
            }
        }
    }

    pub(crate) fn resource_updated(&self, message: &Bytes) {
        let mut state = self.state.lock();
        if !state.streams.say(&answer::event(message))
            && state.missed.resources.len() < MISSED_RESOURCES_MAX
        {
            state.missed.resources.insert(message.clone());
        }
    }

    /// Whether it takes nothing new any more.
    pub(crate) fn has_ended(&self) -> bool {
        self.state.lock().ended
    }

    /// Ends calls and streams. The servers that held something for it: position and URIs.
    pub(crate) fn end(&self) -> BTreeSet<(usize, Box<str>)> {
        let mut state = self.state.lock();
        state.ended = true;
        for (_, control) in &state.calls {
            control.cancel();
        }
        state.streams.end();
        let unanswered = state.questions.close_everything();
        let subscriptions = std::mem::take(&mut state.subscriptions);
        drop(state);
        questions::answer_for_client(unanswered);
        subscriptions
    }
}

// === impl Missed ===

impl Missed {
    /// Says it, once.
    fn say_on(&mut self, stream: &EventStream) {
        let missed = std::mem::take(self);
        for kind in ListKind::ALL {
            if missed.lists & (1 << kind as u8) != 0
                && let Some(notification) = list_changed(kind)
            {
                stream.push(answer::event(&notification));
            }
        }
        for update in missed.resources {
            stream.push(answer::event(&update));
        }
    }
}

// === impl Control ===

impl Control {
    fn of(call: CallNo) -> Self {
        let (cancelled, answered) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { call, cancelled, answered, waker: AtomicWaker::new() }
    }

    /// The client has answered a question of the call.
    fn note_answer(&self) {
        self.answered.store(true, Ordering::Release);
        self.waker.wake();
    }

    /// Whether it has since this was asked last.
    pub(crate) fn take_answered(&self) -> bool {
        self.answered.swap(false, Ordering::AcqRel)
    }

    fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
        self.waker.wake();
    }

    pub(crate) fn poll_cancelled(&self, cx: &std::task::Context<'_>) -> bool {
        if self.cancelled.load(Ordering::Acquire) {
            return true;
        }
        self.waker.register(cx.waker());
        self.cancelled.load(Ordering::Acquire)
    }
}

/// The notification that a list has changed. Templates have none of their own: it is that of resources.
fn list_changed(kind: ListKind) -> Option<Bytes> {
    Some(build::notification(kind.changed()?.as_str(), None))
}
