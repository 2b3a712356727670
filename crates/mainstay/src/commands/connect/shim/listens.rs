//! Keeps listens of 2026-07-28 alive when the daemon restarts.
//!
//! An acknowledged listen is *standing*: when its stream ends, the shim sends the client's own
//! message again, so the subscription id stays the same. The client only learns that everything it
//! listens for may have changed.

use std::time::{Duration, Instant};

use mainstay_protocol::{Kind, Message};

use super::call::Call;
use super::effect::Effect;
use super::limits::RETRY_FIRST;
use super::outcome;
use super::standing::Standing;
use super::state::{Purpose, Shim};

/// Longest pause that a refusal can demand.
const PAUSE_MAX: Duration = Duration::from_secs(30);
// === impl Shim ===

impl Shim {
    /// Handles the acknowledgement of a listen, and decides what the client hears of it.
    pub(super) fn acknowledged(&mut self, now: Instant, exchange: u64, ack: &Message) {
        let call = match self.under_way.get_mut(&exchange).map(|of| &mut of.purpose) {
            Some(Purpose::Call(call)) if call.is_listen() => call,
            _ => return self.say(ack.bytes().clone()),
        };
        let Some(standing) = &mut call.standing else {
            call.standing = Some(Box::new(Standing::new(now, &call.id, ack)));
            return self.say(ack.bytes().clone());
        };
        if !standing.is_whole(now, ack) {
            standing.wait = standing.wait.max(RETRY_FIRST);
            return self.listen_later(now, exchange);
        }
        standing.since = Some(now);
        for notice in standing.notices.clone() {
            self.say(notice);
        }
    }

    /// Closes a stream and schedules its listen to be sent again.
    fn listen_later(&mut self, now: Instant, exchange: u64) {
        self.effects.push(Effect::Abandon(exchange));
        if let Some(call) = self.take_call(exchange) {
            self.listen_fell(now, call);
        }
    }

    /// Handles the answer to a standing listen, which may end it.
    pub(super) fn listen_answered(&mut self, now: Instant, mut call: Call, answer: &Message) {
        let Some(standing) = &mut call.standing else { return };
        let pause = match answer.kind() {
            Kind::Result if !standing.is_over(now) => Some(Duration::ZERO),
            Kind::Error if outcome::is_stopping(answer) => Some(RETRY_FIRST),
            Kind::Error => outcome::retry_after(answer).map(|pause| pause.min(PAUSE_MAX)),
            _ => None,
        };
        match pause {
            Some(pause) => {
                standing.wait = standing.wait.max(pause);
                self.listen_fell(now, call);
            }
            None => self.say(call.answer(answer)),
        }
    }

    /// Handles the loss of a standing listen's stream.
    pub(super) fn listen_fell(&mut self, now: Instant, mut call: Call) {
        let Some(standing) = &mut call.standing else { return };
        standing.falls(now);
        call.waits_until = None;
        self.fallen.push(call);
    }

    /// Sends the listens again that are due.
    pub(super) fn listen_again(&mut self, now: Instant) {
        if !self.passes() {
            return;
        }
        let is_due = |call: &mut Call| call.falls_due().is_none_or(|at| at <= now);
        let due: Vec<_> = self.fallen.extract_if(.., is_due).collect();
        for call in due {
            self.send_call(call);
        }
    }

    /// Sends all waiting listens now, because the daemon is back.
    pub(super) fn wake_fallen(&mut self, now: Instant) {
        for call in &mut self.fallen {
            if let Some(standing) = &mut call.standing {
                standing.at = Some(now);
            }
        }
    }
}
