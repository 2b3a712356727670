//! The head and tail that are kept of an oversized line or event.

/// The first and the last bytes of a line or event that was too large and was discarded. Together they are
/// the whole of it if it is no longer than both.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ends {
    head: Vec<u8>,
    tail: Vec<u8>,
}

/// The maximum length of each end, in bytes. In practice, the id of a message is within a few dozen bytes
/// of its start or its end.
const END_BYTES: usize = 512;

// === impl Ends ===

impl Ends {
    /// The ends of a whole line or event.
    pub fn of(whole: &[u8]) -> Self {
        let mut ends = Self::default();
        ends.push(whole);
        ends.close()
    }

    /// The first bytes, at most 512.
    pub fn head(&self) -> &[u8] {
        &self.head
    }

    /// The last bytes, at most 512, without those in the head.
    pub fn tail(&self) -> &[u8] {
        &self.tail[self.tail.len().saturating_sub(END_BYTES)..]
    }

    pub(super) fn is_empty(&self) -> bool {
        self.head.is_empty()
    }

    /// Adds the next piece. Moves at most as many bytes as the piece has.
    pub fn push(&mut self, piece: &[u8]) {
        let room = END_BYTES - self.head.len();
        let (first, rest) = piece.split_at(room.min(piece.len()));
        self.head.extend_from_slice(first);
        let rest = &rest[rest.len().saturating_sub(END_BYTES)..];
        // Twice the size, so that moving the bytes is rare.
        if self.tail.len() + rest.len() > 2 * END_BYTES {
            self.tail.drain(..self.tail.len().saturating_sub(END_BYTES));
        }
        self.tail.extend_from_slice(rest);
    }

    /// Trims the tail at the end of the message.
    #[must_use]
    pub fn close(mut self) -> Self {
        self.tail.drain(..self.tail.len().saturating_sub(END_BYTES));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::{END_BYTES, Ends};

    fn ends<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Ends {
        let mut ends = Ends::default();
        for piece in pieces {
            ends.push(piece);
            assert!(ends.head.len() <= END_BYTES && ends.tail.len() <= 2 * END_BYTES);
        }
        ends.close()
    }

    #[test]
    fn both_ends_are_kept_however_it_comes() {
        let whole: Vec<u8> = (0..5000_u32).map(|at| (at % 251) as u8).collect();
        for length in [0, 1, 511, 512, 513, 1024, 1025, 1536, 5000] {
            let whole = &whole[..length];
            let expected = ends([whole]);
            assert_eq!(expected.head(), &whole[..length.min(512)], "{length}");
            let tail = length.saturating_sub(512).min(512);
            assert_eq!(expected.tail(), &whole[length - tail..], "{length}");
            for piece in [1, 7, 512, 700, 1025] {
                assert_eq!(ends(whole.chunks(piece)), expected, "{length} by {piece}");
            }
        }
    }
}
