//! What is known about the legacy revisions of a server, over all its runs.

use mainstay_protocol::Revision;
use parking_lot::Mutex;

/// Says which revision to ask a server for first, and learns from its replies. One for each server.
///
/// A server is *silent* if it reads `initialize` and ends, or closes the connection.
#[derive(Debug)]
pub struct RevisionMemory {
    /// A revision is given up when the server was silent in it this often.
    silences_max: u32,
    known: Mutex<Known>,
}

#[derive(Debug, Clone, Default)]
struct Known {
    /// The place of the first revision to ask for, in [`Revision::LEGACY`].
    first: usize,
    /// The server has taken a revision before.
    has_taken: bool,
    /// It has taken that revision after it was silent in another.
    was_silent: bool,
    /// The revision that the server was asked for and has not replied to.
    asked: Option<Revision>,
    /// How often in a row the server was silent in the present revision.
    silences: u32,
    /// How many revisions were given up for silence.
    given_up: usize,
    /// How many handshakes in a row the server refused in every revision.
    refusals: u32,
}

/// A server that has taken a revision may be silent for other reasons. That revision is given up only when
/// the server was silent this often.
const SILENCES_MAX_TAKEN: u32 = 3;

/// A server that refuses this many handshakes in a row will not take the next one either.
const REFUSALS_MAX: u32 = 3;

// === impl RevisionMemory ===

impl RevisionMemory {
    /// Knows nothing yet. `end_is_answer` as in [`HostAbilities`](crate::host::HostAbilities): connections are
    /// also cut by chance, so one silence is not enough then.
    pub fn new(end_is_answer: bool) -> Self {
        let silences_max = if end_is_answer { 1 } else { 2 };
        Self { silences_max, known: Mutex::default() }
    }

    /// The revisions to ask for, in this order.
    pub fn order(&self) -> Vec<Revision> {
        let first = self.known.lock().first;
        let mut order = Revision::LEGACY.to_vec();
        order[..=first].rotate_right(1);
        order
    }

    /// The older revision that the server has taken after it refused the latest by an answer. A server that
    /// was silent may have had another reason.
    pub fn refused_latest(&self) -> Option<Revision> {
        let known = self.known.lock();
        let is_certain = known.has_taken && known.first > 0 && !known.was_silent;
        is_certain.then(|| Revision::LEGACY[known.first])
    }

    /// Begins with a revision that an earlier daemon found out.
    pub fn begin_with(&self, revision: Revision) {
        if let Some(first) = place(revision) {
            *self.known.lock() = Known { first, has_taken: true, ..Known::default() };
        }
    }

    /// Forgets everything, because the server may have changed.
    pub fn forget(&self) {
        *self.known.lock() = Known::default();
    }

    /// A memory with the same content, whose changes are forgotten.
    #[must_use]
    pub fn copy(&self) -> Self {
        let known = Mutex::new(self.known.lock().clone());
        Self { silences_max: self.silences_max, known }
    }

    /// Whether all revisions were given up for silence, the last one in the latest run.
    pub fn was_silent_in_all(&self) -> bool {
        let known = self.known.lock();
        !known.has_taken && known.given_up == Revision::LEGACY.len()
    }

    /// The server is asked for this revision.
    pub(super) fn note_asked(&self, revision: Revision) {
        self.known.lock().asked = Some(revision);
    }

    /// The server has replied, if not with a result.
    pub(super) fn note_reply(&self) {
        let mut known = self.known.lock();
        known.asked = None;
        known.silences = 0;
    }

    /// The request did not reach the server, or Mainstay did not wait for the reply.
    pub fn note_unasked(&self) {
        self.known.lock().asked = None;
    }

    /// The server has answered `initialize` in this revision.
    pub(super) fn note_taken(&self, revision: Revision) {
        if let Some(first) = place(revision) {
            let mut known = self.known.lock();
            let is_known = known.has_taken && known.first == first;
            let was_silent = if is_known { known.was_silent } else { known.given_up > 0 };
            *known = Known { first, has_taken: true, was_silent, ..Known::default() };
        }
    }

    /// The server has refused a handshake in every revision. Returns whether it has done so too often to try
    /// it again soon.
    pub(super) fn note_refusal(&self) -> bool {
        let mut known = self.known.lock();
        known.refusals = known.refusals.saturating_add(1);
        known.refusals >= REFUSALS_MAX
    }

    /// The server, which refused `initialize`, has been asked whether it is modern.
    pub(super) fn note_discovered(&self, is_modern: bool) {
        if is_modern {
            self.known.lock().refusals = 0;
        }
    }

    /// The server was silent, unless it has replied. Returns whether the revision is given up.
    ///
    /// Then the next older one is the first to ask for. A server that was silent in each is asked for the
    /// latest again: its silence has another reason.
    pub fn note_silence(&self) -> bool {
        let mut known = self.known.lock();
        let Some(revision) = known.asked.take() else { return false };
        known.silences += 1;
        let silences_max = if known.has_taken { SILENCES_MAX_TAKEN } else { self.silences_max };
        if known.silences < silences_max {
            return false;
        }
        if known.has_taken {
            *known = Known::default();
            return true;
        }
        known.silences = 0;
        known.given_up = known.given_up.saturating_add(1);
        let next = place(revision).map_or(0, |place| place + 1);
        let is_left = known.given_up < Revision::LEGACY.len();
        known.first = if is_left { next % Revision::LEGACY.len() } else { 0 };
        true
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

    fn silent(memory: &RevisionMemory, date: &str) -> bool {
        memory.note_asked(revision(date));
        memory.note_silence()
    }

    fn revision(date: &str) -> Revision {
        Revision::parse(date).unwrap()
    }

    #[test]
    fn all_revisions_are_tried_the_one_that_worked_first() {
        let memory = RevisionMemory::new(true);
        assert_eq!(memory.order(), Revision::LEGACY);
        memory.note_asked(revision("2025-11-25"));
        memory.note_reply();
        memory.note_taken(revision("2025-03-26"));
        let order: Vec<_> = memory.order().iter().map(|one| one.as_str()).collect();
        assert_eq!(order, ["2025-03-26", "2025-11-25", "2025-06-18", "2024-11-05"]);
        assert_eq!(memory.refused_latest(), Some(revision("2025-03-26")));
        memory.note_taken(revision("2025-11-25"));
        assert_eq!((first(&memory), memory.refused_latest()), ("2025-11-25", None));
    }

    #[test]
    fn a_server_that_ends_is_asked_for_one_older_revision_after_the_other() {
        let memory = RevisionMemory::new(true);
        for date in DATES {
            assert_eq!(first(&memory), date);
            assert!(!memory.was_silent_in_all());
            assert!(silent(&memory, date));
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
    fn a_connection_that_is_cut_once_may_be_chance() {
        let memory = RevisionMemory::new(false);
        for date in DATES {
            assert!(!silent(&memory, date));
            assert_eq!(first(&memory), date);
            // It could not be reached meanwhile, which says nothing.
            memory.note_asked(revision(date));
            memory.note_unasked();
            assert!(silent(&memory, date));
        }
        assert!(memory.was_silent_in_all());
        memory.forget();
        assert!(!silent(&memory, DATES[0]));
        memory.note_asked(revision(DATES[0]));
        memory.note_reply();
        assert!(!silent(&memory, DATES[0]), "it has replied in between");
    }

    #[test]
    fn what_worked_is_kept_while_a_server_ends_for_another_reason() {
        let memory = RevisionMemory::new(true);
        silent(&memory, "2025-11-25");
        memory.note_taken(revision("2025-06-18"));
        assert_eq!(memory.refused_latest(), None, "it was silent");
        for _ in 0..2 {
            assert!(!silent(&memory, "2025-06-18"));
            assert_eq!(first(&memory), "2025-06-18");
        }
        memory.note_taken(revision("2025-06-18"));
        assert_eq!(memory.refused_latest(), None, "still");
        for given_up in [false, false, true] {
            assert_eq!(first(&memory), "2025-06-18");
            assert_eq!(silent(&memory, "2025-06-18"), given_up);
        }
        // Another version of the server, perhaps: all is open again.
        assert_eq!(first(&memory), "2025-11-25");
    }

    #[test]
    fn a_server_that_replied_was_not_silent() {
        let memory = RevisionMemory::new(true);
        memory.note_asked(revision("2025-11-25"));
        memory.note_reply();
        assert!(!memory.note_silence());
        assert_eq!(first(&memory), "2025-11-25");
    }

    #[test]
    fn a_server_that_refuses_everything_is_left_alone_in_the_end() {
        let memory = RevisionMemory::new(false);
        let refusals: Vec<_> = (0..6).map(|_| memory.note_refusal()).collect();
        assert_eq!(refusals, [false, false, true, true, true, true]);
        memory.note_taken(revision("2025-11-25"));
        assert!(!memory.note_refusal());
        for _ in 0..10 {
            memory.note_discovered(false);
            memory.note_refusal();
        }
        memory.note_discovered(true);
        assert!(!memory.note_refusal(), "it is modern");
    }

    #[test]
    fn a_copy_learns_for_itself() {
        let memory = RevisionMemory::new(true);
        memory.begin_with(revision("2024-11-05"));
        let copy = memory.copy();
        copy.note_taken(revision("2025-11-25"));
        assert_eq!((first(&copy), first(&memory)), ("2025-11-25", "2024-11-05"));
        memory.begin_with(revision("2026-07-28"));
        assert_eq!(first(&memory), "2024-11-05", "no legacy revision");
    }
}
