//! Counts the changes of an endpoint's lists.

use std::sync::atomic::{AtomicU32, Ordering};

use mainstay_protocol::list::ListKind;

/// Number of changes of each list, for clients with sessions. A session remembers the numbers it
/// was notified of, and so learns later what it missed.
#[derive(Debug, Default)]
pub(crate) struct ListChanges([AtomicU32; ListKind::ALL.len()]);

/// The numbers of changes that a session was notified of.
pub(crate) type SeenChanges = [u32; ListKind::ALL.len()];

// === impl ListChanges ===

impl ListChanges {
    /// Counts a change of these lists. Call it before listeners are notified.
    pub(crate) fn record(&self, kinds: &[ListKind]) {
        for kind in kinds {
            self.0[*kind as usize].fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Returns the numbers of a client that knows all changes so far.
    pub(crate) fn all_seen(&self) -> SeenChanges {
        self.0.each_ref().map(|count| count.load(Ordering::Acquire))
    }

    /// Returns the numbers of a client for which every list counts as changed.
    pub(crate) fn none_seen(&self) -> SeenChanges {
        self.all_seen().map(|count| count.wrapping_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use mainstay_protocol::list::ListKind;

    use super::ListChanges;

    #[test]
    fn changes_are_counted_by_list() {
        let changes = ListChanges::default();
        let told = changes.all_seen();
        changes.record(&[ListKind::Tools, ListKind::Prompts]);
        let differs: Vec<_> = ListKind::ALL
            .into_iter()
            .filter(|kind| changes.all_seen()[*kind as usize] != told[*kind as usize])
            .collect();
        assert_eq!(differs, [ListKind::Tools, ListKind::Prompts]);
        let unknown = changes.none_seen();
        assert!(changes.all_seen().iter().zip(unknown).all(|(now, told)| *now != told));
    }
}
