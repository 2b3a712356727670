//! The conversation between a client on standard input and output and its session with the daemon,
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
//! and over `Knocking` back. A client that tries both may ask both before it shakes hands. From then
//! on all it sends belongs to its session, except for the two methods that only 2026-07-28 has.

mod call;
mod client;
mod daemon;
mod effect;
mod finding;
mod limits;
mod listens;
mod lookup;
mod memory;
mod opening;
mod outcome;
mod questions;
mod session;
mod standing;
mod state;
mod stream;
#[cfg(test)]
mod tests;
mod tools;
mod waiting;

use std::time::Instant;

use bytes::Bytes;
use mainstay_protocol::framing::lines::LineTooLong;
use mainstay_protocol::{Malformed, Message, envelope};

use self::call::Call;
pub(super) use self::effect::{Effect, End, Leaving, News};
use self::limits::CLOSING_MAX;
pub(super) use self::state::Shim;
use self::state::{Held, Listening, Phase};

// === impl Shim ===

impl Shim {
    /// Takes the effects to carry out now, in this order.
    pub(super) fn effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Handles a line of the client.
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

    /// Handles the end of the client's input.
    pub(super) fn close(&mut self, now: Instant) {
        self.closing.get_or_insert(now + CLOSING_MAX);
        self.leave_if_done(now);
    }

    /// Stops waiting for calls in flight.
    pub(super) fn hurry(&mut self, now: Instant) {
        self.closing = Some(now);
        self.leave_if_done(now);
    }

    /// Handles news of an exchange.
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

    /// Handles the passing of time: retries, deadlines and expired waits.
    pub(super) fn tick(&mut self, now: Instant) {
        self.expire(now);
        if self.phase == Phase::Away && self.retry.at.is_some_and(|at| at <= now) {
            self.try_again(now);
        }
        self.listen(now);
        self.listen_again(now);
        self.leave_if_done(now);
    }

    /// When [`tick`](Self::tick) is due next.
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
