//! What became of a request that got no answer.

use crate::BudgetExceeded;

/// What became of a request that got no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// The request never reached the server, or the server did not accept it: it may be sent again.
    Unsent,
    /// The server may have begun to act on the request.
    Unknown,
    /// The request was not sent, because the daemon has no file descriptor left for a connection.
    NoDescriptor,
    /// The server would refuse the request again: wrong credentials, overload.
    Refused,
    /// The server sent a message for the request that is larger than `message_bytes_max`.
    Oversized,
    /// The server answered the request with a message that nests deeper than `max_depth`.
    TooDeep,
    /// The server answered the request with a message that can't be used.
    Unusable,
    /// The server's answer arrived, and there was no room for it.
    OverBudget(BudgetExceeded),
}
