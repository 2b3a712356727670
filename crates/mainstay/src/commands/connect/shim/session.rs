//! Sessions: how one comes to be, how it is found again, how another takes its place.

use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderName, HeaderValue};
use mainstay_protocol::headers::{PROTOCOL_VERSION, SESSION_ID};
use mainstay_protocol::{Kind, Message};

use super::call::Call;
use super::memory::{self, Memory};
use super::{
    CALM_AFTER, Effect, End, HANDSHAKE, HEAD, Held, KNOCK, Listening, Phase, Purpose, RETRY_FIRST,
    RETRY_MAX, START_MAX, STREAM_PAUSE, Shim, outcome, ping, ping_without_session,
};

/// The session with the daemon.
#[derive(Debug, Default)]
pub(super) struct Session {
    /// Tells the sessions of one client apart.
    pub(super) generation: u64,
    /// As far as is known.
    pub(super) is_open: bool,
    id: Option<HeaderValue>,
    revision: Option<HeaderValue>,
    heard: Heard,
    /// Opened in the client's name, in the place of another.
    is_successor: bool,
}

/// How much of what it has to hear first a session has heard.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Heard {
    #[default]
    Nothing,
    /// `initialized`, and so many of the things an earlier session was told.
    Repeated(usize),
    All,
}

/// Exchanges that tell a new session what the client subscribed to.
const REPEATED_AT_ONCE: usize = 64;

// === impl Session ===

impl Session {
    /// What every message of the session carries.
    pub(super) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(2);
        for (name, value) in [(SESSION_ID, &self.id), (PROTOCOL_VERSION, &self.revision)] {
            if let Some(value) = value {
                headers.insert(HeaderName::from_static(name), value.clone());
            }
        }
        headers
    }

    /// Whether there is something to be ended.
    pub(super) fn has_end(&self) -> bool {
        self.is_open && self.id.is_some()
    }
}

// === impl Shim: opening ===

impl Shim {
    /// The client's own `initialize` was answered.
    pub(super) fn opened(&mut self, now: Instant, mut call: Call, answer: &Message) {
        if let Some(memory) = Memory::new(&call, answer) {
            self.begin_session(memory::revision(answer), false);
            self.memory = Some(memory);
            self.calm();
            self.say(call.answer(answer));
            self.phase = Phase::Greeted;
            return self.flush(now);
        }
        self.phase = Phase::Fresh;
        // A daemon that is being restarted is not there yet.
        if outcome::is_stopping(answer) && now < *call.waits_until.get_or_insert(now + START_MAX) {
            call.note_refusal(answer);
            self.hold(now, call);
            return self.away(now);
        }
        self.say(call.answer(answer));
        self.flush(now);
    }

    /// Tells a session what it has to hear before anything else, one thing after the other, and
    /// lets messages pass when it has.
    pub(super) fn settle(&mut self, now: Instant) {
        let Some(memory) = &self.memory else { return };
        let Some(initialized) = &memory.initialized else {
            self.phase = Phase::Greeted;
            return self.flush(now);
        };
        let next = match self.session.heard {
            Heard::Nothing => vec![initialized.clone()],
            Heard::Repeated(so_far) if self.session.is_successor => {
                memory.replay().into_iter().skip(so_far).take(REPEATED_AT_ONCE).collect()
            }
            Heard::Repeated(_) | Heard::All => Vec::new(),
        };
        if !next.is_empty() {
            self.phase = Phase::Settling;
            for message in next {
                self.send(Purpose::Greet, message, self.session.headers(), HEAD);
            }
        } else if self.session.heard == Heard::All {
            self.phase = Phase::Open;
            if self.stream.state == Listening::Off {
                self.stream.state = Listening::Wanted;
            }
            self.listen(now);
            self.flush(now);
        } else {
            self.told(now);
        }
    }

    /// The session has heard one of the things it had to hear, or has not.
    pub(super) fn greeted(&mut self, now: Instant, generation: u64, end: &End) {
        if generation != self.session.generation || self.phase != Phase::Settling {
            return;
        }
        match end {
            End::SessionGone => self.reopen(),
            End::Unreached(_) | End::Lost(_) => self.away(now),
            End::Done | End::NoStream | End::Refused { .. } => {
                let mut others = self.under_way.values();
                if !others.any(|of| matches!(of.purpose, Purpose::Greet)) {
                    self.told(now);
                }
            }
        }
    }

    /// One more step of what a session has to hear is behind it.
    fn told(&mut self, now: Instant) {
        self.session.heard = match self.session.heard {
            Heard::Nothing => Heard::Repeated(0),
            Heard::Repeated(so_far)
                if self.session.is_successor && so_far + REPEATED_AT_ONCE < self.to_repeat() =>
            {
                Heard::Repeated(so_far + REPEATED_AT_ONCE)
            }
            Heard::Repeated(_) | Heard::All => Heard::All,
        };
        if self.session.heard == Heard::All && self.session.is_successor {
            // What the client knows may be of yesterday.
            for notice in self.memory.as_ref().map(Memory::notices).unwrap_or_default() {
                self.say(notice);
            }
        }
        self.settle(now);
    }

    fn to_repeat(&self) -> usize {
        self.memory.as_ref().map_or(0, |memory| memory.replay().len())
    }

    fn begin_session(&mut self, revision: Option<HeaderValue>, is_successor: bool) {
        self.stop_listening();
        // What is left of an earlier greeting is of no use to this session.
        self.under_way.retain(|_, of| !matches!(of.purpose, Purpose::Greet));
        self.session = Session {
            generation: self.session.generation + 1,
            is_open: true,
            id: self.offered.take().map(secret),
            revision,
            heard: Heard::Nothing,
            is_successor,
        };
    }
}

// === impl Shim: losing and finding again ===

impl Shim {
    /// Looks for the daemon again after a while, the first time at once.
    pub(super) fn away(&mut self, now: Instant) {
        if self.retry.last.is_none_or(|last| last + CALM_AFTER <= now) {
            self.calm();
        }
        self.away_for_a_while(now);
    }

    /// Looks for it again, but not at once.
    pub(super) fn away_for_a_while(&mut self, now: Instant) {
        self.phase = Phase::Away;
        let until = now + self.patience();
        for held in &mut self.held {
            if let Held::Call(call) = held {
                call.waits_until.get_or_insert(until);
            }
        }
        self.retry.at = Some(now + self.retry.wait);
        self.retry.wait = (self.retry.wait * 2).clamp(RETRY_FIRST, RETRY_MAX);
    }

    /// The next attempt to find a daemon and the session.
    pub(super) fn try_again(&mut self, now: Instant) {
        self.retry.at = None;
        self.retry.last = Some(now);
        if self.session.is_open {
            self.phase = Phase::Knocking;
            self.send(Purpose::Knock, ping(), self.session.headers(), KNOCK);
        } else if self.memory.is_some() {
            self.reopen();
        } else if self.reached && self.waits_without_a_session() {
            let Ok(ping) = Message::parse(ping_without_session()) else { return };
            self.phase = Phase::Knocking;
            let headers = self.tools.headers(&ping);
            self.send(Purpose::Knock, ping.into_bytes(), headers, KNOCK);
        } else {
            self.found(now);
        }
    }

    /// The daemon is there, and the session if there was one.
    pub(super) fn found(&mut self, now: Instant) {
        self.wake_fallen(now);
        if self.session.is_open {
            self.settle(now);
        } else {
            self.phase = Phase::Fresh;
            self.flush(now);
        }
    }

    /// Whether requests wait that are all sent at once when there is a daemon, and nothing that
    /// has to come before them.
    fn waits_without_a_session(&self) -> bool {
        let mut calls = self.held.iter().filter_map(|held| match held {
            Held::Call(call) => Some(call),
            Held::Note(_) => None,
        });
        calls.clone().any(|call| call.is_modern) && !calls.any(Call::is_initialize)
    }

    /// Opens a new session in the client's name.
    pub(super) fn reopen(&mut self) {
        self.session.is_open = false;
        let Some(memory) = &self.memory else { return };
        let initialize = memory.initialize.clone();
        self.phase = Phase::Reopening;
        self.send(Purpose::Reopen, initialize, HeaderMap::new(), HANDSHAKE);
    }

    /// Our `initialize` was answered.
    pub(super) fn reopened(&mut self, now: Instant, answer: &Message) {
        if answer.kind() == Kind::Error {
            if !outcome::is_stopping(answer) {
                self.refuse_waiting(answer.body().unwrap_or_default());
            }
            return self.away(now);
        }
        tracing::info!("a new session takes the place of the one that was lost");
        self.begin_session(memory::revision(answer), true);
        self.calm();
        // Answers to the questions of the lost session, and the like.
        self.held.retain(|held| matches!(held, Held::Call(_)));
        self.end_questions();
        self.settle(now);
    }

    /// The client begins anew, without a word about the session it may have had.
    pub(super) fn forget_session(&mut self) {
        if self.session.has_end() {
            self.effects.push(Effect::Forget(self.session.headers()));
        }
        self.end_questions();
        self.stop_listening();
        let generation = self.session.generation + 1;
        self.session = Session { generation, ..Session::default() };
        self.memory = None;
    }

    fn end_questions(&mut self) {
        for cancelled in self.questions.end_all() {
            self.say(cancelled);
        }
    }

    /// All is well: the next trouble begins with an attempt at once.
    pub(super) fn calm(&mut self) {
        self.retry.wait = Duration::ZERO;
    }
}

// === impl Shim: listening ===

impl Shim {
    /// Opens the stream, once it is wanted and its time has come.
    pub(super) fn listen(&mut self, now: Instant) {
        let is_time = self.stream.not_before.is_none_or(|at| at <= now);
        if self.phase == Phase::Open && self.stream.state == Listening::Wanted && is_time {
            let exchange = self.begin(Purpose::Listen);
            self.stream.state = Listening::On(exchange);
            self.stream.not_before = Some(now + STREAM_PAUSE);
            let after = self.stream.after.clone();
            self.effects.push(Effect::Listen { exchange, headers: self.session.headers(), after });
        }
    }

    fn stop_listening(&mut self) {
        if let Listening::On(exchange) = self.stream.state {
            self.under_way.remove(&exchange);
            self.effects.push(Effect::Abandon(exchange));
        }
        self.stream.state = Listening::Off;
        self.stream.after = None;
        self.stream.not_before = None;
    }
}

/// Whoever knows a session's id has the session: it is not for logs.
fn secret(mut id: HeaderValue) -> HeaderValue {
    id.set_sensitive(true);
    id
}
