//! What all streams together keep for clients that may come back: counted here, and bounded.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

use crate::sessions::Sessions;

/// The daemon's account of what streams hold, and the source of their numbers.
#[derive(Debug)]
pub(crate) struct Kept {
    bytes: AtomicUsize,
    next: AtomicU64,
    /// Held by whoever makes room: others need not look, too.
    making_room: Mutex<()>,
}

/// One stream's part in it.
#[derive(Debug)]
pub(crate) struct Share {
    of: Arc<Kept>,
    bytes: AtomicUsize,
}

/// What streams hold for clients that are away, at most; past it the oldest answers go. An answer
/// is mostly a few KiB, so this is room for ten thousand clients that lost their connection at once.
const KEPT_BYTES_MAX: usize = 64 << 20;

/// What is left when room was made, so that it need not be made for each answer.
const ROOMY_BYTES: usize = KEPT_BYTES_MAX / 8 * 7;

/// What a stream costs when it holds nothing.
const STREAM_BYTES: usize = 512;

// === impl Kept ===

impl Kept {
    /// `beginning` should be another for each start of the daemon, so that no stream gets a number
    /// that a client may know from before.
    pub(crate) fn new(beginning: u32) -> Arc<Self> {
        let next = AtomicU64::new(u64::from(beginning) << 32);
        Arc::new(Self { bytes: AtomicUsize::new(0), next, making_room: Mutex::new(()) })
    }

    /// A number no other stream has, and a share for the stream that gets it.
    pub(crate) fn open(self: &Arc<Self>) -> (u64, Share) {
        let share = Share { of: self.clone(), bytes: AtomicUsize::new(0) };
        share.add(STREAM_BYTES);
        (self.next.fetch_add(1, Ordering::Relaxed), share)
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    fn is_full(&self) -> bool {
        self.bytes() > KEPT_BYTES_MAX
    }

    /// Lets go of answers when too much is kept: first of those that were read to the end, then of
    /// the oldest; and of what was read on streams that go on.
    pub(crate) fn make_room(&self, sessions: &Sessions) {
        if !self.is_full() {
            return;
        }
        let Some(_one) = self.making_room.try_lock() else { return };
        let sessions = sessions.all();
        let mut ended = Vec::new();
        for session in &sessions {
            ended.extend(session.ended_streams().into_iter().map(|ended| (ended, session)));
        }
        ended.sort_by_key(|(ended, _)| (ended.unread, ended.touched));
        for (ended, session) in ended {
            if self.bytes() <= ROOMY_BYTES {
                return;
            }
            session.forget_stream(&ended.stream);
        }
        let now = Instant::now();
        for session in &sessions {
            session.forget_read(now);
        }
    }
}

// === impl Share ===

impl Share {
    pub(crate) fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.of.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn sub(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.of.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Whether all streams together keep too much.
    pub(crate) fn is_full(&self) -> bool {
        self.of.is_full()
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.of.bytes.fetch_sub(*self.bytes.get_mut(), Ordering::Relaxed);
    }
}
