//! Which refused uses of the `read` token are recorded: one a minute for each action. Its holder would else
//! push all other entries out of the audit log.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

/// The least time between two entries about refused uses of one action.
const EVERY: Duration = Duration::from_secs(60);

/// Counts refused uses of the `read` token, by method and path. Only routes of the API are counted, so
/// there are few.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<HashMap<String, Unrecorded>>);

/// Refused uses of one action since the last entry about it.
#[derive(Debug)]
struct Unrecorded {
    since: Instant,
    count: u64,
}

// === impl Refusals ===

impl Refusals {
    /// Counts a refused use. Returns the number of uses since the last entry if this one is to be recorded.
    pub(crate) fn count(&self, action: &str, now: Instant) -> Option<u64> {
        let mut actions = self.0.lock();
        let Some(before) = actions.get_mut(action) else {
            actions.insert(action.to_owned(), Unrecorded { since: now, count: 0 });
            return Some(0);
        };
        if now.duration_since(before.since) < EVERY {
            before.count += 1;
            return None;
        }
        before.since = now;
        Some(std::mem::take(&mut before.count))
    }
}
