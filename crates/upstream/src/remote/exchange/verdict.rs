//! What a server's answer or refusal means for its call, and for the session.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::StatusCode;
use mainstay_protocol::tolerant::{self, Meant, Unusable};
use mainstay_protocol::{Era, Kind, Message, Scope};
use mainstay_telemetry::{Dropped, events};

use super::{RemoteExchange, State, Step};
use crate::link::Link;
use crate::remote::gone::{Refusal, is_gone};
use crate::remote::refused::{self, Head};
use crate::remote::session::HttpSession;
use crate::request::{Fate, Incoming, Lost, SessionNo};
use crate::slot::Slot;

/// A refused call that waits to learn whether its session is gone.
pub(super) struct Suspicion {
    asking: Pin<Box<dyn Future<Output = bool> + Send>>,
    refusal: Refusal,
    /// What the call gets if the session holds.
    outcome: Option<Incoming>,
}

/// A longer text is a page, which may say anything.
const WORDS_BYTES_MAX: usize = 256;
const GONE: &str = "the server no longer knows our session";

impl RemoteExchange {
    /// Judges a response that is no stream.
    pub(super) fn on_whole(
        &mut self,
        link: &Arc<Link>,
        slot: &Slot,
        head: Head,
        body: &Bytes,
    ) -> Step {
        let status = head.status;
        match tolerant::read(body, link.depth_max()) {
            Ok(message) if session_is_gone(&self.session, status, &message) => {
                return self.on_told(link, slot, status, Incoming::Answer(message));
            }
            Ok(message) if is_own_answer(slot, &message) => {
                if status.is_server_error() {
                    slot.note_failed_as(status.as_u16());
                }
                return self.on_answer(link, slot, message);
            }
            Ok(message) if message.is_answer() => {
                let id = message.id().map(|id| events::excerpt(id.as_bytes())).unwrap_or_default();
                return misdirected(link, &format!("it has the id {id} instead of {}", slot.id));
            }
            Ok(_) => {}
            Err(_) if !status.is_success() => {}
            Err(unusable) if unusable.is_batch() => {
                return match take_batch(link, slot, &unusable.parts(body)) {
                    // It is in the slot.
                    true => Step::Wait,
                    false => misdirected(link, "no message of the batch has the id of the request"),
                };
            }
            Err(unusable) => {
                if let Some(lost) = take_unusable(link, body, &unusable) {
                    return Step::Yield(lost);
                }
            }
        }
        // Some servers report it in plain text.
        let gone = match status {
            StatusCode::NOT_FOUND => true,
            StatusCode::BAD_REQUEST if body.len() <= WORDS_BYTES_MAX => {
                body.to_ascii_lowercase().windows(7).any(|word| word == b"session")
            }
            _ => false,
        };
        if gone && self.session.has_session() && self.session.is_settled() {
            let lost = refused::lost(&self.session.target, head, body);
            return self.on_told(link, slot, status, Incoming::Lost(lost));
        }
        tracing::debug!(id = slot.id, %status, "unusable answer");
        self.on_refused(link, slot, refused::lost(&self.session.target, head, body))
    }

    /// Handles a response that is no answer: `lost` is what the call gets unless the session is
    /// gone.
    pub(super) fn on_refused(&mut self, link: &Arc<Link>, slot: &Slot, lost: Lost) -> Step {
        match lost.status.and_then(Refusal::of_status) {
            // A server that says when to come back is busy.
            Some(refusal) if self.may_suspect(slot) && lost.retry_after.is_none() => {
                self.suspect(link, refusal, false, Incoming::Lost(lost))
            }
            _ => Step::Yield(Incoming::Lost(lost)),
        }
    }

    pub(super) fn on_answer(&mut self, link: &Arc<Link>, slot: &Slot, answer: Message) -> Step {
        if answer.kind() == Kind::Error
            && let Some(refusal) = Refusal::of_error(answer.error_code())
            && self.may_suspect(slot)
            && self.session.has_session()
        {
            return self.suspect(link, refusal, false, Incoming::Answer(answer));
        }
        if slot.owner != SessionNo(0) {
            self.session.suspicions.note_taken();
        }
        Step::Yield(Incoming::Answer(answer))
    }

    /// Handles a response that says that the session is gone. It may be about something else: a tool
    /// may know sessions of its own, and have nothing at an address.
    fn on_told(
        &mut self,
        link: &Arc<Link>,
        slot: &Slot,
        status: StatusCode,
        outcome: Incoming,
    ) -> Step {
        match Refusal::of_status(status.as_u16()) {
            Some(refusal) if self.may_suspect(slot) => self.suspect(link, refusal, true, outcome),
            _ => self.session_lost(link, slot),
        }
    }

    fn session_lost(&self, link: &Arc<Link>, slot: &Slot) -> Step {
        if slot.owner == SessionNo(0) && link.client_calls() == 0 {
            self.session.note_unused_end();
        }
        link.close(GONE);
        Step::Yield(Incoming::Lost(Lost::new(GONE, Fate::Unsent, true)))
    }

    /// Whether a refusal may mean that the session is gone. Only calls of clients are asked about:
    /// Mainstay's own requests have their own ways to deal with refusals.
    fn may_suspect(&self, slot: &Slot) -> bool {
        !self.modern && slot.owner != SessionNo(0) && self.session.is_settled()
    }

    fn suspect(
        &mut self,
        link: &Arc<Link>,
        refusal: Refusal,
        is_told: bool,
        outcome: Incoming,
    ) -> Step {
        let asking = Box::pin(is_gone(link.clone(), self.session.clone(), refusal, is_told));
        let outcome = Some(outcome);
        self.state = State::Suspecting(Box::new(Suspicion { asking, refusal, outcome }));
        Step::Again
    }
}

// === impl Suspicion ===

impl Suspicion {
    /// The outcome of the call, once it is known whether the session is gone. A call that was
    /// certainly not carried out is sent again in a new session.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Incoming> {
        let is_gone = ready!(self.asking.as_mut().poll(cx));
        let gone = |fate| Incoming::Lost(Lost::new(GONE, fate, true));
        Poll::Ready(match self.outcome.take() {
            Some(_) if is_gone && self.refusal.is_certain() => gone(Fate::Unsent),
            Some(Incoming::Lost(lost)) if is_gone => {
                Incoming::Lost(Lost { link_dead: true, ..lost })
            }
            Some(outcome) => outcome,
            // Not polled again after its end.
            None => gone(Fate::Unknown),
        })
    }
}

// === helpers ===

/// Handles a message on the exchange's own stream.
pub(super) fn take_event(link: &Arc<Link>, slot: &Slot, data: &Bytes) -> Option<Incoming> {
    if data.is_empty() {
        return None;
    }
    let message = match tolerant::read(data, link.depth_max()) {
        Ok(message) => message,
        Err(unusable) if unusable.is_batch() => {
            take_batch(link, slot, &unusable.parts(data));
            return None;
        }
        Err(unusable) => return take_unusable_event(link, slot, data, &unusable),
    };
    take_message(link, slot, message)
}

fn take_message(link: &Arc<Link>, slot: &Slot, message: Message) -> Option<Incoming> {
    match message.kind() {
        Kind::Error if is_of_another_call(link, slot, &message) => link.route_answer(message),
        Kind::Result | Kind::Error if is_own_answer(slot, &message) => {
            return Some(Incoming::Answer(message));
        }
        Kind::Result | Kind::Error => link.route_answer(message),
        Kind::Request if link.era() == Era::Modern => {
            link.listener().dropped(Dropped::Unasked);
        }
        Kind::Request if link.answer_ping(&message) => {}
        Kind::Request => return Some(Incoming::Question(message)),
        Kind::Notification => match message.scope() {
            Scope::Server => link.listener().notification(message),
            // A token of another call must not come out of this one, nor a mark of another listen.
            Scope::Progress(Some(id)) | Scope::Subscription(Some(id)) if id == slot.id => {
                return Some(Incoming::Notification(message));
            }
            Scope::Progress(_) | Scope::Subscription(_) => {
                link.listener().dropped(Dropped::Unasked);
            }
            Scope::Call => return Some(Incoming::Notification(message)),
        },
    }
    None
}

/// Handles the messages of a batch, which servers of 2025-03-26 may send. Those for the call go to its slot.
/// Returns whether one ends the call.
#[cold]
fn take_batch(link: &Arc<Link>, slot: &Slot, parts: &[Bytes]) -> bool {
    let mut ends = false;
    for part in parts {
        let incoming = match tolerant::read(part, link.depth_max()) {
            Ok(message) => take_message(link, slot, message),
            Err(unusable) => take_unusable_event(link, slot, part, &unusable),
        };
        if let Some(incoming) = incoming.filter(|_| !ends) {
            ends = matches!(incoming, Incoming::Answer(_) | Incoming::Lost(_));
            if !slot.push(incoming) {
                link.listener().dropped(Dropped::SlowClient);
            }
        }
    }
    ends
}

/// Whether an answer on the exchange of a call is that of the call. An error may have any id:
/// servers that could not read a request give none, or one of their own.
fn is_own_answer(slot: &Slot, message: &Message) -> bool {
    match message.kind() {
        Kind::Result => message.id_number() == Some(slot.id),
        Kind::Error => true,
        Kind::Request | Kind::Notification => false,
    }
}

/// Whether an error on the stream of a call names another call that is in flight.
fn is_of_another_call(link: &Link, slot: &Slot, message: &Message) -> bool {
    message.id_number().is_some_and(|id| id != slot.id && link.has_call(id))
}

/// Reports a whole response whose answer is not for the call.
#[cold]
fn misdirected(link: &Arc<Link>, why: &str) -> Step {
    link.listener().unusable_answer(why);
    let reason = format!("its answer can't be used: {why}");
    Step::Yield(Incoming::Lost(Lost::new(reason, Fate::Unusable, false)))
}

/// Handles an event that is no message. One that was meant as the call's answer ends the call.
#[cold]
fn take_unusable_event(
    link: &Arc<Link>,
    slot: &Slot,
    data: &Bytes,
    unusable: &Unusable,
) -> Option<Incoming> {
    match unusable.meant {
        Meant::ForeignResult => {
            link.listener().stray(data, &unusable.to_string());
            None
        }
        Meant::Answer(Some(id)) if id != slot.id => {
            link.end_or_ignore(data, unusable);
            None
        }
        _ => take_unusable(link, data, unusable),
    }
}

/// Handles bytes that are no message. Those that were meant as an answer end the call.
#[cold]
fn take_unusable(link: &Arc<Link>, data: &Bytes, unusable: &Unusable) -> Option<Incoming> {
    match unusable.meant {
        Meant::NoAnswer => {
            link.listener().stray(data, &unusable.to_string());
            None
        }
        Meant::Answer(_) | Meant::ForeignResult => {
            link.listener().unusable_answer(&unusable.to_string());
            Some(Incoming::Lost(Lost::unusable(unusable)))
        }
    }
}

/// Whether an error answer says that the session is gone. The specification demands 404; servers in
/// the field answer 400 with an error of their own.
fn session_is_gone(session: &HttpSession, status: StatusCode, message: &Message) -> bool {
    if message.kind() != Kind::Error || !session.has_session() || !session.is_settled() {
        return false;
    }
    let error = message.body().unwrap_or_default();
    match status {
        StatusCode::NOT_FOUND => true,
        StatusCode::BAD_REQUEST => {
            let error = error.to_ascii_lowercase();
            error.contains("session") || error.contains("not initialized")
        }
        _ => false,
    }
}
