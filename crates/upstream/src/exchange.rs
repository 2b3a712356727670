//! One request under way at a server, and what comes back for it.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use http::{HeaderName, HeaderValue};
use mainstay_protocol::{Edit, Message};
use parking_lot::Mutex;

use crate::asker::Asker;
use crate::link::Link;
use crate::remote::RemoteExchange;

/// Whose call it is: opaque here, given by the caller. Messages of a server that name no call
/// can be attributed only while all calls in flight have one owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionNo(pub u64);

/// A request to send: the message as it came, and what to change in it beside its id.
#[derive(Debug, Clone)]
pub struct Outgoing<'a> {
    pub message: &'a Message,
    /// Where the progress token stands; it is replaced by one of ours.
    pub token: Option<std::ops::Range<usize>>,
    pub edits: Vec<Edit<'a>>,
    /// Arguments that a tool wants repeated as headers. Only sent over HTTP to a modern server; what
    /// else repeats the message there is taken from it as it is sent.
    pub headers: Vec<(HeaderName, HeaderValue)>,
}

/// What a server sends while a call is under way. `Answer` and `Lost` come once and last.
#[derive(Debug)]
pub enum Incoming {
    Answer(Message),
    /// Belongs to this call: progress, log messages.
    Notification(Message),
    /// A request of the server to the client. Answer it with [`Link::send`], under its own id.
    Question(Message),
    Lost(Lost),
}

/// The answer will never come.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{reason}")]
pub struct Lost {
    pub reason: String,
    pub fate: Fate,
    /// Whether the link is of no further use, so that a new one must be waited for.
    pub link_dead: bool,
}

/// What became of a request that got no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It never reached the server, or the server did not accept it: it may be sent again.
    Unsent,
    /// The server can have begun to act on it.
    Unknown,
    /// The server would refuse it again: wrong credentials, overload.
    Refused,
    /// The server sent more for it in one message than `message_bytes_max`.
    Oversized,
}

/// One request under way. Dropping it forgets the call; a late answer is counted and dropped.
#[derive(Debug)]
pub struct Exchange {
    link: Arc<Link>,
    slot: Arc<Slot>,
    remote: Option<Box<RemoteExchange>>,
    finished: bool,
}

/// Where the link's reader leaves what belongs to a call.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) id: u64,
    pub(crate) owner: SessionNo,
    /// It is a `subscriptions/listen`, which goes on until somebody ends it.
    pub(crate) listens: bool,
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

// === impl Outgoing ===

impl<'a> Outgoing<'a> {
    /// The message with nothing changed but its id.
    pub fn plain(message: &'a Message) -> Self {
        Self { message, token: None, edits: Vec::new(), headers: Vec::new() }
    }

    /// All edits for our id `id`; the token is the same number, so one table serves both.
    pub(crate) fn edits<'b>(&'b self, id: &'b [u8]) -> Vec<Edit<'b>> {
        let mut edits = Vec::with_capacity(self.edits.len() + 2);
        if let Some(span) = self.message.id_span() {
            edits.push(Edit::new(span, id));
        }
        if let Some(span) = &self.token {
            edits.push(Edit::new(span.clone(), id));
        }
        edits.extend(self.edits.iter().cloned());
        edits
    }
}

// === impl Exchange ===

impl Exchange {
    pub(crate) fn new(
        link: Arc<Link>,
        slot: Arc<Slot>,
        remote: Option<Box<RemoteExchange>>,
    ) -> Self {
        Self { link, slot, remote, finished: false }
    }

    pub fn link(&self) -> &Arc<Link> {
        &self.link
    }

    /// Who asks what comes as [`Incoming::Question`], for the client's answer.
    pub fn asker(&self) -> Asker {
        Asker::new(&self.link)
    }

    /// Answers a question that nobody here can answer.
    pub fn refuse(&self, question: &Message) {
        self.link.refuse(question);
    }

    /// What comes next. After an `Answer` or `Lost` it stays pending for ever.
    pub async fn next(&mut self) -> Incoming {
        poll_fn(|cx| self.poll_next(cx)).await
    }

    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Incoming> {
        if self.finished {
            return Poll::Pending;
        }
        let mut next = self.slot.poll_pop(cx);
        if next.is_pending()
            && let Some(remote) = &mut self.remote
        {
            next = self.link.transport().poll(&self.link, remote, &self.slot, cx);
        }
        if let Poll::Ready(Incoming::Answer(_) | Incoming::Lost(_)) = next {
            self.finish();
        }
        next
    }

    /// Tells the server that the answer is no longer wanted.
    pub fn cancel(mut self, reason: &str) {
        if !self.finished {
            self.link.cancel(self.slot.id, reason);
            self.finish();
        }
    }

    fn finish(&mut self) {
        self.finished = true;
        self.link.calls().remove(self.slot.id);
        self.remote = None;
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

// === impl Slot ===

impl Slot {
    pub(crate) fn new(id: u64, owner: SessionNo, listens: bool) -> Self {
        Self { id, owner, listens, inner: Mutex::default() }
    }

    /// Whether there was room. Answers and losses always have room.
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

    fn poll_pop(&self, cx: &Context<'_>) -> Poll<Incoming> {
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

// === impl Lost ===

impl Lost {
    pub(crate) fn new(reason: impl Into<String>, fate: Fate, link_dead: bool) -> Self {
        Self { reason: reason.into(), fate, link_dead }
    }

    pub(crate) fn oversized(bytes_max: usize) -> Self {
        let reason = format!("its answer has more than {bytes_max} bytes");
        Self::new(reason, Fate::Oversized, false)
    }
}
