//! Finds the session again after the daemon was away, or opens a new one.

use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderMap;
use mainstay_protocol::{Kind, Message, Method, build, discover};

use super::call::Call;
use super::effect::Effect;
use super::limits::{CALM_AFTER, HANDSHAKE, KNOCK, RETRY_FIRST, RETRY_MAX};
use super::session::Session;
use super::state::{Held, Phase, Purpose, Shim};
use super::{memory, outcome};

// === impl Shim ===

impl Shim {
    /// Begins to look for the daemon, the first time at once.
    pub(super) fn away(&mut self, now: Instant) {
        if self.retry.last.is_none_or(|last| last + CALM_AFTER <= now) {
            self.calm();
        }
        self.away_for_a_while(now);
    }

    /// Begins to look for the daemon after the next wait.
    pub(super) fn away_for_a_while(&mut self, now: Instant) {
        self.phase = Phase::Away;
        let until = now + self.daemon_wait_max();
        for held in &mut self.held {
            if let Held::Call(call) = held {
                call.waits_until.get_or_insert(until);
            }
        }
        self.retry.at = Some(now + self.retry.wait);
        self.retry.wait = (self.retry.wait * 2).clamp(RETRY_FIRST, RETRY_MAX);
    }

    /// Makes the next attempt to reach the daemon and the session.
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

    /// Handles that the daemon is back, and the session if there was one.
    pub(super) fn found(&mut self, now: Instant) {
        self.wake_fallen(now);
        if self.session.is_open {
            self.settle(now);
        } else {
            self.phase = Phase::Fresh;
            self.flush(now);
        }
    }

    /// Whether only requests without a session wait, which can all be sent as soon as there is a
    /// daemon.
    pub(super) fn waits_without_a_session(&self) -> bool {
        let mut calls = self.held.iter().filter_map(|held| match held {
            Held::Call(call) => Some(call),
            Held::Note(_) => None,
        });
        calls.clone().any(|call| call.is_modern) && !calls.any(Call::is_initialize)
    }

    /// Opens a new session by repeating the client's `initialize`.
    pub(super) fn reopen(&mut self) {
        self.session.is_open = false;
        let Some(memory) = &self.memory else { return };
        let initialize = memory.initialize.clone();
        self.phase = Phase::Reopening;
        self.send(Purpose::Reopen, initialize, HeaderMap::new(), HANDSHAKE);
    }

    /// Handles the answer to the shim's own `initialize`.
    pub(super) fn reopened(&mut self, now: Instant, answer: &Message) {
        if answer.kind() == Kind::Error {
            if !outcome::is_stopping(answer) {
                self.refuse_waiting(answer.body().unwrap_or_default());
            }
            return self.away(now);
        }
        tracing::info!("a new session replaces the lost one");
        self.begin_session(memory::revision(answer), true);
        self.calm();
        // Notifications and answers to questions belong to the lost session.
        self.held.retain(|held| matches!(held, Held::Call(_)));
        self.end_questions();
        self.settle(now);
    }

    /// Forgets the session. The client's next `initialize` opens another.
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

    pub(super) fn end_questions(&mut self) {
        for cancelled in self.questions.end_all() {
            self.say(cancelled);
        }
    }

    /// Resets the retries after a quiet time, so that the next attempt is made at once.
    pub(super) fn calm(&mut self) {
        self.retry.wait = Duration::ZERO;
    }
}

/// A `ping` in the session.
fn ping() -> Bytes {
    Bytes::from_static(br#"{"jsonrpc":"2.0","id":"mainstay-connect","method":"ping"}"#)
}

/// A `ping` without a session. 2026-07-28 has no such method, and any daemon refuses it at once.
fn ping_without_session() -> Bytes {
    let params = discover::params("mainstay-connect", env!("CARGO_PKG_VERSION"));
    build::request(0, Method::Ping.as_str(), Some(&params))
}
