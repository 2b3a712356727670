//! One client's conversation with the gateway.

pub(crate) mod handshake;
pub(crate) mod levels;
pub(crate) mod questions;
pub(crate) mod restore;
pub(crate) mod subscribe;
pub(crate) mod table;

mod stored;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use mainstay_model::{EndpointId, Principal, ServerId};
use mainstay_protocol::capabilities::ClientCapabilities;
use mainstay_protocol::list::ListKind;
use mainstay_protocol::{Id, Revision, build};
use mainstay_session::{CallNo, Questions, Serial, Token};
use mainstay_upstream::SessionNo;
use parking_lot::Mutex;

use self::levels::LogLevel;
use self::questions::Asking;
use self::restore::Restoring;
use crate::answer;
use crate::endpoint::lasting::Lasting;
use crate::endpoint::listeners::{ListChanges, Listen, Told};
use crate::stream::EventStream;
use crate::stream::kept::Kept;
use crate::stream::resume::{Ended, EventId, Name, Resumed, Streams};

/// A session from `initialize` to its end. An idle one is a few hundred bytes.
#[derive(Debug)]
pub struct Session {
    /// Its number: what pools and links know it by.
    pub(crate) owner: SessionNo,
    /// Whose calls take turns with those of others where they wait: the session, or, without one, the
    /// connection.
    pub(crate) user: u64,
    pub(crate) token: Token,
    pub(crate) principal: Principal,
    pub(crate) revision: Revision,
    pub(crate) capabilities: ClientCapabilities,
    /// The JSON that declares them to servers.
    pub(crate) capabilities_json: Arc<str>,
    pub(crate) endpoint: EndpointId,
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
    /// By server, with the JSON text of the server's own URI.
    subscriptions: BTreeSet<(ServerId, Box<str>)>,
    streams: Streams,
    /// Its transport has one stream, which is never taken up again: it ends with it.
    on_one_stream: bool,
    /// The changes of lists that the client was told of.
    told: Told,
    /// Updated resources to tell of when a GET stream is opened: no more than the client has asked for.
    missed: BTreeSet<Bytes>,
    ended: bool,
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
        owner: SessionNo,
        token: Token,
        principal: Principal,
        revision: Revision,
        capabilities: ClientCapabilities,
        endpoint: EndpointId,
    ) -> Self {
        Self {
            owner,
            user: owner.0,
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
        owner: SessionNo,
        principal: Principal,
        revision: Revision,
        capabilities: ClientCapabilities,
        log_level: Option<LogLevel>,
        endpoint: EndpointId,
        connection: u64,
    ) -> Self {
        let session = Self {
            // Connections are counted apart from sessions.
            user: connection | 1 << 63,
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

    /// Whether a call of it is in flight.
    pub(crate) fn is_busy(&self) -> bool {
        !self.state.lock().calls.is_empty()
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
    pub(crate) fn subscribed(&self, server: ServerId, uri: &str) -> bool {
        let mut state = self.state.lock();
        if !state.ended {
            state.subscriptions.insert((server, uri.into()));
        }
        !state.ended
    }

    pub(crate) fn unsubscribed(&self, server: ServerId, uri: &str) {
        self.state.lock().subscriptions.remove(&(server, uri.into()));
    }

    /// Takes the client for one that knows the lists as they are told of so far.
    pub(crate) fn begin_with(&mut self, told: Told) {
        self.state.get_mut().told = told;
    }

    /// Opens a stream for what comes of its own accord, beginning with what was missed; `at` is what lasts
    /// of the session's endpoint.
    pub(crate) fn stand(self: &Arc<Self>, at: &Lasting, kept: &Arc<Kept>) -> Arc<EventStream> {
        let stream = self.new_stream(kept, Name::standing);
        at.listeners.enter(self.owner.0, self, || {
            let mut state = self.state.lock();
            if state.ended {
                stream.end();
                return false;
            }
            state.say_missed(&stream, &at.changes);
            state.streams.stand(stream.clone());
            true
        });
        stream
    }

    /// Takes a stream that is there already for everything: its transport has no other.
    pub(crate) fn stand_on(self: &Arc<Self>, at: &Lasting, stream: Arc<EventStream>) {
        at.listeners.enter(self.owner.0, self, || {
            let mut state = self.state.lock();
            state.on_one_stream = true;
            state.streams.stand(stream);
            !state.ended
        });
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
    pub(crate) fn resume(&self, at: &Lasting, event: &EventId) -> Resumed {
        let mut state = self.state.lock();
        let resumed = state.streams.resume(event);
        if let Resumed::Goes(reader) = &resumed
            && !event.is_of_call()
        {
            state.say_missed(reader.stream(), &at.changes);
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

    /// Tells the client of changed lists that it was not told of, if it listens.
    pub(crate) fn lists_changed(&self, changes: &ListChanges) {
        let mut state = self.state.lock();
        let state = &mut *state;
        let now = changes.now();
        say_changed(&mut state.told, now, |event| state.streams.say(event));
    }

    pub(crate) fn resource_updated(&self, message: &Bytes) {
        let mut state = self.state.lock();
        if !state.streams.say(&answer::event(message)) && state.missed.len() < MISSED_RESOURCES_MAX
        {
            state.missed.insert(message.clone());
        }
    }

    /// Whether it takes nothing new any more.
    pub(crate) fn has_ended(&self) -> bool {
        self.state.lock().ended
    }

    /// Ends calls and streams. What servers held for it: the server and the URI.
    pub(crate) fn end(&self) -> BTreeSet<(ServerId, Box<str>)> {
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

impl Listen for Session {
    fn listens(&self) -> bool {
        self.state.lock().streams.stands()
    }
}

// === impl State ===

impl State {
    /// Says what the client has missed, once.
    fn say_missed(&mut self, stream: &EventStream, changes: &ListChanges) {
        say_changed(&mut self.told, changes.now(), |event| {
            stream.push(event.clone());
            true
        });
        for update in std::mem::take(&mut self.missed) {
            stream.push(answer::event(&update));
        }
    }
}

/// Says which lists have changed since `told`, and notes what `say` has brought to the client.
fn say_changed(told: &mut Told, now: Told, mut say: impl FnMut(&Bytes) -> bool) {
    for kind in ListKind::ALL {
        let at = kind as usize;
        if told[at] == now[at] {
            continue;
        }
        let is_said = list_changed(kind).is_none_or(|message| say(&answer::event(&message)));
        if is_said {
            told[at] = now[at];
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
