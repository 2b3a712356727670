//! Ids that identify servers and endpoints while the daemon runs.
//!
//! People and files use names. A name can be removed and given to another server; an id is never reused.

use std::sync::atomic::{AtomicU64, Ordering};

/// Identifies a configured server. The id stays the same while the server's name stays in the
/// configuration, even if its settings change. The same run of the daemon never gives it to another server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerId(u64);

/// Identifies an endpoint, a path that clients connect to. The rules of [`ServerId`] apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EndpointId(u64);

/// Allocates server and endpoint ids. A daemon has one allocator.
#[derive(Debug, Default)]
pub struct Ids {
    given: AtomicU64,
}

// === impl Ids ===

impl Ids {
    /// Allocates the next server id.
    pub fn server(&self) -> ServerId {
        ServerId(self.next())
    }

    /// Allocates the next endpoint id.
    pub fn endpoint(&self) -> EndpointId {
        EndpointId(self.next())
    }

    fn next(&self) -> u64 {
        self.given.fetch_add(1, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::Ids;

    #[test]
    fn no_number_is_given_twice() {
        let ids = Ids::default();
        let servers: BTreeSet<_> = (0..100).map(|_| ids.server()).collect();
        let endpoints: BTreeSet<_> = (0..100).map(|_| ids.endpoint()).collect();
        assert_eq!((servers.len(), endpoints.len()), (100, 100));
    }
}
