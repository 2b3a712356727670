//! How a server is spoken to: over the pipes of a process, over streamable HTTP, over HTTP+SSE.
//!
//! Everything that differs between transports is an operation or an ability of the traits here; a
//! [`Link`](crate::Link) knows no transport by name, and no transport is known here. Whoever adds one makes it pass `transport::conformance`.
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

/// What holds for every link over a transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransportAbilities {
    /// As people know it.
    pub name: &'static str,
    /// Each call is an exchange of its own: what comes on it belongs to the call, and the call hears
    /// there of its loss. Otherwise all calls share one conversation.
    pub calls_apart: bool,
    /// A call to a modern server is cancelled by ending its exchange, without a message.
    pub ending_cancels: bool,
    /// Arguments of a tool that its server wants repeated are sent as headers.
    pub mirrors_arguments: bool,
    /// The end of a modern server is noticed while nothing is asked of it.
    pub notices_end: bool,
    /// Servers of 2026-07-28 speak it.
    pub speaks_modern: bool,
}

/// A request to be sent under our number.
pub(crate) struct Call<'a> {
    pub(crate) request: &'a Outgoing<'a>,
    pub(crate) id: u64,
    /// The same number as text.
    pub(crate) id_text: &'a [u8],
    pub(crate) modern: bool,
}

/// A future of a trait's method.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The sending side of a link `L`. What a server sends is handed to the link by the transport's own
/// tasks, which hold the link weakly.
pub(crate) trait Transport<L>: Send + Sync + Debug {
    fn abilities(&self) -> &'static TransportAbilities;

    /// Sends a request without waiting. Where calls are [apart](TransportAbilities::calls_apart) the
    /// exchange is returned, and nothing is sent before it is polled.
    ///
    /// # Errors
    /// When it can't be sent; the link forgets the call then.
    fn call(&self, call: &Call<'_>) -> Result<Option<Box<dyn OwnExchange<L>>>, Lost>;

    /// Sends a notification or an answer without waiting. What can't be delivered is counted.
    fn send(&self, link: &Arc<L>, message: Bytes);

    /// As [`send`](Self::send); over when nothing that is sent afterwards can overtake it, within
    /// seconds.
    fn deliver<'a>(&'a self, link: &'a Arc<L>, message: Bytes) -> Boxed<'a, ()>;

    /// The server is about to be spoken to as one of 2026-07-28.
    fn begin_modern(&self) {}

    /// Hands are shaken.
    fn settle(&self, _link: &Arc<L>, _revision: Revision) {}

    /// Waits until what the server says of its own accord arrives here, or until a deadline of about a
    /// second. Called once after [`settle`](Self::settle).
    fn heard(&self) -> Boxed<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    /// Asks the server to end by closing its input, where that means something.
    fn hang_up(&self) {}

    /// Takes leave of the server and ends what runs for the link, within seconds.
    fn goodbye(&self) -> Boxed<'_, ()>;
}

/// The exchange of one call over a link `L` whose calls are [apart](TransportAbilities::calls_apart).
pub(crate) trait OwnExchange<L>: Send + Debug {
    /// What comes next on the exchange.
    fn poll_next(&mut self, link: &Arc<L>, slot: &Slot, cx: &mut Context<'_>) -> Poll<Incoming>;
}
