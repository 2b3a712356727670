//! A handle for answers to a server's questions.

use std::sync::{Arc, Weak};

use bytes::Bytes;
use mainstay_protocol::id::Id;
use mainstay_protocol::{build, codes};

/// Sends the answer to a server's question over the link on which the server asked.
///
/// Cheap to clone, and does not keep the link open. Once the link is closed, answers are dropped.
#[derive(Debug, Clone)]
pub struct Asker {
    link: Weak<dyn Answerable>,
}

/// The operations of a link that an [`Asker`] needs.
pub(crate) trait Answerable: Send + Sync {
    /// Sends an answer or a notification without waiting.
    fn send(self: Arc<Self>, message: Bytes);

    /// Whether the link takes no more messages.
    fn is_closed(&self) -> bool;
}

// === impl Asker ===

impl Asker {
    pub(crate) fn new(link: Weak<dyn Answerable>) -> Self {
        Self { link }
    }

    /// Sends the client's answer, which already carries the id of the question.
    pub fn answer(&self, answer: Bytes) {
        self.send(answer);
    }

    /// Answers the question `id` with an error whose message is `text`.
    pub fn refuse(&self, id: &Id, text: &str) {
        self.send(build::failure(Some(id), codes::INTERNAL_ERROR, text));
    }

    /// Sends the server a notification about its question, such as progress.
    pub fn tell(&self, notification: Bytes) {
        self.send(notification);
    }

    /// Whether both are the same link.
    pub fn is_same(&self, other: &Self) -> bool {
        self.link.ptr_eq(&other.link)
    }

    /// Whether the link takes no more messages.
    pub fn is_gone(&self) -> bool {
        self.link.upgrade().is_none_or(|link| link.is_closed())
    }

    fn send(&self, message: Bytes) {
        if let Some(link) = self.link.upgrade() {
            link.send(message);
        }
    }
}
