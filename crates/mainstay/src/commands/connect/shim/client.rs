//! Handles messages of the client.

use std::time::Instant;

use mainstay_protocol::{Kind, Message, Notification, build};

use super::call::{self, Call};
use super::effect::Effect;
use super::limits::{HEAD, HELD_MAX, NOTES_HELD_MAX};
use super::outcome;
use super::state::{Held, Phase, Purpose, Shim};

// === impl Shim ===

impl Shim {
    pub(super) fn take(&mut self, now: Instant, message: Message) {
        match message.kind() {
            Kind::Request => {
                if let Some(call) = Call::new(message, self.in_session()) {
                    self.request(now, call);
                }
            }
            Kind::Notification => self.notification(now, message),
            Kind::Result | Kind::Error => {
                // An answer without a known question is dropped: the question was cancelled with
                // its call or session.
                if let Some(answer) = self.questions.answered(&message, self.session.generation) {
                    self.note(answer);
                }
            }
        }
    }

    /// Whether the client has shaken hands, as only clients up to 2025-11-25 do.
    fn in_session(&self) -> bool {
        self.memory.is_some()
    }

    pub(super) fn request(&mut self, now: Instant, mut call: Call) {
        // A client may ping before its handshake, when there is no session yet to send a ping in.
        if call.is_ping() && !self.in_session() && self.phase != Phase::Opening {
            return self.say(build::result(&call.id, "{}"));
        }
        if !self.passes() || self.is_crowded() {
            self.hold(now, call);
            return;
        }
        if call.is_initialize() {
            self.forget_session();
            self.phase = Phase::Opening;
        }
        call.sent_once = true;
        self.send_call(call);
    }

    pub(super) fn hold(&mut self, now: Instant, mut call: Call) {
        if self.held.len() >= HELD_MAX {
            self.say(call.refusal(&outcome::too_many(HELD_MAX)));
            return;
        }
        if !self.passes() {
            call.waits_until.get_or_insert(now + self.daemon_wait_max());
        }
        // The handshake goes before everything sent after it.
        if call.is_initialize() && call.sent_once {
            self.held.push_front(Held::Call(call));
        } else {
            self.held.push_back(Held::Call(call));
        }
    }

    pub(super) fn notification(&mut self, now: Instant, message: Message) {
        match Notification::parse(message.method()) {
            Some(Notification::Cancelled) => self.cancel(message),
            Some(Notification::Initialized) => self.initialized(now, message),
            _ => self.note(message),
        }
    }

    pub(super) fn initialized(&mut self, now: Instant, message: Message) {
        let Some(memory) = &mut self.memory else { return self.note(message) };
        memory.initialized = Some(message.into_bytes());
        // Otherwise `initialized` is sent once there is a session.
        if self.phase == Phase::Greeted {
            self.settle(now);
        }
    }

    pub(super) fn cancel(&mut self, message: Message) {
        let Some(id) = message.params().ok().and_then(|params| params.request_id) else { return };
        let is_meant = |call: &Call| call.id.as_bytes() == id.raw.as_bytes();
        let waiting = |held: &Held| matches!(held, Held::Call(call) if is_meant(call));
        if let Some(at) = self.held.iter().position(waiting) {
            self.held.remove(at);
            return;
        }
        self.fallen.retain(|call| !is_meant(call));
        self.looked_up.retain(|call| !is_meant(call));
        let mut meant = None;
        for (&exchange, of) in &mut self.under_way {
            if let Purpose::Call(call) = &mut of.purpose
                && is_meant(call)
                && !call.is_initialize()
            {
                call.is_cancelled = true;
                meant = Some((exchange, call.is_modern));
            }
        }
        match meant {
            // Since 2026-07-28, closing the exchange cancels the request.
            Some((exchange, true)) => {
                self.under_way.remove(&exchange);
                self.effects.push(Effect::Abandon(exchange));
            }
            Some((_, false)) => self.note(message),
            None => {}
        }
    }

    pub(super) fn note(&mut self, message: Message) {
        if self.passes() {
            let headers = match !self.in_session() && call::is_marked(&message) {
                true => self.tools.headers(&message),
                false => self.session.headers(),
            };
            let bytes = message.bytes().clone();
            self.send(Purpose::Note(message), bytes, headers, HEAD);
            return;
        }
        let is_note = |held: &&Held| matches!(held, Held::Note(_));
        if self.held.iter().filter(is_note).count() < NOTES_HELD_MAX {
            self.held.push_back(Held::Note(message));
        }
    }
}
