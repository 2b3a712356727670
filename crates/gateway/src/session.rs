//! One client's conversation with the gateway.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use mainstay_model::Principal;
use mainstay_protocol::capabilities::ClientCapabilities;
use mainstay_protocol::list::ListKind;
use mainstay_protocol::{Id, Message, Revision, build, codes};
use mainstay_session::Token;
use mainstay_upstream::{Link, Owner};
use parking_lot::Mutex;

use crate::answer;
use crate::endpoint::Endpoint;
use crate::stream::EventStream;

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
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    calls: Vec<(Id, Arc<Control>)>,
    questions: HashMap<u64, Question>,
    next_question: u64,
    log_level: Option<LogLevel>,
    /// By position of the server in the endpoint, with the JSON text of the server's own URI.
    subscriptions: BTreeSet<(usize, Box<str>)>,
    /// GET streams, the newest last.
    standing: Vec<Arc<EventStream>>,
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

/// A request of a server to this client that waits for its answer.
#[derive(Debug)]
struct Question {
    link: Weak<Link>,
    id: Id,
}

/// What ends a call from outside.
#[derive(Debug, Default)]
pub(crate) struct Control {
    cancelled: AtomicBool,
    waker: AtomicWaker,
}

/// RFC 5424 severities as MCP names them, the most verbose first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LogLevel {
    Debug,
    Info,
    Notice,
    Warning,
    Error,
    Critical,
    Alert,
    Emergency,
}

/// GET streams a session may have open; the oldest gives way.
const STANDING_MAX: usize = 8;
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
            state: Mutex::default(),
        }
    }

    pub(crate) fn touch(&self) {
        let used = self.opened.elapsed().as_millis() as u64;
        self.used_ms.store(used, Ordering::Relaxed);
    }

    /// How long nobody has used it; zero while a call is in flight or a stream is open.
    pub(crate) fn idle_for(&self, now: Instant) -> Duration {
        let mut state = self.state.lock();
        state.standing.retain(|stream| stream.is_open());
        if !state.calls.is_empty() || !state.standing.is_empty() {
            return Duration::ZERO;
        }
        let used = self.opened + Duration::from_millis(self.used_ms.load(Ordering::Relaxed));
        now.saturating_duration_since(used)
    }

    /// Notes a call, so that the client can cancel it. Ids may be used twice at once.
    pub(crate) fn begin(&self, id: &Id) -> Arc<Control> {
        let control = Arc::new(Control::default());
        self.state.lock().calls.push((id.clone(), control.clone()));
        control
    }

    pub(crate) fn finish(&self, control: &Arc<Control>) {
        let mut state = self.state.lock();
        if let Some(at) = state.calls.iter().position(|(_, other)| Arc::ptr_eq(other, control)) {
            state.calls.swap_remove(at);
        }
        self.touch();
    }

    /// Cancels the calls with this id.
    pub(crate) fn cancel(&self, id: &[u8]) {
        let state = self.state.lock();
        for (_, control) in state.calls.iter().filter(|(other, _)| other.as_bytes() == id) {
            control.cancel();
        }
    }

    /// Takes a server's question under an id of ours; the message to send to the client.
    pub(crate) fn ask(&self, link: &Arc<Link>, question: &Message) -> Option<(u64, Bytes)> {
        let id = question.id()?;
        let mut state = self.state.lock();
        state.next_question += 1;
        let number = state.next_question;
        let question_of = Question { link: Arc::downgrade(link), id: id.detached() };
        state.questions.insert(number, question_of);
        Some((number, question.with_id(number.to_string().as_bytes())))
    }

    /// Whether the client said it can be asked this.
    pub(crate) fn can_be_asked(&self, method: &str) -> bool {
        match method {
            "sampling/createMessage" => self.capabilities.sampling,
            "elicitation/create" => {
                self.capabilities.elicitation || self.capabilities.elicitation_url
            }
            "roots/list" => self.capabilities.roots,
            _ => true,
        }
    }

    /// Takes the client's answer back to the server that asked. Unknown ids are ignored: the call
    /// the question belonged to may have ended.
    pub(crate) fn answered(&self, answer: &Message) {
        let Some(number) = answer.id_number() else { return };
        let question = self.state.lock().questions.remove(&number);
        if let Some(question) = question
            && let Some(link) = question.link.upgrade()
        {
            link.send(answer.with_id(question.id.as_bytes()));
        }
    }

    /// Forgets questions whose call has ended.
    pub(crate) fn forget(&self, questions: &[u64]) {
        let mut state = self.state.lock();
        for number in questions {
            state.questions.remove(number);
        }
    }

    /// Answers questions in the client's place: it is gone.
    pub(crate) fn refuse(&self, questions: &[u64]) {
        for number in questions {
            let question = self.state.lock().questions.remove(number);
            if let Some(question) = question
                && let Some(link) = question.link.upgrade()
            {
                let say = "the client that was asked has gone away";
                link.send(build::failure(Some(&question.id), codes::INTERNAL_ERROR, say));
            }
        }
    }

    /// Links with a question to this client open.
    pub(crate) fn asking(&self) -> Vec<Arc<Link>> {
        let state = self.state.lock();
        let mut links: Vec<Arc<Link>> = Vec::new();
        for link in state.questions.values().filter_map(|question| question.link.upgrade()) {
            if !links.iter().any(|other| Arc::ptr_eq(other, &link)) {
                links.push(link);
            }
        }
        links
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
        let wanted = self.log_level().unwrap_or(LogLevel::Info);
        level.is_none_or(|level| level >= wanted)
    }

    pub(crate) fn subscribed(&self, server: usize, uri: &str) {
        self.state.lock().subscriptions.insert((server, uri.into()));
    }

    pub(crate) fn unsubscribed(&self, server: usize, uri: &str) {
        self.state.lock().subscriptions.remove(&(server, uri.into()));
    }

    /// Opens a stream for what comes of its own accord, beginning with what was missed.
    pub(crate) fn stand(&self) -> Arc<EventStream> {
        let stream = Arc::new(EventStream::default());
        let mut state = self.state.lock();
        if state.ended {
            stream.end();
            return stream;
        }
        state.standing.retain(|stream| stream.is_open());
        if state.standing.len() >= STANDING_MAX {
            state.standing.remove(0).end();
        }
        let missed = std::mem::take(&mut state.missed);
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
        state.standing.push(stream.clone());
        stream
    }

    /// Takes a stream that is there already for what comes of its own accord.
    pub(crate) fn stand_on(&self, stream: Arc<EventStream>) {
        self.state.lock().standing.push(stream);
    }

    /// Says something outside of calls, on one stream only; whether there was one.
    pub(crate) fn say(&self, message: &[u8]) -> bool {
        let mut state = self.state.lock();
        state.standing.retain(|stream| stream.is_open());
        let event = answer::event(message);
        state.standing.iter().rev().any(|stream| stream.offer(event.clone()))
    }

    pub(crate) fn lists_changed(&self, kinds: &[ListKind]) {
        for kind in kinds {
            let Some(notification) = list_changed(*kind) else { continue };
            if !self.say(&notification) {
                self.state.lock().missed.lists |= 1 << *kind as u8;
            }
        }
    }

    pub(crate) fn resource_updated(&self, message: &Bytes) {
        if !self.say(message) {
            let mut state = self.state.lock();
            if state.missed.resources.len() < MISSED_RESOURCES_MAX {
                state.missed.resources.insert(message.clone());
            }
        }
    }

    /// Ends calls and streams. The servers that held something for it: position and URIs.
    pub(crate) fn end(&self) -> BTreeSet<(usize, Box<str>)> {
        let mut state = self.state.lock();
        state.ended = true;
        for (_, control) in &state.calls {
            control.cancel();
        }
        for stream in state.standing.drain(..) {
            stream.end();
        }
        state.questions.clear();
        std::mem::take(&mut state.subscriptions)
    }
}

// === impl Control ===

impl Control {
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

// === impl LogLevel ===

impl LogLevel {
    /// By its name, with or without the quotes of JSON.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(match text.trim_matches('"') {
            "debug" => Self::Debug,
            "info" => Self::Info,
            "notice" => Self::Notice,
            "warning" => Self::Warning,
            "error" => Self::Error,
            "critical" => Self::Critical,
            "alert" => Self::Alert,
            "emergency" => Self::Emergency,
            _ => return None,
        })
    }

    /// The JSON text of its name.
    pub(crate) fn to_json(self) -> String {
        format!("\"{}\"", format!("{self:?}").to_ascii_lowercase())
    }
}

/// The notification that a list has changed. Templates have none of their own: it is that of resources.
fn list_changed(kind: ListKind) -> Option<Bytes> {
    use mainstay_protocol::Notification as N;
    let method = match kind {
        ListKind::Tools => N::ToolsListChanged,
        ListKind::Resources => N::ResourcesListChanged,
        ListKind::Prompts => N::PromptsListChanged,
        ListKind::ResourceTemplates => return None,
    };
    Some(build::notification(method.as_str(), None))
}
