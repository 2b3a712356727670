//! Messages that wait for the daemon, their deadlines, and the end of the conversation.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::effect::{Effect, Leaving};
use super::limits::{AWAY_MAX, START_MAX, UNDER_WAY_MAX};
use super::outcome;
use super::state::{Held, Phase, Purpose, Shim, UnderWay};

// === impl Shim ===

impl Shim {
    /// Whether messages can be sent now.
    pub(super) fn passes(&self) -> bool {
        matches!(self.phase, Phase::Fresh | Phase::Greeted | Phase::Open)
    }

    /// Whether the maximum of exchanges is in flight.
    pub(super) fn is_crowded(&self) -> bool {
        self.under_way.len() + self.fallen.len() + self.looked_up.len() >= UNDER_WAY_MAX
    }

    /// Longest wait of a request for a daemon.
    pub(super) fn daemon_wait_max(&self) -> Duration {
        if self.reached { AWAY_MAX } else { START_MAX }
    }

    /// Whether waiting messages have a deadline in this phase.
    pub(super) fn expires(&self) -> bool {
        !self.passes() && !matches!(self.phase, Phase::Opening | Phase::Over)
    }

    pub(super) fn expire(&mut self, now: Instant) {
        if !self.expires() {
            return;
        }
        let is_due = |held: &Held| held.waits_until().is_some_and(|until| until <= now);
        if !self.held.iter().any(is_due) {
            return;
        }
        if !self.reached {
            let why = self.trouble.clone().unwrap_or_default();
            return self.leave(Leaving::NoDaemon(why));
        }
        let error = outcome::unavailable(self.trouble.as_deref());
        let (due, rest): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut self.held).into_iter().partition(is_due);
        self.held = rest;
        for held in due {
            if let Held::Call(call) = held {
                self.say(call.waited_in_vain(&error));
            }
        }
    }

    /// Sends waiting messages in their order, as far as the phase allows.
    pub(super) fn flush(&mut self, now: Instant) {
        while self.passes() && !self.is_crowded() {
            match self.held.pop_front() {
                Some(Held::Call(call)) => self.request(now, call),
                Some(Held::Note(message)) if message.is_answer() => self.note(message),
                Some(Held::Note(message)) => self.notification(now, message),
                None => return,
            }
        }
    }

    /// Refuses all waiting requests.
    pub(super) fn refuse_waiting(&mut self, error: &str) {
        for held in std::mem::take(&mut self.held) {
            if let Held::Call(call) = held {
                self.say(call.refusal(error));
            }
        }
    }

    pub(super) fn leave_if_done(&mut self, now: Instant) {
        let Some(until) = self.closing.filter(|_| self.phase != Phase::Over) else { return };
        let waits = |of: &UnderWay| match &of.purpose {
            // A listen has no end of its own.
            Purpose::Call(call) => !call.is_listen(),
            Purpose::Note(_) => true,
            _ => false,
        };
        let is_idle = !self.under_way.values().any(waits)
            && self.looked_up.is_empty()
            && !self.held.iter().any(|held| matches!(held, Held::Call(_)));
        if !is_idle && now < until {
            return;
        }
        self.leave(Leaving::Done);
    }

    /// Answers all waiting requests and ends the conversation.
    pub(super) fn leave(&mut self, why: Leaving) {
        for (_, of) in std::mem::take(&mut self.under_way) {
            if let Purpose::Call(call) = of.purpose
                && !call.is_listen()
                && !call.is_cancelled
            {
                self.say(call.refusal(&outcome::unknown()));
            }
        }
        let unavailable = outcome::unavailable(self.trouble.as_deref());
        for call in std::mem::take(&mut self.looked_up) {
            self.say(call.refusal(&unavailable));
        }
        self.refuse_waiting(&unavailable);
        let is_there = self.session.has_end() && !matches!(self.phase, Phase::Away);
        let farewell = is_there.then(|| self.session.headers());
        self.phase = Phase::Over;
        self.effects.push(Effect::Leave { why, farewell });
    }
}
