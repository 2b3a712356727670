//! Answers of a backend and the errors for answers that can't be given.

use std::pin::Pin;
use std::time::Duration;

/// Represents an answer that may have to come from a disk or the network. It resolves within
/// [`ANSWER_DEADLINE`], or [`KEY_DEADLINE`] for a key, so callers need no deadline of their own.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Unavailable>> + Send + 'a>>;

/// Resolves, within [`ANSWER_DEADLINE`], to whether data is stored durably.
pub type Stored<'a> = Pin<Box<dyn Future<Output = bool> + Send + 'a>>;

/// The longest time in which a backend answers or reports that it can't.
pub const ANSWER_DEADLINE: Duration = Duration::from_secs(1);
/// The longest time in which a backend returns a key. It is long because the daemon can't serve without its
/// keys.
pub const KEY_DEADLINE: Duration = Duration::from_secs(20);
/// The longest time in which a backend closes.
pub const CLOSE_DEADLINE: Duration = Duration::from_secs(2);

/// The reasons why the store could not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    #[error("the store has not answered for {} ms", .0.as_millis())]
    Slow(Duration),
    #[error("too many requests wait for the store")]
    Busy,
    #[error("the store is closed")]
    Closed,
    /// The error that the disk or the service reported.
    #[error("the store fails: {0}")]
    Failed(String),
}
