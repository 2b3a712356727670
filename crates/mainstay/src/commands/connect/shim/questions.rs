//! Numbers the questions of servers to the client afresh.
//!
//! Each session counts its questions from the start, so a late answer to a question of a lost
//! session could be taken for an answer in the next. The shim also cancels open questions towards
//! the client, because the client can't see that an exchange is over.

use std::collections::BTreeMap;

use bytes::Bytes;
use mainstay_protocol::edit::{Edit, splice};
use mainstay_protocol::{Id, Message, Notification, build};

/// Questions that the client has not answered yet.
#[derive(Debug, Default)]
pub(super) struct Questions {
    open: BTreeMap<u64, Question>,
    last: u64,
}

#[derive(Debug)]
struct Question {
    id: Id,
    exchange: u64,
    generation: u64,
}

/// Most open questions; the oldest is dropped.
const OPEN_MAX: usize = 1024;

// === impl Questions ===

impl Questions {
    /// Gives a question a new number for the client.
    pub(super) fn asked(
        &mut self,
        message: &Message,
        exchange: u64,
        generation: u64,
    ) -> Option<Bytes> {
        let id = message.id()?.detached();
        if self.open.len() >= OPEN_MAX {
            self.open.pop_first();
        }
        self.last += 1;
        self.open.insert(self.last, Question { id, exchange, generation });
        Some(message.with_id(self.last.to_string().as_bytes()))
    }

    /// Restores the original number of an answer. None when the question is not of this session.
    pub(super) fn answered(&mut self, answer: &Message, generation: u64) -> Option<Message> {
        let question = self.open.remove(&answer.id_number()?)?;
        let answer = answer.with_id(question.id.as_bytes());
        Message::parse(answer).ok().filter(|_| question.generation == generation)
    }

    /// A notification about a question, with the number that the client knows.
    pub(super) fn renamed(&mut self, message: &Message) -> Option<Bytes> {
        if Notification::parse(message.method()) != Some(Notification::Cancelled) {
            return None;
        }
        let named = message.params().ok()?.request_id?;
        let is_meant = |of: &Question| of.id.as_bytes() == named.raw.as_bytes();
        let number = self.open.iter().rev().find_map(|(&n, of)| is_meant(of).then_some(n))?;
        self.open.remove(&number);
        let number = number.to_string();
        Some(splice(message.bytes(), &mut [Edit::new(named.span, number.as_bytes())]))
    }

    /// Removes the questions of an exchange. Returns their cancellations for the client.
    pub(super) fn end_exchange(&mut self, exchange: u64) -> Vec<Bytes> {
        self.end(|question| question.exchange == exchange)
    }

    /// Removes all questions. Returns their cancellations for the client.
    pub(super) fn end_all(&mut self) -> Vec<Bytes> {
        self.end(|_| true)
    }

    fn end(&mut self, is_over: impl Fn(&Question) -> bool) -> Vec<Bytes> {
        self.open.extract_if(.., |_, of| is_over(of)).map(|(number, _)| cancelled(number)).collect()
    }
}

/// The cancellation of a question.
fn cancelled(question: u64) -> Bytes {
    build::cancelled(question, "the call it belonged to has ended")
}
