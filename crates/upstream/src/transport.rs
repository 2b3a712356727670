//! Transports as traits: the pipes of a process, streamable HTTP, HTTP+SSE.
//!
//! Every difference between transports is an operation or an ability of these traits. A
//! [`Link`](crate::Link) names no transport, and this module names none either. Every transport
//! must pass `transport::conformance`.
#[cfg(test)]
pub(crate) mod conformance;

use std::fmt::Debug;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use mainstay_protocol::Revision;

use crate::request::{Incoming, Lost, Outgoing};
use crate::slot::Slot;

/// Properties that hold for every link over a transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransportAbilities {
    /// The transport's name, for people.
    pub name: &'static str,
    /// Whether each call is an exchange of its own that yields the call's messages and its loss.
    /// Otherwise all calls share one conversation.
    pub calls_apart: bool,
    /// Whether a call to a modern server is cancelled by ending its exchange, without a message.
    pub ending_cancels: bool,
    /// Whether tool arguments that a server wants repeated are sent as headers.
    pub mirrors_arguments: bool,
    /// Whether servers of 2026-07-28 speak the transport.
    pub speaks_modern: bool,
}

/// A request to send, with its number on the link.
pub(crate) struct Call<'a> {
    pub(crate) request: &'a Outgoing<'a>,
    pub(crate) id: u64,
    /// `id` as decimal text.
    pub(crate) id_text: &'a [u8],
    pub(crate) modern: bool,
}

/// A future of a trait's method.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The sending side of a link `L`. The transport's own tasks hand the server's messages to the
/// link, which they hold weakly.
pub(crate) trait Transport<L>: Send + Sync + Debug {
    fn abilities(&self) -> &'static TransportAbilities;

    /// Sends a request without waiting. Where calls are [apart](TransportAbilities::calls_apart) the
    /// exchange is returned, and nothing is sent before it is polled.
    ///
    /// # Errors
    /// When it can't be sent; the link forgets the call then.
    fn call(&self, call: &Call<'_>) -> Result<Option<Box<dyn OwnExchange<L>>>, Lost>;

    /// Sends a notification or an answer without waiting. A failed delivery is counted.
    fn send(&self, link: &Arc<L>, message: Bytes);

    /// Sends a notification or an answer. Completes within seconds, when no later message can
    /// overtake it.
    fn deliver<'a>(&'a self, link: &'a Arc<L>, message: Bytes) -> Boxed<'a, ()>;

    /// Called before `initialize`, which may not be the first: the server may have refused a revision.
    fn begin_again(&self) {}

    /// Whether the server has read everything that was sent, as far as can be told. A server that ended
    /// before did not end because of what was sent.
    fn has_been_read(&self) -> bool {
        true
    }

    /// How many bytes the server has taken, while it leaves others waiting.
    fn input_stuck_at(&self) -> Option<u64> {
        None
    }

    /// Called before the first message of 2026-07-28.
    fn begin_modern(&self) {}

    /// Called when the handshake has settled on `revision`.
    fn settle(&self, _link: &Arc<L>, _revision: Revision) {}

    /// Waits until messages that the server sends outside of calls arrive, for about a second at most.
    /// Called once, after [`settle`](Self::settle).
    fn heard(&self) -> Boxed<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    /// Closes the server's input, which asks a process to end.
    fn hang_up(&self) {}

    /// Ends the session at the server and everything that runs for the link, within seconds.
    fn goodbye(&self) -> Boxed<'_, ()>;
}

/// The exchange of one call over a link `L` whose calls are [apart](TransportAbilities::calls_apart).
pub(crate) trait OwnExchange<L>: Send + Debug {
    /// Polls for the next message on the exchange.
    fn poll_next(&mut self, link: &Arc<L>, slot: &Slot, cx: &mut Context<'_>) -> Poll<Incoming>;

    /// Whether the last poll was pending only so that other tasks run.
    fn has_yielded(&self) -> bool;
}
