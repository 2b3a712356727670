//! What is known about the legacy revisions of a server, over all its runs.

use mainstay_protocol::Revision;
use parking_lot::Mutex;

/// Says which revision to ask a server for first, and learns from its replies. One for each server.
#[derive(Debug, Default)]
pub struct RevisionMemory(Mutex<Known>);

#[derive(Debug, Clone, Default)]
struct Known {
    /// The place of the first revision to ask for, in [`Revision::LEGACY`].
    first: usize,
    /// The server has taken a revision before.
    has_taken: bool,
    /// The revision that the server was asked for and has not replied to.
    asked: Option<Revision>,
    /// How often in a row the server was silent: it ended, or closed the connection.
    silences: u32,
}

/// A server that has taken a revision may be silent for other reasons. It is asked for another revision
/// only when it was silent this often.
const SILENCES_MIN: u32 = 3;

const REVISIONS: usize = Revision::LEGACY.len();

// === impl RevisionMemory ===

impl RevisionMemory {
    /// The revisions to ask for, in this order.
    pub fn order(&self) -> Vec<Revision> {
        let first = self.0.lock().first;
        let mut order = Revision::LEGACY.to_vec();
        order[..=first].rotate_right(1);
        order
    }

    /// The revision that the server has taken, if it is not the latest.
    pub fn older(&self) -> Option<Revision> {
        let known = self.0.lock();
        (known.has_taken && known.first > 0).then(|| Revision::LEGACY[known.first])
    }

    /// Begins with a revision that an earlier daemon found out.
    pub fn begin_with(&self, revision: Revision) {
        if let Some(place) = place(revision) {
            *self.0.lock() = Known { first: place, has_taken: true, ..Known::default() };
        }
    }

    /// A memory with the same content, whose changes are forgotten.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self(Mutex::new(self.0.lock().clone()))
    }

    /// Whether the server was silent in each revision.
    pub fn was_silent_in_all(&self) -> bool {
        let known = self.0.lock();
        !known.has_taken && known.silences as usize == REVISIONS
    }

    /// The server is asked for this revision.
    pub(super) fn note_asked(&self, revision: Revision) {
        self.0.lock().asked = Some(revision);
    }

    /// The server has replied, or it is not known to have been silent.
    pub fn note_reply(&self) {
        self.0.lock().asked = None;
    }

    /// The server has answered `initialize` in this revision.
    pub(super) fn note_taken(&self, revision: Revision) {
        if let Some(first) = place(revision) {
            *self.0.lock() = Known { first, has_taken: true, ..Known::default() };
        }
    }

    /// The server has read `initialize`, and ended or closed the connection. Changes nothing if it has
    /// replied.
    ///
    /// The next run begins with the next older revision. A server that was silent in each is asked for the
    /// latest again: its silence has another reason.
    pub fn note_silence(&self) {
        let mut known = self.0.lock();
        let Some(revision) = known.asked.take() else { return };
        known.silences = known.silences.saturating_add(1);
        if known.has_taken {
            if known.silences >= SILENCES_MIN {
                *known = Known::default();
            }
            return;
        }
        let next = place(revision).map_or(0, |place| place + 1);
        known.first = if (known.silences as usize) < REVISIONS { next % REVISIONS } else { 0 };
    }
}

fn place(revision: Revision) -> Option<usize> {
    Revision::LEGACY.iter().position(|one| *one == revision)
}

#[cfg(test)]
mod tests {
    use mainstay_protocol::Revision;

    use super::RevisionMemory;

    const DATES: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];

    fn first(memory: &RevisionMemory) -> &'static str {
        memory.order()[0].as_str()
    }

    fn silent(memory: &RevisionMemory, date: &str) {
        memory.note_asked(revision(date));
        memory.note_silence();
    }

    fn revision(date: &str) -> Revision {
        Revision::parse(date).unwrap()
    }

    #[test]
    fn all_revisions_are_tried_the_one_that_worked_first() {
        let memory = RevisionMemory::default();
        assert_eq!(memory.order(), Revision::LEGACY);
        memory.note_taken(revision("2025-03-26"));
        let order: Vec<_> = memory.order().iter().map(|one| one.as_str()).collect();
        assert_eq!(order, ["2025-03-26", "2025-11-25", "2025-06-18", "2024-11-05"]);
        assert_eq!(memory.older(), Some(revision("2025-03-26")));
        memory.note_taken(revision("2025-11-25"));
        assert_eq!((first(&memory), memory.older()), ("2025-11-25", None));
    }

    #[test]
    fn a_server_that_ends_is_asked_for_one_older_revision_after_the_other() {
        let memory = RevisionMemory::default();
        for (at, date) in DATES.iter().enumerate() {
            assert_eq!(first(&memory), *date);
            assert!(!memory.was_silent_in_all(), "{at}");
            silent(&memory, date);
        }
        assert!(memory.was_silent_in_all());
        // It is not about the revision then.
        for _ in 0..10 {
            assert_eq!(first(&memory), "2025-11-25");
            silent(&memory, "2025-11-25");
            assert!(!memory.was_silent_in_all());
        }
    }

    #[test]
    fn what_worked_is_kept_while_a_server_ends_for_another_reason() {
        let memory = RevisionMemory::default();
        silent(&memory, "2025-11-25");
        memory.note_taken(revision("2025-06-18"));
        for _ in 0..2 {
            silent(&memory, "2025-06-18");
            assert_eq!(first(&memory), "2025-06-18");
        }
        memory.note_taken(revision("2025-06-18"));
        for _ in 0..3 {
            assert_eq!(first(&memory), "2025-06-18");
            silent(&memory, "2025-06-18");
        }
        // Another version of the server, perhaps: all is open again.
        assert_eq!((first(&memory), memory.older()), ("2025-11-25", None));
    }

    #[test]
    fn a_server_that_replied_was_not_silent() {
        let memory = RevisionMemory::default();
        memory.note_asked(revision("2025-11-25"));
        memory.note_reply();
        memory.note_silence();
        assert_eq!(first(&memory), "2025-11-25");
    }

    #[test]
    fn a_copy_learns_for_itself() {
        let memory = RevisionMemory::default();
        memory.begin_with(revision("2024-11-05"));
        let copy = memory.copy();
        copy.note_taken(revision("2025-11-25"));
        assert_eq!((first(&copy), first(&memory)), ("2025-11-25", "2024-11-05"));
        memory.begin_with(revision("2026-07-28"));
        assert_eq!(first(&memory), "2024-11-05", "no legacy revision");
    }
}
