//! The connection to one instance: sends requests and routes answers back to them.
//!
//! Ids and progress tokens are Mainstay's own: every request gets a number never used before on
//! this link, so clients that reuse ids can't receive each other's answers. `call` starts a
//! request, and `dispatch` routes a server's messages to their calls, the same way for every
//! transport.

mod call;
mod dispatch;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use bytes::Bytes;
use mainstay_model::Budget;
use mainstay_protocol::{Era, Message, build};
use mainstay_supervisor::hang::Signs;
use mainstay_telemetry::Dropped;

use crate::asker::{Answerable, Asker};
use crate::calls::Calls;
use crate::life::Life;
use crate::listener::Listener;
use crate::request::{Fate, Lost};
use crate::transport::{Transport, TransportAbilities};

/// Bounds of one link.
#[derive(Debug, Clone, Copy)]
pub struct LinkLimits {
    /// A message from the server, in bytes.
    pub message_bytes_max: usize,
    /// How deep arrays and objects may nest in such a message.
    pub depth_max: usize,
    /// Bytes a server has not read yet; beyond it calls are refused.
    pub unread_bytes_max: usize,
    /// What the messages of the server are charged to.
    pub budget: Budget,
}

/// The connection to one instance.
#[derive(Debug)]
pub struct Link {
    calls: Calls,
    life: Life,
    listener: Arc<dyn Listener>,
    transport: Arc<dyn Transport<Self>>,
    abilities: &'static TransportAbilities,
    depth_max: usize,
    budget: Budget,
    closed: OnceLock<String>,
    /// The calls of clients that were in flight when the link was closed.
    calls_lost: AtomicUsize,
    /// The link is about to close, and only answers still come: a request could not be sent, or the instance
    /// has ended.
    failing: AtomicBool,
    /// Every request stands alone, and nothing is asked of us.
    modern: AtomicBool,
}

// === impl Link ===

impl Link {
    pub(crate) fn new(
        limits: LinkLimits,
        listener: Arc<dyn Listener>,
        transport: Arc<dyn Transport<Self>>,
    ) -> Self {
        Self {
            calls: Calls::new(),
            life: Life::default(),
            listener,
            abilities: transport.abilities(),
            transport,
            depth_max: limits.depth_max,
            budget: limits.budget,
            closed: OnceLock::new(),
            calls_lost: AtomicUsize::new(0),
            failing: AtomicBool::new(false),
            modern: AtomicBool::new(false),
        }
    }

    /// The era that is spoken with the server.
    pub fn era(&self) -> Era {
        if self.modern.load(Ordering::Acquire) { Era::Modern } else { Era::Legacy }
    }

    /// Switches the link to 2026-07-28, for this request and all that follow.
    pub(crate) fn speak_modern(&self) {
        self.modern.store(true, Ordering::Release);
        self.transport.begin_modern();
    }

    fn is_modern(&self) -> bool {
        self.era() == Era::Modern
    }

    /// Sends a notification or an answer.
    pub fn send(self: &Arc<Self>, message: Bytes) {
        self.transport.send(self, message);
    }

    /// Sends a notification or an answer that no later message may overtake: requests to a remote
    /// server use connections of their own.
    pub(crate) async fn send_first(self: &Arc<Self>, message: Bytes) {
        self.transport.deliver(self, message).await;
    }

    /// A handle for the answer to a question of this server.
    pub fn asker(self: &Arc<Self>) -> Asker {
        let link: Weak<Self> = Arc::downgrade(self);
        Asker::new(link)
    }

    /// What the messages of the server are charged to.
    pub(crate) fn budget(&self) -> Budget {
        self.budget
    }

    /// Calls in flight.
    pub fn in_flight(&self) -> usize {
        self.calls.len()
    }

    /// Whether a call with this id of ours is in flight.
    pub(crate) fn has_call(&self, id: u64) -> bool {
        self.calls.get(id).is_some()
    }

    /// Whether somebody waits for the answer to a call. A listen has none that is waited for.
    pub(crate) fn is_awaited(&self) -> bool {
        self.calls.any_is_awaited()
    }

    /// Calls of clients in flight. Requests of Mainstay's own, such as those for lists, are none.
    pub fn client_calls(&self) -> usize {
        self.calls.of_clients()
    }

    /// The signs of life of the server.
    pub(crate) fn life(&self) -> &Life {
        &self.life
    }

    /// What is seen of the server since the last look.
    pub fn signs(&self) -> Signs {
        let (heard, answered) = self.life.take();
        let (calls_begun, next_number) = self.calls.begun();
        Signs {
            heard,
            answered,
            calls: self.calls.of_clients(),
            calls_begun,
            next_number,
            overdue: self.life.overdue(),
            input_stuck_at: self.transport.input_stuck_at(),
        }
    }

    /// Waits for the next call that gets no answer by its deadline.
    pub async fn call_overdue(&self) {
        self.life.missed().await;
    }

    /// The calls of clients that were lost with the link.
    pub fn calls_lost(&self) -> usize {
        self.calls_lost.load(Ordering::Acquire)
    }

    /// Whether the link refuses further requests.
    pub fn is_closed(&self) -> bool {
        self.failing.load(Ordering::Acquire) || self.closed.get().is_some()
    }

    pub(crate) fn calls(&self) -> &Calls {
        &self.calls
    }

    pub(crate) fn transport(&self) -> &dyn Transport<Self> {
        &*self.transport
    }

    /// How deep arrays and objects may nest in a message of the server.
    pub(crate) fn depth_max(&self) -> usize {
        self.depth_max
    }

    /// The abilities of the link's transport.
    pub fn abilities(&self) -> &'static TransportAbilities {
        self.abilities
    }

    /// Cancels a request. Returns false where the end of its exchange does that.
    pub(crate) fn cancel(self: &Arc<Self>, id: u64, reason: &str) -> bool {
        let is_told = !(self.abilities.ending_cancels && self.is_modern());
        if is_told {
            self.send(build::cancelled(id, reason));
        }
        is_told
    }

    /// Closes the link: calls in flight are lost and the listener gets `reason`. Only the first
    /// call has an effect.
    pub fn close(&self, reason: &str) {
        if self.closed.set(reason.to_owned()).is_ok() {
            self.calls_lost.store(self.calls.of_clients(), Ordering::Release);
            // Calls with their own exchange are ended by it.
            if !self.abilities.calls_apart {
                self.calls.lose_all(&Lost::new(reason, Fate::Unknown, true));
            }
            self.listener.closed(reason);
        }
    }

    /// Notes that the instance has ended. What it wrote before is still read.
    pub fn expect_end(&self) {
        self.failing.store(true, Ordering::Release);
    }

    /// Whether the server has read everything that was sent, as far as can be told.
    pub fn has_been_read(&self) -> bool {
        self.transport.has_been_read()
    }

    /// Closes the server's input, which asks a process to end; nothing for a remote server.
    pub fn hang_up(&self) {
        self.transport.hang_up();
    }

    /// Ends the session at a remote server and the tasks of the link. Does nothing for a process.
    pub async fn goodbye(&self) {
        self.transport.goodbye().await;
    }

    pub(crate) fn listener(&self) -> &dyn Listener {
        &*self.listener
    }

    /// Refuses a question of the server that no client can answer.
    pub fn refuse(self: &Arc<Self>, question: &Message) {
        if self.is_modern() {
            return self.listener.dropped(Dropped::Unasked);
        }
        if let Some(id) = question.id() {
            let text = format!("no client can be asked for {:?} here", question.method());
            self.send(build::failure(Some(&id), -32601, &text));
        }
    }
}

impl Answerable for Link {
    fn send(self: Arc<Self>, message: Bytes) {
        Self::send(&self, message);
    }

    fn is_closed(&self) -> bool {
        Self::is_closed(self)
    }
}
