//! Routes messages of a server to the call they belong to, or to the listener.

use std::sync::Arc;

use bytes::Bytes;
use mainstay_model::BudgetExceeded;
use mainstay_protocol::framing::Ends;
use mainstay_protocol::tolerant::{self, Unusable};
use mainstay_protocol::{Kind, Message, Notification, Scope, build, oversized};
use mainstay_telemetry::Dropped;

use super::Link;
use crate::calls::Attribution;
use crate::request::{Fate, Incoming, Lost};
use crate::slot::Slot;

impl Link {
    /// Routes one message from the stream that all calls share.
    pub(crate) fn dispatch(self: &Arc<Self>, bytes: &Bytes) {
        match tolerant::read(bytes, self.depth_max) {
            Ok(message) => self.route(message),
            Err(unusable) => self.dispatch_unusable(bytes, &unusable),
        }
    }

    fn route(self: &Arc<Self>, message: Message) {
        match message.kind() {
            // The server could not read the request, or forgot its id. It can only mean a request of
            // Mainstay while no other is in flight.
            Kind::Error if message.id_span().is_none() => match self.calls.remove_only_own() {
                Some(slot) => drop(slot.push(Incoming::Answer(message))),
                None => self.listener.late_answer(Some(&message)),
            },
            Kind::Result | Kind::Error => self.route_answer(message),
            Kind::Request => self.dispatch_question(&message),
            Kind::Notification => self.dispatch_notification(message),
        }
    }

    /// Routes an answer to the call that its id names.
    pub(crate) fn route_answer(&self, message: Message) {
        self.life.note_answered();
        match message.id_number().and_then(|id| self.calls.remove(id)) {
            Some(slot) => drop(slot.push(Incoming::Answer(message))),
            None => self.listener.late_answer(Some(&message)),
        }
    }

    /// Routes a question that names no call.
    fn dispatch_question(self: &Arc<Self>, message: &Message) {
        if self.is_modern() {
            return self.listener.dropped(Dropped::Unasked);
        }
        if self.answer_ping(message) {
            return;
        }
        let taken = match self.calls.attribute() {
            Attribution::One(slot) => slot.push(Incoming::Question(message.clone())),
            Attribution::Nobody => self.listener.question(&self.asker(), message),
            Attribution::Several => false,
        };
        if !taken {
            self.listener.dropped(Dropped::NoOwner);
            self.refuse(message);
        }
    }

    /// Answers a ping. Returns whether the message was one.
    pub(crate) fn answer_ping(self: &Arc<Self>, message: &Message) -> bool {
        let ping = message.method() == "ping";
        if let (true, Some(id)) = (ping, message.id()) {
            self.send(build::result(&id, "{}"));
        }
        ping
    }

    fn dispatch_notification(&self, message: Message) {
        if self.is_modern() && message.method() == Notification::Cancelled.as_str() {
            return self.dispatch_end(&message);
        }
        match message.scope() {
            Scope::Progress(token) => match token.and_then(|token| self.calls.get(token)) {
                Some(slot) => self.push_notification(&slot, message),
                None => self.listener.dropped(Dropped::Unasked),
            },
            Scope::Subscription(id) => match id.and_then(|id| self.calls.get(id)) {
                Some(slot) => self.push_notification(&slot, message),
                None => self.listener.dropped(Dropped::Unasked),
            },
            Scope::Server => self.listener.notification(message),
            Scope::Call => match self.calls.attribute() {
                Attribution::One(slot) => self.push_notification(&slot, message),
                Attribution::Nobody => self.listener.notification(message),
                Attribution::Several => self.listener.dropped(Dropped::NoOwner),
            },
        }
    }

    /// Ends a listen that the server cancelled, whether or not its answer has come.
    fn dispatch_end(&self, message: &Message) {
        let id = message.params().ok().and_then(|params| params.request_id);
        let id = id.and_then(|id| mainstay_protocol::id::number(id.raw.as_bytes()));
        if let Some(slot) = id.and_then(|id| self.calls.remove(id)) {
            let lost = Lost::new("the server ended the request", Fate::Unknown, false);
            slot.push(Incoming::Lost(lost));
        }
    }

    /// Routes a message that was discarded and of which only `ends` are kept: its call, if it names
    /// one, is lost.
    pub(crate) fn dispatch_discarded(&self, ends: &Ends, lost: Lost) {
        match oversized::answered_id(ends.head(), ends.tail()) {
            None => self.listener.stray(ends.head(), &format!("a message was discarded: {lost}")),
            Some(id) => match self.calls.remove(id) {
                Some(slot) => drop(slot.push(Incoming::Lost(lost))),
                None => self.listener.late_answer(None),
            },
        }
    }

    /// Routes a message for which there is no room: its call, if it answers one, is lost; a question
    /// is refused.
    pub(crate) fn dispatch_unaffordable(self: &Arc<Self>, bytes: &Bytes, exceeded: BudgetExceeded) {
        if let Ok(message) = Message::parse(bytes.clone())
            && message.kind() == Kind::Request
            && let Some(id) = message.id()
        {
            return self.send(build::error(Some(&id), &exceeded.refusal().to_json()));
        }
        self.dispatch_discarded(&Ends::of(bytes), Lost::over_budget(exceeded));
    }

    /// Routes bytes that are no message: the messages of a batch, which servers of 2025-03-26 may send, or
    /// else the loss of the call that they answer, if it can be told.
    #[cold]
    fn dispatch_unusable(self: &Arc<Self>, bytes: &Bytes, unusable: &Unusable) {
        for part in unusable.parts(bytes) {
            match tolerant::read(&part, self.depth_max) {
                Ok(message) => self.route(message),
                Err(unusable) => self.end_or_ignore(&part, &unusable),
            }
        }
        if !unusable.is_batch() {
            self.end_or_ignore(bytes, unusable);
        }
    }

    /// Ends the call that bytes which can't be used were meant for, or reports them as stray.
    pub(crate) fn end_or_ignore(&self, bytes: &Bytes, unusable: &Unusable) {
        let answered = unusable.meant.answered_id().and_then(|id| self.calls.remove(id));
        match answered {
            Some(slot) => {
                self.listener.unusable_answer(&unusable.to_string());
                slot.push(Incoming::Lost(Lost::unusable(unusable)));
            }
            None => self.listener.stray(bytes, &unusable.to_string()),
        }
    }

    pub(crate) fn push_notification(&self, slot: &Slot, message: Message) {
        if !slot.push(Incoming::Notification(message)) {
            self.listener.dropped(Dropped::SlowClient);
        }
    }
}
