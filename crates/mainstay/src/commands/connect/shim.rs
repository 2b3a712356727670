//! What passes between a client on standard input and output and its session with the daemon,
//! decided without I/O and without a clock.
//!
//! The driver hands in what happened and when, and carries out the [`Effect`]s in order. Each
//! message goes as an exchange of its own, known by a number; what is heard of one that is over
//! changes nothing.
//!
//! ```text
//!  Fresh ─ initialize ─▶ Opening ─ answer ─▶ Greeted ─ initialized ─▶ Settling ─▶ Open
//!    ▲                                                                   ▲  ▲       │ lost
//!    └── no session yet ── Away ── try again ──▶ Knocking ─ it lives ────┘  │       ▼
//!                           ▲ ▲                     └ it is gone ─▶ Reopening      Away
//!                           └─┴────────────── not there yet ───────────┘
//! ```
//! Only in `Fresh`, `Greeted` and `Open` do messages pass; in every other phase they wait.
//!
//! A client of 2026-07-28 has no session: it stays in `Fresh`, from which there is a way to `Away`
//! and over `Knocking` back. What it asks may be mixed with all that a session is about, as it is
//! by clients that try both.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use mainstay_protocol::framing::lines::LineTooLong;
use mainstay_protocol::{Malformed, Message, Method, build, discover, envelope};

use self::call::Call;
use self::memory::Memory;
use self::questions::Questions;
use self::session::Session;
use self::tools::Tools;

mod call;
mod client;
mod daemon;
mod listens;
mod lookup;
mod memory;
mod outcome;
mod questions;
mod session;
#[cfg(test)]
mod tests;
mod tools;
mod waiting;

/// The conversation of one client.
#[derive(Debug)]
pub(super) struct Shim {
    phase: Phase,
    session: Session,
    /// What a new session has to hear again; none before the first handshake has come to its end.
    memory: Option<Memory>,
    questions: Questions,
    under_way: BTreeMap<u64, UnderWay>,
    next_exchange: u64,
    held: VecDeque<Held>,
    /// Listens whose stream is gone, until it is asked for again.
    fallen: Vec<Call>,
    tools: Tools,
    /// Calls that wait for a list of the tools.
    looked_up: Vec<Call>,
    retry: Retry,
    stream: Stream,
    /// The session id that came with the answer under way.
    offered: Option<HeaderValue>,
    /// Somebody has answered at least once.
    reached: bool,
    /// Why the last exchange that came to nothing did.
    trouble: Option<String>,
    /// When the client has left: until then what is in flight may finish.
    closing: Option<Instant>,
    effects: Vec<Effect>,
}

/// What the driver has to do.
#[derive(Debug)]
pub(super) enum Effect {
    /// Write a message to the client.
    Say(Bytes),
    /// POST a message.
    Send { exchange: u64, message: Bytes, headers: HeaderMap, within: Duration },
    /// Open the stream for what comes of its own accord, after the event with this id.
    Listen { exchange: u64, headers: HeaderMap, after: Option<String> },
    /// Close the exchange: nobody wants to hear more of it.
    Abandon(u64),
    /// DELETE a session.
    Forget(HeaderMap),
    /// End, with a last word to the session if there is one.
    Leave { why: Leaving, farewell: Option<HeaderMap> },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Leaving {
    /// The client has left.
    Done,
    /// There was never a daemon, as far as is known for this reason.
    NoDaemon(String),
}

/// What became of an exchange so far.
#[derive(Debug)]
pub(super) enum News {
    /// The answer carries this session id.
    Session(HeaderValue),
    /// Where a stream is to be taken up again.
    Mark(String),
    Came(Message),
    Ended(End),
}

/// How an exchange ended.
#[derive(Debug)]
pub(super) enum End {
    /// As it should; an answer, where one was due, has come before.
    Done,
    /// Nothing of the message has been taken in by anybody.
    Unreached(String),
    /// The message was sent, and the rest is unknown.
    Lost(String),
    /// The session does not exist, so the message was not looked at.
    SessionGone,
    /// There are no streams of this kind here.
    NoStream,
    Refused {
        status: StatusCode,
        body: Bytes,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// No session. Messages go as they are, and the daemon says what it thinks of them.
    Fresh,
    /// The client's `initialize` is on its way.
    Opening,
    /// It was answered; the client has yet to say `initialized`.
    Greeted,
    /// What the session has to hear first is on its way.
    Settling,
    Open,
    /// The daemon is not there; `retry` says when to look again.
    Away,
    /// Asking whether the session is still there.
    Knocking,
    /// A new session is being opened in the client's name.
    Reopening,
    Over,
}

#[derive(Debug)]
struct UnderWay {
    purpose: Purpose,
    generation: u64,
}

#[derive(Debug)]
enum Purpose {
    Call(Call),
    /// Something of the client without an answer.
    Note(Message),
    /// What a session has to hear first: its answers are for nobody.
    Greet,
    Knock,
    Reopen,
    Listen,
    /// A page of the tools' list, for calls that lack something.
    LookUp {
        page: u16,
    },
}

#[derive(Debug)]
enum Held {
    Call(Call),
    /// Something of the client without an answer.
    Note(Message),
}

#[derive(Debug)]
struct Retry {
    /// Before the next attempt.
    wait: Duration,
    at: Option<Instant>,
    /// The last attempt.
    last: Option<Instant>,
}

/// The stream for what comes of its own accord.
#[derive(Debug)]
struct Stream {
    state: Listening,
    /// Not opened again before this, however quickly it ends.
    not_before: Option<Instant>,
    /// The id of the last event.
    after: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Listening {
    Off,
    Wanted,
    On(u64),
    /// The session has no such stream.
    Never,
}

/// How long the first request waits for a daemon.
const START_MAX: Duration = Duration::from_secs(5);
/// How long a request waits for a daemon that was there before.
const AWAY_MAX: Duration = Duration::from_secs(30);
/// How long calls in flight may go on when the client has left.
const CLOSING_MAX: Duration = Duration::from_secs(5);
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(2);
/// After so much time without trouble the first attempt is made at once again.
const CALM_AFTER: Duration = Duration::from_secs(10);
/// Between two openings of the stream.
const STREAM_PAUSE: Duration = Duration::from_secs(1);
/// A daemon answers `ping` from memory.
const KNOCK: Duration = Duration::from_secs(5);
/// `initialize` may have to wait for a server that is starting, 30 s by default.
const HANDSHAKE: Duration = Duration::from_secs(60);
/// Until the head of an answer: the gateway answers or begins a stream after 10 s, where it can.
const HEAD: Duration = Duration::from_secs(120);
/// Exchanges at once, a connection each: half of the files that a process commonly may have open.
const UNDER_WAY_MAX: usize = 512;
/// Requests that wait. Far above what people and agents ask at once; beyond it they are refused,
/// for as long as the client is read from it can still cancel and answer.
const HELD_MAX: usize = 2048;
/// Notifications that wait, beyond which they are dropped: none of them is vital.
const NOTES_HELD_MAX: usize = 256;

// === impl Shim: what happens ===

impl Shim {
    pub(super) fn new() -> Self {
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

    /// What is to be done now, in this order.
    pub(super) fn effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// A line came from the client.
    pub(super) fn line(&mut self, now: Instant, line: Result<Bytes, LineTooLong>) {
        match line.map(|line| (line.clone(), Message::parse(line))) {
            Err(too_long) => self.say(outcome::too_long(&too_long)),
            Ok((_, Ok(message))) => self.take(now, message),
            Ok((line, Err(Malformed::Batch))) => match envelope::batch(&line) {
                Ok(messages) => {
                    for message in messages {
                        match Message::parse(message) {
                            Ok(message) => self.take(now, message),
                            Err(problem) => self.say(outcome::malformed(&problem)),
                        }
                    }
                }
                Err(problem) => self.say(outcome::malformed(&problem)),
            },
            Ok((_, Err(problem))) => self.say(outcome::malformed(&problem)),
        }
        self.leave_if_done(now);
    }

    /// The client says no more.
    pub(super) fn close(&mut self, now: Instant) {
        self.closing.get_or_insert(now + CLOSING_MAX);
        self.leave_if_done(now);
    }

    /// What is in flight is waited for no longer.
    pub(super) fn hurry(&mut self, now: Instant) {
        self.closing = Some(now);
        self.leave_if_done(now);
    }

    /// Something was heard of an exchange.
    pub(super) fn heard(&mut self, now: Instant, exchange: u64, news: News) {
        if !self.under_way.contains_key(&exchange) {
            return;
        }
        match &news {
            News::Ended(End::Unreached(why) | End::Lost(why)) => self.trouble = Some(why.clone()),
            _ => self.reached = true,
        }
        match news {
            News::Session(id) if self.opens_a_session(exchange) => self.offered = Some(id),
            News::Session(_) => {}
            News::Mark(id) => self.stream.after = Some(id).filter(|id| !id.is_empty()),
            News::Came(message) => self.came(now, exchange, &message),
            News::Ended(end) => self.ended(now, exchange, &end),
        }
        self.flush(now);
        self.leave_if_done(now);
    }

    /// Time has passed.
    pub(super) fn tick(&mut self, now: Instant) {
        self.expire(now);
        if self.phase == Phase::Away && self.retry.at.is_some_and(|at| at <= now) {
            self.try_again(now);
        }
        self.listen(now);
        self.listen_again(now);
        self.leave_if_done(now);
    }

    /// When to call [`tick`](Self::tick) next.
    pub(super) fn wakes_at(&self) -> Option<Instant> {
        let retry = self.retry.at.filter(|_| self.phase == Phase::Away);
        let expiry = self.held.iter().filter_map(Held::waits_until).min();
        let expiry = expiry.filter(|_| self.expires());
        let wanted = self.phase == Phase::Open && self.stream.state == Listening::Wanted;
        let stream = self.stream.not_before.filter(|_| wanted);
        let fallen = self.fallen.iter().filter_map(Call::falls_due).min();
        let fallen = fallen.filter(|_| self.passes());
        [retry, expiry, stream, fallen, self.closing].into_iter().flatten().min()
    }
}

// === impl Shim: what it does about it ===

impl Shim {
    fn say(&mut self, message: Bytes) {
        if self.phase != Phase::Over {
            self.effects.push(Effect::Say(message));
        }
    }

    fn send(&mut self, purpose: Purpose, message: Bytes, headers: HeaderMap, within: Duration) {
        let exchange = self.begin(purpose);
        self.effects.push(Effect::Send { exchange, message, headers, within });
    }

    /// Sends a request that may pass.
    fn send_call(&mut self, call: Call) {
        let headers = match call.is_modern {
            true => self.tools.headers(&call.message),
            false => self.session.headers(),
        };
        let within = if call.is_initialize() { HANDSHAKE } else { HEAD };
        let message = call.message.bytes().clone();
        self.send(Purpose::Call(call), message, headers, within);
    }

    /// Whether the answer to an exchange may bring the id of a session.
    fn opens_a_session(&self, exchange: u64) -> bool {
        match self.under_way.get(&exchange).map(|of| &of.purpose) {
            Some(Purpose::Call(call)) => call.is_initialize(),
            Some(Purpose::Reopen) => true,
            _ => false,
        }
    }

    fn begin(&mut self, purpose: Purpose) -> u64 {
        self.next_exchange += 1;
        let of = UnderWay { purpose, generation: self.session.generation };
        self.under_way.insert(self.next_exchange, of);
        self.next_exchange
    }

    fn take_call(&mut self, exchange: u64) -> Option<Call> {
        match self.under_way.remove(&exchange)?.purpose {
            Purpose::Call(call) => Some(call),
            _ => None,
        }
    }
}

// === impl Held ===

impl Held {
    fn waits_until(&self) -> Option<Instant> {
        match self {
            Self::Call(call) => call.waits_until,
            Self::Note(_) => None,
        }
    }
}

/// A message of ours that asks whether somebody is there.
fn ping() -> Bytes {
    Bytes::from_static(br#"{"jsonrpc":"2.0","id":"mainstay-connect","method":"ping"}"#)
}

/// The same without a session: 2026-07-28 has no such method, which everybody knows at once.
fn ping_without_session() -> Bytes {
    let params = discover::params("mainstay-connect", env!("CARGO_PKG_VERSION"));
    build::request(0, Method::Ping.as_str(), Some(&params))
}

/// The notification that takes a question back.
fn cancelled(question: u64) -> Bytes {
    build::cancelled(question, "the call it belonged to has ended")
}
