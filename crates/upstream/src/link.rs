//! The connection to one instance: requests out, answers back to whoever asked.
//!
//! Ids and progress tokens are ours: every request gets a number never used before on this link,
//! so clients that reuse ids can't receive each other's answers. The dispatch of what a server
//! sends is the same for every transport and stands here.

use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use mainstay_protocol::framing::Ends;
use mainstay_protocol::{Era, Kind, Message, Method, Notification, build, oversized};
use mainstay_telemetry::Dropped;

use crate::asker::Asker;
use crate::calls::{Attribution, Calls};
use crate::exchange::{Exchange, Fate, Incoming, Lost, Outgoing, SessionNo, Slot};
use crate::listener::Listener;
use crate::transport::{Call, Transport, TransportAbilities};

/// Bounds of one link.
#[derive(Debug, Clone, Copy)]
pub struct LinkLimits {
    /// A message from the server, in bytes.
    pub message_bytes_max: usize,
    /// Bytes a server has not read yet; beyond it calls are refused.
    pub unread_bytes_max: usize,
}

/// The connection to one instance.
#[derive(Debug)]
pub struct Link {
    calls: Calls,
    listener: Arc<dyn Listener>,
    transport: Arc<dyn Transport>,
    abilities: &'static TransportAbilities,
    closed: OnceLock<String>,
    /// A request could not be sent: the link is about to close, and only answers still come.
    failing: AtomicBool,
    /// Every request stands alone, and nothing is asked of us.
    modern: AtomicBool,
}

// === impl Link ===

impl Link {
    pub(crate) fn new(listener: Arc<dyn Listener>, transport: Arc<dyn Transport>) -> Self {
        Self {
            calls: Calls::new(),
            listener,
            abilities: transport.abilities(),
            transport,
            closed: OnceLock::new(),
            failing: AtomicBool::new(false),
            modern: AtomicBool::new(false),
        }
    }

    /// How the server is spoken to.
    pub fn era(&self) -> Era {
        if self.modern.load(Ordering::Acquire) { Era::Modern } else { Era::Legacy }
    }

    /// From here on it is spoken to as a server of 2026-07-28.
    pub(crate) fn speak_modern(&self) {
        self.modern.store(true, Ordering::Release);
        self.transport.begin_modern();
    }

    fn is_modern(&self) -> bool {
        self.era() == Era::Modern
    }

    /// Sends a request. Does not wait: whatever goes wrong comes back as [`Incoming::Lost`].
    pub fn call(
        self: &Arc<Self>,
        request: &Outgoing<'_>,
        owner: SessionNo,
    ) -> Result<Exchange, Lost> {
        if let Some(reason) = self.closed.get() {
            return Err(Lost::new(reason.clone(), Fate::Unsent, true));
        }
        let listens =
            self.is_modern() && request.message.method() == Method::SubscriptionsListen.as_str();
        let Some(slot) = self.calls.insert(owner, listens) else {
            return Err(Lost::new("too many calls in flight at this server", Fate::Refused, false));
        };
        let mut number = NumberText::default();
        let id = number.write(slot.id);
        let call = Call { request, id: slot.id, id_text: id, modern: self.is_modern() };
        let own = match self.transport.call(&call) {
            Ok(own) => own,
            Err(lost) => {
                self.calls.remove(slot.id);
                if lost.link_dead {
                    self.failing.store(true, Ordering::Release);
                }
                return Err(lost);
            }
        };
        // The link may have closed while the call went in: then nobody else would end it.
        if let Some(reason) = self.closed.get() {
            // An exchange of its own sends nothing before the first poll.
            let fate = if own.is_some() { Fate::Unsent } else { Fate::Unknown };
            slot.push(Incoming::Lost(Lost::new(reason.clone(), fate, true)));
        }
        Ok(Exchange::new(self.clone(), slot, own))
    }

    /// Sends a notification or an answer.
    pub fn send(self: &Arc<Self>, message: Bytes) {
        self.transport.send(self, message);
    }

    /// As [`Self::send`], but nothing that is sent afterwards can overtake it: requests to a remote
    /// server take connections of their own.
    pub(crate) async fn send_first(self: &Arc<Self>, message: Bytes) {
        self.transport.deliver(self, message).await;
    }

    /// A handle for the answer to a question of this server.
    pub fn asker(self: &Arc<Self>) -> Asker {
        Asker::new(self)
    }

    /// Calls in flight.
    pub fn in_flight(&self) -> usize {
        self.calls.len()
    }

    /// Whether it takes no more requests.
    pub fn is_closed(&self) -> bool {
        self.failing.load(Ordering::Acquire) || self.closed.get().is_some()
    }

    pub(crate) fn calls(&self) -> &Calls {
        &self.calls
    }

    pub(crate) fn transport(&self) -> &dyn Transport {
        &*self.transport
    }

    /// What holds for its transport.
    pub fn abilities(&self) -> &'static TransportAbilities {
        self.abilities
    }

    pub(crate) fn cancel(self: &Arc<Self>, id: u64, reason: &str) {
        if self.abilities.ending_cancels && self.is_modern() {
            return;
        }
        self.send(build::cancelled(id, reason));
    }

    /// Ends the link: calls in flight are lost, the listener hears of it. Only the first time counts.
    pub fn close(&self, reason: &str) {
        if self.closed.set(reason.to_owned()).is_ok() {
            // Those with an exchange of their own hear of it there.
            if !self.abilities.calls_apart {
                self.calls.lose_all(&Lost::new(reason, Fate::Unknown, true));
            }
            self.listener.closed(reason);
        }
    }

    /// Closes the server's input, which asks a process to end; nothing for a remote server.
    pub fn hang_up(&self) {
        self.transport.hang_up();
    }

    /// Says goodbye to a remote server and ends what runs for the link; nothing for a process.
    pub async fn goodbye(&self) {
        self.transport.goodbye().await;
    }

    pub(crate) fn listener(&self) -> &dyn Listener {
        &*self.listener
    }

    /// One message of the server, from the stream that all calls share.
    pub(crate) fn dispatch(self: &Arc<Self>, bytes: &Bytes) {
        let Ok(message) = Message::parse(bytes.clone()) else {
            return self.listener.stray(bytes);
        };
        match message.kind() {
            Kind::Result | Kind::Error => {
                match message.id_number().and_then(|id| self.calls.remove(id)) {
                    Some(slot) => drop(slot.push(Incoming::Answer(message))),
                    None => self.listener.late_answer(),
                }
            }
            Kind::Request => self.dispatch_question(&message),
            Kind::Notification => self.dispatch_notification(message),
        }
    }

    /// A request of the server that is not known to belong to a call.
    fn dispatch_question(self: &Arc<Self>, message: &Message) {
        if self.is_modern() {
            return self.listener.dropped(Dropped::Unasked);
        }
        if self.answer_ping(message) {
            return;
        }
        let taken = match self.calls.attribute() {
            Attribution::One(slot) => slot.push(Incoming::Question(message.clone())),
            Attribution::Nobody => self.listener.question(self, message),
            Attribution::Several => false,
        };
        if !taken {
            self.listener.dropped(Dropped::NoOwner);
            self.refuse(message);
        }
    }

    /// Whether the message was a ping; then it is answered.
    pub(crate) fn answer_ping(self: &Arc<Self>, message: &Message) -> bool {
        let ping = message.method() == "ping";
        if let (true, Some(id)) = (ping, message.id()) {
            self.send(build::result(&id, "{}"));
        }
        ping
    }

    /// Answers a question that nobody here can answer.
    pub fn refuse(self: &Arc<Self>, question: &Message) {
        if self.is_modern() {
            return self.listener.dropped(Dropped::Unasked);
        }
        if let Some(id) = question.id() {
            let text = format!("no client can be asked for {:?} here", question.method());
            self.send(build::failure(Some(&id), -32601, &text));
        }
    }

    fn dispatch_notification(&self, message: Message) {
        use mainstay_protocol::Scope;
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

    /// A server ends a listen, with or without an answer to it before or after.
    fn dispatch_end(&self, message: &Message) {
        let id = message.params().ok().and_then(|params| params.request_id);
        let id = id.and_then(|id| mainstay_protocol::id::number(id.raw.as_bytes()));
        if let Some(slot) = id.and_then(|id| self.calls.remove(id)) {
            let lost = Lost::new("the server ended the request", Fate::Unknown, false);
            slot.push(Incoming::Lost(lost));
        }
    }

    /// A message that was too large to be taken, of which these ends are left. Whoever it answers
    /// hears of it.
    pub(crate) fn dispatch_oversized(&self, ends: &Ends, bytes_max: usize) {
        let reason = format!("a message of more than {bytes_max} bytes");
        match oversized::answered_id(ends.head(), ends.tail()) {
            None => self.listener.stray(reason.as_bytes()),
            Some(id) => match self.calls.remove(id) {
                Some(slot) => drop(slot.push(Incoming::Lost(Lost::oversized(bytes_max)))),
                None => self.listener.late_answer(),
            },
        }
    }

    pub(crate) fn push_notification(&self, slot: &Slot, message: Message) {
        if !slot.push(Incoming::Notification(message)) {
            self.listener.dropped(Dropped::SlowClient);
        }
    }
}

/// The decimal text of a number, without an allocation.
#[derive(Debug, Default)]
struct NumberText {
    digits: [u8; 20],
}

impl NumberText {
    fn write(&mut self, mut number: u64) -> &[u8] {
        let mut at = self.digits.len();
        loop {
            at -= 1;
            self.digits[at] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                return &self.digits[at..];
            }
        }
    }
}
