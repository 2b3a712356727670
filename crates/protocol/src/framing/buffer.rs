//! The input buffer of the decoders.

use bytes::{Buf, Bytes, BytesMut};

/// The spare capacity for a read, in bytes. Most messages fit, and an idle stream holds no more than this.
const READ_BYTES_MIN: usize = 8 * 1024;

/// The spare capacity for a read within a long line, in bytes: fewer reads, but small compared to the line.
const READ_BYTES_MAX: usize = 256 * 1024;

/// A buffer that has grown beyond this many bytes is freed once the long line has been taken.
const KEPT_BYTES_MAX: usize = 64 * 1024;

/// A growing buffer that records how far it was searched for a line end.
///
/// Otherwise each piece of a 64 MB line would restart the search at its beginning.
#[derive(Debug, Default)]
pub(super) struct ScanBuffer {
    bytes: BytesMut,
    /// The number of bytes at the front that contain no line end.
    scanned: usize,
    /// The largest capacity of `bytes` since memory was last freed.
    largest: usize,
}

// === impl ScanBuffer ===

impl ScanBuffer {
    pub(super) fn push(&mut self, chunk: &[u8]) {
        self.bytes.extend_from_slice(chunk);
    }

    /// The buffer with spare capacity, to read into.
    pub(super) fn room(&mut self) -> &mut BytesMut {
        if self.bytes.capacity() - self.bytes.len() < READ_BYTES_MIN {
            self.bytes.reserve(self.bytes.len().clamp(READ_BYTES_MIN, READ_BYTES_MAX));
        }
        &mut self.bytes
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The position of the first line end, if `search` finds one in the bytes not searched yet.
    pub(super) fn find(&mut self, search: impl Fn(&[u8]) -> Option<usize>) -> Option<usize> {
        let from = self.scanned.min(self.bytes.len());
        let found = search(&self.bytes[from..]).map(|at| from + at);
        self.scanned = found.unwrap_or(self.bytes.len());
        found
    }

    /// Removes the line that ends at `end`, and the byte at `end`.
    pub(super) fn take_line(&mut self, end: usize) -> Bytes {
        self.note_size();
        let mut line = self.bytes.split_to(end + 1);
        line.truncate(end);
        self.scanned = 0;
        self.give_back();
        line.freeze()
    }

    /// Removes all bytes.
    pub(super) fn take_rest(&mut self) -> Bytes {
        self.note_size();
        let rest = self.bytes.split();
        self.scanned = 0;
        self.give_back();
        rest.freeze()
    }

    /// Discards bytes from the front.
    pub(super) fn skip(&mut self, count: usize) {
        self.bytes.advance(count);
        self.scanned = self.scanned.saturating_sub(count);
    }

    pub(super) fn clear(&mut self) {
        self.note_size();
        self.bytes.clear();
        self.scanned = 0;
        self.give_back();
    }

    fn note_size(&mut self) {
        self.largest = self.largest.max(self.bytes.capacity());
    }

    /// Frees the memory of a long line. Copies at most 16 KiB, once per growth.
    fn give_back(&mut self) {
        if self.largest > KEPT_BYTES_MAX && self.bytes.len() <= KEPT_BYTES_MAX / 4 {
            self.bytes = BytesMut::from(self.as_slice());
            self.largest = self.bytes.capacity();
        }
    }

    /// The memory held at the moment, so that tests can show that it is bounded.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.bytes.capacity()
    }
}

/// Discards a byte order mark at the front. Returns false while there are too few bytes to decide.
pub(super) fn pass_byte_order_mark(buffer: &mut ScanBuffer) -> bool {
    const MARK: &[u8] = b"\xEF\xBB\xBF";
    if buffer.as_slice().starts_with(MARK) {
        buffer.skip(MARK.len());
        return true;
    }
    !MARK.starts_with(buffer.as_slice())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::ScanBuffer;

    #[test]
    fn no_byte_is_searched_twice() {
        let searched = Cell::new(0);
        let search = |bytes: &[u8]| {
            searched.set(searched.get() + bytes.len());
            memchr::memchr(b'\n', bytes)
        };
        let mut buffer = ScanBuffer::default();
        for _ in 0..1000 {
            buffer.push(&[b'x'; 100]);
            assert_eq!(buffer.find(search), None);
        }
        buffer.push(b"\n");
        assert_eq!(buffer.find(search), Some(100_000));
        assert_eq!(searched.get(), 100_001);
    }

    #[test]
    fn the_memory_of_a_long_line_is_given_back() {
        let mut buffer = ScanBuffer::default();
        buffer.push(&vec![b'x'; 10 << 20]);
        buffer.push(b"\nnext");
        let line = buffer.take_line(10 << 20);
        assert_eq!(line.len(), 10 << 20);
        assert_eq!(buffer.as_slice(), b"next");
        assert!(buffer.capacity() < 1024, "{}", buffer.capacity());
    }

    #[test]
    fn lines_share_the_memory_they_were_read_into() {
        let mut buffer = ScanBuffer::default();
        buffer.room().extend_from_slice(b"one\ntwo\n");
        let start = buffer.as_slice().as_ptr() as usize;
        let (one, two) = (buffer.take_line(3), buffer.take_line(3));
        assert_eq!((&one[..], &two[..]), (&b"one"[..], &b"two"[..]));
        assert_eq!((one.as_ptr() as usize, two.as_ptr() as usize), (start, start + 4));
    }
}
