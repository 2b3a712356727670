//! What a link tells of its own accord.

use mainstay_protocol::Message;
use mainstay_telemetry::Dropped;

use crate::asker::Asker;

/// Hears what belongs to no single call. Called from the link's reader: must not block.
pub trait Listener: Send + Sync + std::fmt::Debug {
    /// A notification that belongs to no call in flight: list changes, updated resources,
    /// log messages while nothing is called.
    fn notification(&self, message: Message);

    /// A notification or question that could belong to several clients was dropped, or a client
    /// was too slow for it.
    fn dropped(&self, reason: Dropped);

    /// A request of the server while no call is in flight; `asker` takes the answer. False: nobody can
    /// answer it, refuse it.
    fn question(&self, asker: &Asker, message: &Message) -> bool;

    /// Bytes that are no message: a banner, a log line.
    fn stray(&self, line: &[u8]);

    /// An answer nobody waits for: late, twice, or to an unknown id.
    fn late_answer(&self);

    /// The link is of no further use. Comes once.
    fn closed(&self, reason: &str);
}
