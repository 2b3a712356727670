//! What the answers are made from.

use mainstay_model::status::Health;

use crate::api::pools::PoolNumbers;
use crate::api::status::DaemonStatus;

/// The daemon, as its health and its numbers show it. Asked on the way of a request: must not
/// wait for anything slower than memory.
pub trait Source: Send + Sync {
    fn status(&self) -> DaemonStatus;

    /// The one word alone. Strangers may ask for it as often as they like, so it should cost less
    /// than all of [`status`](Self::status).
    fn health(&self) -> Health {
        self.status().status
    }

    /// The scrape, as OpenMetrics text.
    fn metrics(&self) -> String;

    /// The numbers of one server's pool; none where there is no such server.
    fn pool(&self, server: &str) -> Option<PoolNumbers>;
}
