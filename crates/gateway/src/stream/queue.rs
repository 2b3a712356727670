//! The events of a stream, and how far they were read.

use std::collections::VecDeque;
use std::task::Waker;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use mainstay_model::budget::UNCHARGED_BYTES_MAX;

use super::LEFT_AFTER;
use super::open_stream::OpenStreamGuard;

/// The queue of a stream, under its lock.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// Events that can be read or replayed, oldest first.
    pub(super) events: VecDeque<Bytes>,
    pub(super) bytes: usize,
    /// How many of the events were read, and their bytes.
    pub(super) read: usize,
    pub(super) read_bytes: usize,
    /// Events that were dropped before the first of `events`.
    pub(super) dropped: u64,
    pub(super) ended: bool,
    /// Whether the last event is the response to a request.
    pub(super) answered: bool,
    /// Number of the present reader. Each resume adds one; readers with a lower number get nothing.
    pub(super) reader_no: u32,
    /// When the last reader left. None: somebody reads.
    pub(super) reader_gone_at: Option<Instant>,
    /// When the stream was last read, resumed, left or ended.
    pub(super) last_activity: Option<Instant>,
    /// The questions among the events: the number of the event, counted from 0, and that of the
    /// question.
    pub(super) questions: Vec<(u64, u64)>,
    pub(super) waker: Option<Waker>,
    /// Whether another stream has taken its place.
    pub(super) displaced: bool,
    /// Counts the present reader while it reads.
    pub(super) open: Option<Box<OpenStreamGuard>>,
}

/// Bound of what a client has not read yet. Past it notifications are dropped; a response always
/// has room.
pub(super) const UNREAD_BYTES_MAX: usize = 1 << 20;
pub(super) const UNREAD_EVENTS_MAX: usize = 1024;

/// Bound of unread questions, beyond the bound of other events. Past it questions are refused to
/// the server.
pub(super) const UNREAD_QUESTIONS_MAX: usize = 64;
pub(super) const UNREAD_QUESTION_BYTES_MAX: usize = 1 << 20;

// === impl Queue ===

impl Queue {
    /// Whether an event of `more` bytes does not fit. An empty queue accepts any size.
    pub(super) fn is_full(&self, more: usize) -> bool {
        let unread = self.events.len() - self.read;
        let bytes = self.bytes - self.read_bytes;
        (bytes + more > UNREAD_BYTES_MAX || unread >= UNREAD_EVENTS_MAX) && unread > 0
    }

    pub(super) fn is_full_for_questions(&self) -> bool {
        self.events.len() - self.read >= UNREAD_EVENTS_MAX + UNREAD_QUESTIONS_MAX
            || self.bytes - self.read_bytes >= UNREAD_BYTES_MAX + UNREAD_QUESTION_BYTES_MAX
    }

    /// Since when nobody has read, if that is for [`LEFT_AFTER`].
    pub(super) fn left_since(&self, now: Instant) -> Option<Instant> {
        self.reader_gone_at.filter(|left| now.saturating_duration_since(*left) >= LEFT_AFTER)
    }

    pub(super) fn has_unread(&self) -> bool {
        self.read < self.events.len()
    }

    /// Puts another event in the place of one.
    pub(super) fn replace(&mut self, at: usize, event: Bytes) {
        let Some(place) = self.events.get_mut(at) else { return };
        self.bytes = self.bytes - place.len() + event.len();
        if at < self.read {
            self.read_bytes = self.read_bytes - place.len() + event.len();
        }
        *place = event;
    }

    /// Moves small events into one block. Each may be the last one in a page of the allocator, which it
    /// would keep for as long as the stream is kept.
    pub(super) fn gather_small(&mut self) {
        let is_small = |event: &&mut Bytes| event.len() <= UNCHARGED_BYTES_MAX;
        let bytes = self.events.iter_mut().filter(is_small).map(|event| event.len()).sum();
        let mut block = BytesMut::with_capacity(bytes);
        for event in self.events.iter_mut().filter(is_small) {
            block.extend_from_slice(event);
            *event = block.split().freeze();
        }
        self.events.shrink_to_fit();
    }

    pub(super) fn push(&mut self, event: Bytes) {
        self.bytes += event.len();
        self.events.push_back(event);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}
