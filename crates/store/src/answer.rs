//! Answers of a place for state, and why there is none.

use std::pin::Pin;
use std::time::Duration;

/// An answer that may have to come from a disk or the network. It resolves within [`ANSWER_DEADLINE`], a key
/// within [`KEY_DEADLINE`], so a caller needs no deadline of its own.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Unavailable>> + Send + 'a>>;

/// Whether something has come to where it survives; resolves within [`ANSWER_DEADLINE`].
pub type Stored<'a> = Pin<Box<dyn Future<Output = bool> + Send + 'a>>;

/// Longest that a backend takes for an answer, or to say that there is none.
pub const ANSWER_DEADLINE: Duration = Duration::from_secs(1);
/// Longest that a backend takes for a key: the daemon does not serve yet, and can't without it.
pub const KEY_DEADLINE: Duration = Duration::from_secs(20);
/// Longest that the end of a backend takes.
pub const CLOSE_DEADLINE: Duration = Duration::from_secs(2);

/// Why the store could not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    #[error("the store has not answered for {} ms", .0.as_millis())]
    Slow(Duration),
    #[error("too many requests wait for the store")]
    Busy,
    #[error("the store is closed")]
    Closed,
    /// What the disk or the service says.
    #[error("the store fails: {0}")]
    Failed(String),
}
