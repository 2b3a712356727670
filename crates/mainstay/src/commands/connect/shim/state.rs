//! The state of the conversation, and the operations that all modules share.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use mainstay_protocol::Message;

use super::call::Call;
use super::effect::Effect;
use super::limits::{HANDSHAKE, HEAD};
use super::memory::Memory;
use super::questions::Questions;
use super::session::Session;
use super::tools::Tools;

/// The conversation of one client.
#[derive(Debug)]
pub(in crate::commands::connect) struct Shim {
    pub(super) phase: Phase,
    pub(super) session: Session,
    /// What a new session must receive again. None before the first handshake is complete.
    pub(super) memory: Option<Memory>,
    pub(super) questions: Questions,
    pub(super) under_way: BTreeMap<u64, UnderWay>,
    pub(super) next_exchange: u64,
    pub(super) held: VecDeque<Held>,
    /// Listens whose stream ended and that are to be sent again.
    pub(super) fallen: Vec<Call>,
    pub(super) tools: Tools,
    /// Calls that wait for a listing of the tools.
    pub(super) looked_up: Vec<Call>,
    pub(super) retry: Retry,
    pub(super) stream: Stream,
    /// The session id in the response of an exchange in flight.
    pub(super) offered: Option<HeaderValue>,
    /// Whether a daemon has ever answered.
    pub(super) reached: bool,
    /// Why the last exchange failed.
    pub(super) trouble: Option<String>,
    /// After the client left: until when calls in flight may finish.
    pub(super) closing: Option<Instant>,
    pub(super) effects: Vec<Effect>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// No session. Messages are passed on, and the daemon judges them.
    Fresh,
    /// The client's `initialize` is in flight.
    Opening,
    /// `initialize` was answered; the client has not sent `initialized` yet.
    Greeted,
    /// Messages that the session must receive first are in flight.
    Settling,
    Open,
    /// The daemon can't be reached; `retry` says when to try again.
    Away,
    /// A ping checks whether the session still exists.
    Knocking,
    /// The shim opens a new session on behalf of the client.
    Reopening,
    Over,
}

#[derive(Debug)]
pub(super) struct UnderWay {
    pub(super) purpose: Purpose,
    pub(super) generation: u64,
}

#[derive(Debug)]
pub(super) enum Purpose {
    Call(Call),
    /// A notification or answer of the client.
    Note(Message),
    /// A message that the session must receive first. Its answer goes nowhere.
    Greet,
    Knock,
    Reopen,
    Listen,
    /// A page of the tool list, for calls with missing headers.
    LookUp {
        page: u16,
    },
}

#[derive(Debug)]
pub(super) enum Held {
    Call(Call),
    /// A notification or answer of the client.
    Note(Message),
}

#[derive(Debug)]
pub(super) struct Retry {
    /// Wait before the next attempt.
    pub(super) wait: Duration,
    pub(super) at: Option<Instant>,
    /// When the last attempt was made.
    pub(super) last: Option<Instant>,
}

/// The stream for messages outside of calls.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) state: Listening,
    /// Earliest time at which the stream is opened again.
    pub(super) not_before: Option<Instant>,
    /// The id of the last event received.
    pub(super) after: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listening {
    Off,
    Wanted,
    On(u64),
    /// The session offers no such stream.
    Never,
}

// === impl Shim ===

impl Shim {
    pub(in crate::commands::connect) fn new() -> Self {
        Self {
            phase: Phase::Fresh,
            session: Session::default(),
            memory: None,
            questions: Questions::default(),
            under_way: BTreeMap::new(),
            next_exchange: 0,
            held: VecDeque::new(),
            fallen: Vec::new(),
            tools: Tools::default(),
            looked_up: Vec::new(),
            retry: Retry { wait: Duration::ZERO, at: None, last: None },
            stream: Stream { state: Listening::Off, not_before: None, after: None },
            offered: None,
            reached: false,
            trouble: None,
            closing: None,
            effects: Vec::new(),
        }
    }

    pub(super) fn say(&mut self, message: Bytes) {
        if self.phase != Phase::Over {
            self.effects.push(Effect::Say(message));
        }
    }

    pub(super) fn send(
        &mut self,
        purpose: Purpose,
        message: Bytes,
        headers: HeaderMap,
        within: Duration,
    ) {
        let exchange = self.begin(purpose);
        self.effects.push(Effect::Send { exchange, message, headers, within });
    }

    /// Sends a request, if messages pass.
    pub(super) fn send_call(&mut self, call: Call) {
        let headers = match call.is_modern {
            true => self.tools.headers(&call.message),
            false => self.session.headers(),
        };
        let within = if call.is_initialize() { HANDSHAKE } else { HEAD };
        let message = call.message.bytes().clone();
        self.send(Purpose::Call(call), message, headers, within);
    }

    /// Whether the response of an exchange may carry a new session id.
    pub(super) fn opens_a_session(&self, exchange: u64) -> bool {
        match self.under_way.get(&exchange).map(|of| &of.purpose) {
            Some(Purpose::Call(call)) => call.is_initialize(),
            Some(Purpose::Reopen) => true,
            _ => false,
        }
    }

    pub(super) fn begin(&mut self, purpose: Purpose) -> u64 {
        self.next_exchange += 1;
        let of = UnderWay { purpose, generation: self.session.generation };
        self.under_way.insert(self.next_exchange, of);
        self.next_exchange
    }

    pub(super) fn take_call(&mut self, exchange: u64) -> Option<Call> {
        match self.under_way.remove(&exchange)?.purpose {
            Purpose::Call(call) => Some(call),
            _ => None,
        }
    }
}

// === impl Held ===

impl Held {
    pub(super) fn waits_until(&self) -> Option<Instant> {
        match self {
            Self::Call(call) => call.waits_until,
            Self::Note(_) => None,
        }
    }
}
