//! The receiver of messages that belong to no single call.

use mainstay_protocol::Message;
use mainstay_telemetry::Dropped;

use crate::asker::Asker;

/// Receives messages that belong to no single call. The link's reader calls it, so it must not
/// block.
pub trait Listener: Send + Sync + std::fmt::Debug {
    /// A notification that belongs to no call in flight: list changes, updated resources,
    /// log messages while nothing is called.
    fn notification(&self, message: Message);

    /// A notification or question was dropped: it could belong to several clients, or its client
    /// was too slow.
    fn dropped(&self, reason: Dropped);

    /// A request of the server while no call is in flight; `asker` takes the answer. Returns false
    /// when no client can answer it; the link then refuses it.
    fn question(&self, asker: &Asker, message: &Message) -> bool;

    /// Output that is no message, such as a banner or a log line; `why` says what is wrong with it.
    fn stray(&self, output: &[u8], why: &str);

    /// An answer to a call can't be used. The call ends, and `why` says what is wrong.
    fn unusable_answer(&self, why: &str);

    /// An answer without a waiting call: late, duplicate, or to an unknown id. None: it was not kept.
    fn late_answer(&self, answer: Option<&Message>);

    /// The link has closed. Called once.
    fn closed(&self, reason: &str);
}
