//! The signs of life of a server, as its link sees them. A watch looks at them on its own time, so that messages cost
//! no more than a flag each.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::Notify;

/// The signs of life since the last look.
#[derive(Debug, Default)]
pub(crate) struct Life {
    /// Something came from the server.
    heard: AtomicBool,
    /// An answer came.
    answered: AtomicBool,
    /// The highest number of a call without an answer by its deadline. 0: there was none.
    overdue: AtomicU64,
    /// Notified of each such call.
    missed: Notify,
}

// === impl Life ===

impl Life {
    /// Notes that something came. The flag is mostly set already, and then only read.
    pub(crate) fn note_heard(&self) {
        set(&self.heard);
    }

    /// Notes that an answer came.
    pub(crate) fn note_answered(&self) {
        set(&self.answered);
    }

    /// Notes a call that got no answer by its deadline.
    pub(crate) fn note_overdue(&self, number: u64) {
        self.overdue.fetch_max(number, Ordering::Relaxed);
        self.missed.notify_one();
    }

    pub(crate) fn overdue(&self) -> u64 {
        self.overdue.load(Ordering::Relaxed)
    }

    /// Waits for the next call that gets no answer by its deadline.
    pub(crate) async fn missed(&self) {
        self.missed.notified().await;
    }

    /// Whether something came, and whether an answer did, since the last look.
    pub(crate) fn take(&self) -> (bool, bool) {
        let answered = self.answered.swap(false, Ordering::Relaxed);
        (self.heard.swap(false, Ordering::Relaxed) || answered, answered)
    }
}

fn set(flag: &AtomicBool) {
    // Threads that only read share the cache line.
    if !flag.load(Ordering::Relaxed) {
        flag.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::Life;

    #[test]
    fn a_look_takes_the_signs_and_keeps_the_calls_that_are_overdue() {
        let life = Life::default();
        assert_eq!((life.take(), life.overdue()), ((false, false), 0));
        life.note_heard();
        life.note_overdue(7);
        life.note_overdue(3);
        assert_eq!((life.take(), life.take()), ((true, false), (false, false)));
        life.note_answered();
        assert_eq!(life.take(), (true, true));
        assert_eq!(life.overdue(), 7);
    }
}
