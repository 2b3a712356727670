//! Messages of a server that could not be used during its handshake. A failed handshake names them, because
//! one is often the answer that Mainstay waited for.

use parking_lot::Mutex;

/// The first unusable messages of a handshake, as sentences.
#[derive(Debug, Default)]
pub(crate) struct Unused(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    first: Vec<String>,
    more: u64,
    /// The handshake has ended.
    is_closed: bool,
}

/// The number of messages that are named. More of them rarely say more.
const NAMED_MAX: usize = 3;

// === impl Unused ===

impl Unused {
    /// Notes a message while the handshake lasts.
    pub(crate) fn note(&self, what: impl FnOnce() -> String) {
        let mut state = self.0.lock();
        if state.is_closed {
            return;
        }
        if state.first.len() < NAMED_MAX {
            let what = what();
            state.first.push(what);
        } else {
            state.more += 1;
        }
    }

    /// Ends the handshake: nothing is noted any more.
    pub(crate) fn close(&self) {
        self.0.lock().is_closed = true;
    }

    /// The messages, and how many more there were.
    pub(crate) fn lines(&self) -> Vec<String> {
        let state = self.0.lock();
        let mut lines = state.first.clone();
        if state.more > 0 {
            lines.push(format!("ignored {} more", state.more));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::Unused;

    #[test]
    fn the_first_messages_are_named_and_the_rest_is_counted() {
        let unused = Unused::default();
        assert!(unused.lines().is_empty());
        for number in 0..5 {
            unused.note(|| format!("line {number}"));
        }
        unused.close();
        unused.note(|| "after the handshake".to_owned());
        assert_eq!(unused.lines(), ["line 0", "line 1", "line 2", "ignored 2 more"]);
    }
}
