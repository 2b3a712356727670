//! What all streams together keep for clients that may come back: counted here, and bounded.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

use crate::session::Session;

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
    pub(crate) fn make_room(&self, sessions: impl FnOnce() -> Vec<Arc<Session>>) {
        if !self.is_full() {
            return;
        }
        let Some(_one) = self.making_room.try_lock() else { return };
        let sessions = sessions();
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::{Context, Waker};

    use bytes::Bytes;
    use mainstay_model::{Ids, Principal};
    use mainstay_protocol::capabilities::ClientCapabilities;
    use mainstay_protocol::{Id, Revision};
    use mainstay_upstream::SessionNo;

    use super::{KEPT_BYTES_MAX, Kept, ROOMY_BYTES, STREAM_BYTES};
    use crate::session::Session;

    fn sessions(count: u64) -> Vec<Arc<Session>> {
        let endpoint = Ids::default().endpoint();
        let revision = Revision::V2025_11_25;
        let session = |owner| {
            let (principal, can) = (Principal::anonymous(), ClientCapabilities::default());
            Session::passing(SessionNo(owner), principal, revision, can, None, endpoint, owner)
        };
        (0..count).map(session).map(Arc::new).collect()
    }

    /// How many answers each session has left.
    fn left(sessions: &[Arc<Session>]) -> Vec<usize> {
        sessions.iter().map(|session| session.ended_streams().len()).collect()
    }

    #[test]
    fn answers_that_were_read_go_first_and_then_the_oldest() {
        let kept = Kept::new(7);
        let sessions = sessions(3);
        let answer = Bytes::from(vec![b'x'; KEPT_BYTES_MAX / 8 - STREAM_BYTES]);
        let cx = Context::from_waker(Waker::noop());
        for read in [false, true, false] {
            for session in &sessions {
                let stream = session.stream_of_call(&kept, &Id::number(1));
                let mut reader = stream.clone().reader();
                stream.finish(answer.clone());
                while read && matches!(reader.poll_next(&cx), std::task::Poll::Ready(Some(_))) {}
            }
        }
        assert_eq!(kept.bytes(), 9 * (answer.len() + STREAM_BYTES));
        kept.make_room(|| sessions.clone());
        assert_eq!(left(&sessions), [2, 2, 3], "two of the three that were read");
        assert!(kept.bytes() <= ROOMY_BYTES);
        kept.make_room(|| panic!("there is room"));
        for session in &sessions[1..] {
            for _ in 0..2 {
                session.stream_of_call(&kept, &Id::number(1)).finish(answer.clone());
            }
        }
        kept.make_room(|| sessions.clone());
        assert_eq!(left(&sessions), [1, 3, 3], "the last that was read, and the three oldest");
        for session in &sessions {
            session.end();
        }
        assert_eq!(kept.bytes(), 0);
    }
}
