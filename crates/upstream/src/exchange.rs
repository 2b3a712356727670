//! A request in flight at a server.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use mainstay_protocol::Message;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::asker::Asker;
use crate::link::Link;
use crate::request::Incoming;
use crate::slot::Slot;
use crate::transport::OwnExchange;
use crate::turn::{Pace, Turn};

/// A request in flight. Dropping it forgets the call; a late answer is counted and dropped.
#[derive(Debug)]
pub struct Exchange {
    link: Arc<Link>,
    slot: Arc<Slot>,
    /// The call's own exchange where the transport has one; otherwise everything arrives in the
    /// slot.
    own: Option<Box<dyn OwnExchange<Link>>>,
    finished: bool,
    turn: Turn,
    /// Whether the last poll was pending only so that other tasks run.
    has_yielded: bool,
    /// The rests of an exchange that nobody waits for and whose server never pauses.
    rests: Option<Box<Rests>>,
}

#[derive(Debug, Default)]
struct Rests {
    pace: Pace,
    rest: Option<Pin<Box<Sleep>>>,
}

// === impl Exchange ===

impl Exchange {
    pub(crate) fn new(
        link: Arc<Link>,
        slot: Arc<Slot>,
        own: Option<Box<dyn OwnExchange<Link>>>,
    ) -> Self {
        let turn = Turn::default();
        Self { link, slot, own, finished: false, turn, has_yielded: false, rests: None }
    }

    pub fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// A handle for the client's answer to an [`Incoming::Question`].
    pub fn asker(&self) -> Asker {
        self.link.asker()
    }

    /// Refuses a question of the server that no client can answer.
    pub fn refuse(&self, question: &Message) {
        self.link.refuse(question);
    }

    /// Waits for what the server sends next. After an `Answer` or `Lost` it stays pending for ever.
    pub async fn next(&mut self) -> Incoming {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    /// Sets whether somebody takes what comes: a client that went away may come back. While nobody does,
    /// a server that never pauses is read more slowly.
    pub fn set_heard(&self, heard: bool) {
        self.slot.set_heard(heard);
    }

    /// Pending now and then even if more has come, so that the caller can look at its clock: see
    /// [`has_yielded`](Self::has_yielded).
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Incoming> {
        if self.finished {
            return Poll::Pending;
        }
        if let Some(rests) = &mut self.rests
            && rests.poll_rest(cx).is_pending()
        {
            self.has_yielded = false;
            return Poll::Pending;
        }
        let next = self.poll_turn(cx);
        if self.has_yielded && !self.slot.is_awaited() {
            self.rests.get_or_insert_default().note_turn();
        }
        next
    }

    /// Polls until there is something or the turn is over.
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<Incoming> {
        self.has_yielded = self.turn.poll_pass(cx).is_pending();
        if self.has_yielded {
            return Poll::Pending;
        }
        let mut next = self.slot.poll_pop(cx);
        if next.is_pending()
            && let Some(own) = &mut self.own
        {
            next = own.poll_next(&self.link, &self.slot, cx);
            self.has_yielded = next.is_pending() && own.has_yielded();
        }
        match &next {
            Poll::Ready(Incoming::Answer(_) | Incoming::Lost(_)) => self.finish(),
            Poll::Ready(Incoming::Notification(message) | Incoming::Question(message)) => {
                self.turn.add_message(message.bytes().len());
            }
            Poll::Pending => self.turn.begin(),
        }
        next
    }

    /// Whether the last poll was pending although the server may have sent more. The server may
    /// never pause, and timers can be late then: compare the clock.
    pub fn has_yielded(&self) -> bool {
        self.has_yielded
    }

    /// The HTTP status of the answer, if it says that the server failed: 500 to 599.
    pub fn failed_as(&self) -> Option<u16> {
        self.slot.failed_as()
    }

    /// Tells the server that the answer is no longer wanted.
    pub fn cancel(mut self, reason: &str) {
        if !self.finished {
            self.link.cancel(self.slot.id, reason);
            self.finish();
        }
    }

    /// Tells the server that the answer is no longer wanted, and stays open for it: the server may send it all
    /// the same. Returns false where only the end of the exchange tells the server so.
    pub fn announce_cancel(&self, reason: &str) -> bool {
        self.finished || self.link.cancel(self.slot.id, reason)
    }

    /// Notes that the answer has not come by the deadline of the call.
    pub fn note_overdue(&self) {
        self.link.life().note_overdue(self.slot.id);
    }

    fn finish(&mut self) {
        self.finished = true;
        self.link.calls().remove(self.slot.id);
        self.own = None;
    }
}

// === impl Rests ===

impl Rests {
    fn note_turn(&mut self) {
        let end = self.pace.rest_after_turn(Instant::now());
        self.rest = end.map(|end| Box::pin(sleep_until(end)));
    }

    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(rest) = &mut self.rest {
            ready!(rest.as_mut().poll(cx));
            self.rest = None;
        }
        Poll::Ready(())
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.finished {
            // A call ends by itself, a listen does not.
            if self.slot.listens && !self.link.is_closed() {
                self.link.cancel(self.slot.id, "nobody listens any more");
            }
            self.finish();
        }
    }
}
