//! The inbox of a call: messages of its server wait here for the exchange.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

use crate::request::{Incoming, SessionNo};

/// The inbox of a call, filled by the link's reader and emptied by the exchange.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) id: u64,
    pub(crate) owner: SessionNo,
    /// The call is a `subscriptions/listen`, which lasts until a side ends it.
    pub(crate) listens: bool,
    /// Nobody takes what comes for the call at the moment.
    unheard: AtomicBool,
    /// The HTTP status of an answer that came as a failure of the server, 500 to 599; else 0.
    failed_as: AtomicU16,
    inner: Mutex<Inbox>,
}

#[derive(Debug, Default)]
struct Inbox {
    queue: VecDeque<Incoming>,
    waker: Option<Waker>,
}

/// Notifications and questions waiting for a slow client; beyond it notifications are dropped
/// and counted, since a server's flood must not fill the memory.
const INBOX_MAX: usize = 512;

// === impl Slot ===

impl Slot {
    pub(crate) fn new(id: u64, owner: SessionNo, listens: bool) -> Self {
        let (unheard, failed_as, inner) = Default::default();
        Self { id, owner, listens, unheard, failed_as, inner }
    }

    /// Notes that the answer came with an HTTP status that says that the server failed.
    pub(crate) fn note_failed_as(&self, status: u16) {
        self.failed_as.store(status, Ordering::Relaxed);
    }

    pub(crate) fn failed_as(&self) -> Option<u16> {
        Some(self.failed_as.load(Ordering::Relaxed)).filter(|status| *status != 0)
    }

    /// Sets whether somebody takes what comes for the call.
    pub(crate) fn set_heard(&self, heard: bool) {
        self.unheard.store(!heard, Ordering::Relaxed);
    }

    /// Whether somebody waits for the answer.
    pub(crate) fn is_awaited(&self) -> bool {
        !self.listens && !self.unheard.load(Ordering::Relaxed)
    }

    /// Adds a message. Returns false when the inbox is full; answers and losses always fit.
    pub(crate) fn push(&self, incoming: Incoming) -> bool {
        let last = matches!(incoming, Incoming::Answer(_) | Incoming::Lost(_));
        let mut inbox = self.inner.lock();
        if !last && inbox.queue.len() >= INBOX_MAX {
            return false;
        }
        inbox.queue.push_back(incoming);
        let waker = inbox.waker.take();
        drop(inbox);
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }

    pub(crate) fn poll_pop(&self, cx: &Context<'_>) -> Poll<Incoming> {
        let mut inbox = self.inner.lock();
        if let Some(incoming) = inbox.queue.pop_front() {
            return Poll::Ready(incoming);
        }
        match &mut inbox.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        Poll::Pending
    }
}
