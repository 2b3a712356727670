//! Numbers that servers and endpoints are known by while the daemon runs. Names are what people and files
//! know them by: a name can be taken away and given to another server, a number can't.

use std::sync::atomic::{AtomicU64, Ordering};

/// A configured server. It keeps its number for as long as its name stays in the configuration, also when
/// it is changed and started anew. No other server of the same run of the daemon ever has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ServerId(u64);

/// An endpoint: a path that clients attach to. What holds for [`ServerId`] holds for it, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EndpointId(u64);

/// Gives out the numbers; there is one for each daemon.
#[derive(Debug, Default)]
pub struct Ids {
    given: AtomicU64,
}

// === impl Ids ===

impl Ids {
    pub fn server(&self) -> ServerId {
        ServerId(self.next())
    }

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
