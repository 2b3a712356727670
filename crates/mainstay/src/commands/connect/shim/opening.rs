//! Opens a session and sends it everything it must receive first.

use std::time::Instant;

use http::HeaderValue;
use mainstay_protocol::Message;

use super::call::Call;
use super::effect::End;
use super::limits::{HEAD, START_MAX};
use super::memory::{self, Memory};
use super::outcome;
use super::session::{Heard, Session};
use super::state::{Listening, Phase, Purpose, Shim};

/// Most subscriptions repeated at once to a new session.
const REPEATED_AT_ONCE: usize = 64;

// === impl Shim ===

impl Shim {
    /// Handles the answer to the client's own `initialize`.
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
        // A daemon that is stopping will soon be restarted.
        if outcome::is_stopping(answer) && now < *call.waits_until.get_or_insert(now + START_MAX) {
            call.note_refusal(answer);
            self.hold(now, call);
            return self.away(now);
        }
        self.say(call.answer(answer));
        self.flush(now);
    }

    /// Sends the session what it must receive first, one message after another, then lets messages
    /// pass.
    pub(super) fn settle(&mut self, now: Instant) {
        let Some(memory) = &self.memory else { return };
        let Some(initialized) = &memory.initialized else {
            self.phase = Phase::Greeted;
            return self.flush(now);
        };
        let next = match self.session.heard {
            Heard::Nothing => vec![initialized.clone()],
            Heard::Repeated(repeated) if self.session.is_successor => {
                memory.replay().into_iter().skip(repeated).take(REPEATED_AT_ONCE).collect()
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
            self.advance_greeting(now);
        }
    }

    /// Handles the end of a message that the session had to receive first.
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
                    self.advance_greeting(now);
                }
            }
        }
    }

    /// Advances to the next message that the session must receive first.
    pub(super) fn advance_greeting(&mut self, now: Instant) {
        self.session.heard = match self.session.heard {
            Heard::Nothing => Heard::Repeated(0),
            Heard::Repeated(repeated)
                if self.session.is_successor && repeated + REPEATED_AT_ONCE < self.to_repeat() =>
            {
                Heard::Repeated(repeated + REPEATED_AT_ONCE)
            }
            Heard::Repeated(_) | Heard::All => Heard::All,
        };
        if self.session.heard == Heard::All && self.session.is_successor {
            // The client's knowledge may be out of date.
            for notice in self.memory.as_ref().map(Memory::notices).unwrap_or_default() {
                self.say(notice);
            }
        }
        self.settle(now);
    }

    pub(super) fn to_repeat(&self) -> usize {
        self.memory.as_ref().map_or(0, |memory| memory.replay().len())
    }

    pub(super) fn begin_session(&mut self, revision: Option<HeaderValue>, is_successor: bool) {
        self.stop_listening();
        // Exchanges of an earlier greeting are of no use to this session.
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

/// Marks a session id as sensitive: it grants access to the session, so it must not be logged.
fn secret(mut id: HeaderValue) -> HeaderValue {
    id.set_sensitive(true);
    id
}
