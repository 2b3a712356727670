//! Answers of a place for state, and why there is none.

use std::pin::Pin;
use std::time::Duration;

/// An answer that may have to come from a disk or the network. It resolves within the backend's own
/// deadline, so a caller needs none.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Unavailable>> + Send + 'a>>;

/// Whether something has come to where it survives; resolves within the backend's own deadline.
pub type Stored<'a> = Pin<Box<dyn Future<Output = bool> + Send + 'a>>;

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
