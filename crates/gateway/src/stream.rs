//! Events on their way to one reader: bounded, so that a slow client costs no more than its share.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// A queue of encoded events between whoever produces them and one response body.
#[derive(Debug, Default)]
pub(crate) struct EventStream {
    inner: Mutex<Inner>,
    /// Something was read, or nothing will be.
    freed: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    queue: VecDeque<Bytes>,
    bytes: usize,
    ended: bool,
    reader_gone: bool,
    waker: Option<Waker>,
}

/// What a client has not read yet; beyond it notifications are dropped. An answer always has room.
const UNREAD_BYTES_MAX: usize = 1 << 20;
const UNREAD_EVENTS_MAX: usize = 1024;

impl EventStream {
    /// Adds an event that may be lost; whether it was taken.
    pub(crate) fn offer(&self, event: Bytes) -> bool {
        let mut inner = self.inner.lock();
        if inner.ended || inner.reader_gone || inner.is_full(event.len()) {
            return false;
        }
        inner.push(event);
        true
    }

    /// Adds an event that must not be lost while the reader is there.
    pub(crate) fn push(&self, event: Bytes) {
        let mut inner = self.inner.lock();
        if !inner.ended && !inner.reader_gone {
            inner.push(event);
        }
    }

    /// Waits until the reader has read enough for one more event, or reads no more.
    pub(crate) async fn room(&self) {
        loop {
            let freed = self.freed.notified();
            {
                let inner = self.inner.lock();
                if inner.ended || inner.reader_gone || !inner.is_full(0) {
                    return;
                }
            }
            freed.await;
        }
    }

    /// Waits until nobody reads any more.
    pub(crate) async fn left(&self) {
        loop {
            let freed = self.freed.notified();
            if !self.is_open() {
                return;
            }
            freed.await;
        }
    }

    /// Nothing more comes.
    pub(crate) fn end(&self) {
        let mut inner = self.inner.lock();
        inner.ended = true;
        if let Some(waker) = inner.waker.take() {
            waker.wake();
        }
        drop(inner);
        self.freed.notify_waiters();
    }

    pub(crate) fn is_open(&self) -> bool {
        let inner = self.inner.lock();
        !inner.ended && !inner.reader_gone
    }

    /// The next event; `None` after the last.
    pub(crate) fn poll_next(&self, cx: &Context<'_>) -> Poll<Option<Bytes>> {
        let mut inner = self.inner.lock();
        if let Some(event) = inner.queue.pop_front() {
            inner.bytes -= event.len();
            drop(inner);
            self.freed.notify_waiters();
            return Poll::Ready(Some(event));
        }
        if inner.ended {
            return Poll::Ready(None);
        }
        inner.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    pub(crate) fn reader_left(&self) {
        let mut inner = self.inner.lock();
        inner.reader_gone = true;
        inner.queue = VecDeque::new();
        inner.bytes = 0;
        drop(inner);
        self.freed.notify_waiters();
    }
}

impl Inner {
    /// An empty queue takes anything.
    fn is_full(&self, more: usize) -> bool {
        let full = self.bytes + more > UNREAD_BYTES_MAX || self.queue.len() >= UNREAD_EVENTS_MAX;
        full && !self.queue.is_empty()
    }

    fn push(&mut self, event: Bytes) {
        self.bytes += event.len();
        self.queue.push_back(event);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::{EventStream, UNREAD_EVENTS_MAX};

    #[test]
    fn a_reader_that_reads_nothing_costs_a_bounded_amount() {
        let stream = EventStream::default();
        let taken = (0..10 * UNREAD_EVENTS_MAX).filter(|_| stream.offer("x".into())).count();
        assert_eq!(taken, UNREAD_EVENTS_MAX);
        stream.push("answer".into());
        stream.end();
        let cx = Context::from_waker(Waker::noop());
        let mut last = None;
        while let Poll::Ready(Some(event)) = stream.poll_next(&cx) {
            last = Some(event);
        }
        assert_eq!(last.unwrap(), "answer");
    }

    #[tokio::test]
    async fn there_is_room_once_something_is_read_or_nothing_will_be() {
        let cx = Context::from_waker(Waker::noop());
        for end in [
            |stream: &EventStream| drop(stream.poll_next(&Context::from_waker(Waker::noop()))),
            EventStream::end,
            EventStream::reader_left,
        ] {
            let stream = EventStream::default();
            stream.room().await;
            while stream.offer("x".into()) {}
            let mut room = std::pin::pin!(stream.room());
            assert!(room.as_mut().poll(&mut Context::from_waker(cx.waker())).is_pending());
            end(&stream);
            room.await;
        }
    }

    #[test]
    fn a_reader_that_left_holds_nothing() {
        let stream = EventStream::default();
        assert!(stream.offer("x".into()));
        stream.reader_left();
        assert!(!stream.offer("y".into()));
        assert!(!stream.is_open());
    }
}
