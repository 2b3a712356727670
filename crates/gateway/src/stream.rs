//! Queues of server-sent events, each for one reader. Every queue is bounded, so that a slow client
//! costs no more than its share.
//!
//! A stream with a name can be resumed. Its events are numbered from 1, and events that were read
//! are kept for a while: a connection that is cut takes with it what it has not delivered yet.

pub(crate) mod event_id;
pub(crate) mod open_stream;
pub(crate) mod replay_budget;
pub(crate) mod streams;

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use mainstay_model::budget::UNCHARGED_BYTES_MAX;
use mainstay_model::{Budget, BudgetExceeded, Charge, MemoryKind};
use mainstay_protocol::framing::sse;
use parking_lot::Mutex;
use tokio::sync::Notify;

use self::event_id::StreamName;
use self::open_stream::{OpenStreamGuard, ReaderEnd};
use self::replay_budget::BudgetShare;

mod charging;
mod queue;
mod reader;

#[cfg(test)]
mod tests;

use queue::Queue;
pub(crate) use reader::Reader;

/// A queue of encoded events between a producer and one response body.
#[derive(Debug)]
pub(crate) struct EventStream {
    /// What the events are charged to.
    budget: Budget,
    /// The charge of small events. A large one has a charge of its own, which lasts until it was
    /// sent.
    charge: Charge,
    /// What resuming needs. None: a reader that stops has lost the rest.
    resumable: Option<Resumable>,
    queue: Mutex<Queue>,
    /// Notified when an event was read, or when nothing more will be.
    freed: Notify,
}

#[derive(Debug)]
struct Resumable {
    name: StreamName,
    /// Whether the client understands priming events, which have an id and no data.
    primes: bool,
    share: BudgetShare,
}

/// Result of resuming a stream.
#[derive(Debug)]
pub(crate) enum StreamResume {
    Continues(Reader),
    /// The stream has ended, and the client has all of it.
    Complete,
    /// The stream has ended, and its response was dropped.
    AnswerLost,
}

/// Bound of what was read and is kept for a replay, not counting the newest event: about what the
/// buffers between the daemon and a client hold.
const REPLAY_BYTES_MAX: usize = 256 << 10;
const REPLAY_EVENTS_MAX: usize = 1024;

/// Largest event that is kept while no reader is there.
const KEPT_EVENT_BYTES_MAX: usize = 16 << 20;

/// How long a stream that nobody reads can still be resumed.
pub(crate) const KEEP_FOR: Duration = Duration::from_secs(300);

/// A stream counts as abandoned this long after its last reader left. Clients try again within seconds, the most
/// patient ones for half a minute.
pub(crate) const LEFT_AFTER: Duration = Duration::from_secs(30);

/// How long a finished stream can be resumed after its last event was read. Its last bytes may be
/// lost all the same, but then the client returns at once.
const KEEP_READ_FOR: Duration = Duration::from_secs(60);

// === impl EventStream ===

impl Default for EventStream {
    /// A stream whose events are not charged.
    fn default() -> Self {
        Self::plain(Budget::UNLIMITED)
    }
}

impl EventStream {
    /// Creates a stream that can't be resumed.
    pub(crate) fn plain(budget: Budget) -> Self {
        Self {
            budget,
            charge: budget.charge(MemoryKind::Streams),
            resumable: None,
            queue: Mutex::default(),
            freed: Notify::new(),
        }
    }

    /// Creates a stream that clients can resume by the ids of its events.
    pub(crate) fn resumable(name: StreamName, primes: bool, share: BudgetShare) -> Self {
        let plain = Self::plain(share.memory());
        Self { resumable: Some(Resumable { name, primes, share }), ..plain }
    }

    pub(crate) fn name(&self) -> Option<&StreamName> {
        self.resumable.as_ref().map(|resumable| &resumable.name)
    }

    /// Adds an event unless the queue is full or there is no memory. Returns whether it was added.
    pub(crate) fn try_push(&self, event: Bytes) -> bool {
        let mut queue = self.queue.lock();
        if !self.accepts(&queue) || queue.is_full(event.len()) {
            return false;
        }
        if queue.reader_gone_at.is_some()
            && self.resumable.as_ref().is_some_and(|it| it.share.is_budget_full())
        {
            return false;
        }
        self.try_append(&mut queue, event).is_ok()
    }

    /// Adds a question to the client. Returns whether it was added. Questions have room of their
    /// own beyond the bound of other events, so that a flood of notifications does not block them.
    /// One question may have any size.
    pub(crate) fn try_push_question(&self, question: u64, event: Bytes) -> bool {
        let mut queue = self.queue.lock();
        let full = self.resumable.as_ref().is_some_and(|it| it.share.is_budget_full());
        if !self.accepts(&queue) || queue.is_full_for_questions() || (full && queue.has_unread()) {
            return false;
        }
        let number = queue.dropped + queue.events.len() as u64;
        let is_added = self.try_append(&mut queue, event).is_ok();
        if is_added {
            queue.questions.push((number, question));
        }
        is_added
    }

    /// Adds a small event that must not be lost while the reader is there or may return.
    pub(crate) fn push(&self, event: Bytes) {
        let mut queue = self.queue.lock();
        if self.accepts(&queue) {
            let event = self.charge_anyway(event);
            self.append(&mut queue, event);
        }
    }

    /// Adds an event of any size that must not be lost unless there is no memory for it.
    pub(crate) fn push_within_budget(&self, event: Bytes) -> Result<(), BudgetExceeded> {
        let mut queue = self.queue.lock();
        if !self.accepts(&queue) {
            return Ok(());
        }
        self.try_append(&mut queue, event)
    }

    /// Adds an event of another stream, which is charged already if it is large.
    pub(crate) fn push_forwarded(&self, event: Bytes) {
        let mut queue = self.queue.lock();
        if self.accepts(&queue) {
            if event.len() <= UNCHARGED_BYTES_MAX {
                self.charge.grow(event.len());
            }
            self.append(&mut queue, event);
        }
    }

    /// Adds a small response and ends the stream.
    pub(crate) fn finish(&self, answer: Bytes) {
        let mut queue = self.queue.lock();
        if self.accepts(&queue) {
            let answer = self.charge_anyway(answer);
            queue.answered = true;
            self.append(&mut queue, answer);
        }
        drop(queue);
        self.end();
    }

    /// Adds a response of any size and ends the stream. If there is no memory for the response, nothing
    /// happens.
    pub(crate) fn try_finish(&self, answer: Bytes) -> Result<(), BudgetExceeded> {
        let mut queue = self.queue.lock();
        if self.accepts(&queue) {
            self.try_append(&mut queue, answer)?;
            queue.answered = true;
        }
        drop(queue);
        self.end();
        Ok(())
    }

    /// Waits until the queue has room for one more event, or the reader has left.
    pub(crate) async fn wait_for_room(&self) {
        loop {
            let freed = self.freed.notified();
            {
                let queue = self.queue.lock();
                if queue.ended || queue.reader_gone_at.is_some() || !queue.is_full(0) {
                    return;
                }
            }
            freed.await;
        }
    }

    /// Waits until the reader has left or the stream has ended.
    pub(crate) async fn reader_gone(&self) {
        loop {
            let freed = self.freed.notified();
            if !self.is_open() {
                return;
            }
            freed.await;
        }
    }

    /// Waits until nobody has read for `grace`, or the stream has ended.
    pub(crate) async fn reader_gone_for(&self, grace: Duration) {
        loop {
            self.reader_gone().await;
            let since = self.queue.lock().reader_gone_at;
            // A stream that has ended is not read any more either.
            let until = since.unwrap_or_else(Instant::now) + grace;
            tokio::time::sleep_until(until.into()).await;
            let queue = self.queue.lock();
            if queue.ended || queue.reader_gone_at.is_some_and(|left| left.elapsed() >= grace) {
                return;
            }
        }
    }

    /// Ends the stream.
    pub(crate) fn end(&self) {
        let mut queue = self.queue.lock();
        queue.ended = true;
        queue.last_activity = Some(Instant::now());
        if let Some(waker) = queue.waker.take() {
            waker.wake();
        }
        drop(queue);
        self.freed.notify_waiters();
    }

    /// Ends the stream because another takes its place.
    pub(crate) fn displace(&self) {
        self.queue.lock().displaced = true;
        self.end();
    }

    /// Counts the present reader with a guard, which replaces an earlier one.
    pub(crate) fn set_open_guard(&self, guard: Box<OpenStreamGuard>) {
        let before = self.queue.lock().open.replace(guard);
        if let Some(before) = before {
            before.end(ReaderEnd::Displaced);
        }
    }

    /// Whether the stream has a reader and has not ended.
    pub(crate) fn is_open(&self) -> bool {
        let queue = self.queue.lock();
        !queue.ended && queue.reader_gone_at.is_none()
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.queue.lock().ended
    }

    /// Whether the stream has a reader, or can be resumed by one that left less than `grace` ago.
    pub(crate) fn may_be_read_within(&self, grace: Duration) -> bool {
        let queue = self.queue.lock();
        let soon = |left: Instant| self.resumable.is_some() && left.elapsed() < grace;
        !queue.ended && queue.reader_gone_at.is_none_or(soon)
    }

    /// Returns the first reader.
    pub(crate) fn reader(self: Arc<Self>) -> Reader {
        let prime = self.resumable.as_ref().filter(|it| it.primes).map(|_| 0);
        Reader::new(self, 0, prime, 0)
    }

    /// Resumes after the event with this number. An earlier reader gets nothing more: its
    /// connection is most likely dead without anybody having noticed.
    pub(crate) fn resume_after(self: &Arc<Self>, after: u64) -> StreamResume {
        let mut queue = self.queue.lock();
        let last = queue.dropped + queue.events.len() as u64;
        if queue.ended && after >= last {
            return StreamResume::Complete;
        }
        if queue.answered && queue.events.is_empty() {
            return StreamResume::AnswerLost;
        }
        let missing = queue.dropped.saturating_sub(after);
        let after = after.clamp(queue.dropped, last);
        queue.read = (after - queue.dropped) as usize;
        queue.read_bytes = queue.events.iter().take(queue.read).map(Bytes::len).sum();
        queue.reader_no = queue.reader_no.wrapping_add(1);
        queue.reader_gone_at = None;
        queue.last_activity = Some(Instant::now());
        let reader_no = queue.reader_no;
        if let Some(waker) = queue.waker.take() {
            waker.wake();
        }
        drop(queue);
        let prime = self.resumable.as_ref().filter(|it| it.primes).map(|_| after);
        StreamResume::Continues(Reader::new(self.clone(), reader_no, prime, missing))
    }

    /// Whether the time for resuming the stream is over.
    pub(crate) fn is_stale(&self, now: Instant) -> bool {
        let queue = self.queue.lock();
        let idle =
            queue.last_activity.map_or(Duration::ZERO, |it| now.saturating_duration_since(it));
        if queue.ended {
            let all_read = queue.read == queue.events.len();
            return self.resumable.is_none()
                || idle >= if all_read { KEEP_READ_FOR } else { KEEP_FOR };
        }
        queue.reader_gone_at.is_some() && (self.resumable.is_none() || idle >= KEEP_FOR)
    }

    /// Drops events that were read, if the stream was idle for [`KEEP_FOR`] or room is needed.
    pub(crate) fn drop_read_events(&self, now: Instant, needed: bool) {
        let mut queue = self.queue.lock();
        let idle =
            queue.last_activity.map_or(Duration::ZERO, |it| now.saturating_duration_since(it));
        if !queue.ended && queue.reader_gone_at.is_none() && (needed || idle >= KEEP_FOR) {
            while queue.read > 0 {
                self.drop_oldest(&mut queue);
            }
            if queue.events.is_empty() {
                queue.events = VecDeque::new();
            }
        }
    }

    /// Since when nobody has read the stream, if that is for [`LEFT_AFTER`].
    pub(crate) fn left_since(&self, now: Instant) -> Option<Instant> {
        self.queue.lock().left_since(now)
    }

    /// Drops the oldest events of a stream that nobody reads, down to this many bytes. Returns the
    /// bytes that were dropped: none if somebody has returned meanwhile.
    pub(crate) fn shrink_left(&self, bytes_max: usize, now: Instant) -> usize {
        let mut queue = self.queue.lock();
        let before = queue.bytes;
        if queue.left_since(now).is_some() {
            while queue.bytes > bytes_max {
                self.drop_oldest(&mut queue);
            }
            queue.gather_small();
        }
        before - queue.bytes
    }

    /// Bytes of the events in the queue.
    pub(crate) fn bytes(&self) -> usize {
        self.queue.lock().bytes
    }

    /// Returns when the stream was last active, and whether events are unread.
    pub(crate) fn last_activity(&self) -> (Option<Instant>, bool) {
        let queue = self.queue.lock();
        (queue.last_activity, queue.read < queue.events.len())
    }

    fn accepts(&self, queue: &Queue) -> bool {
        !queue.ended && (queue.reader_gone_at.is_none() || self.resumable.is_some())
    }

    /// Adds an event that is charged.
    fn append(&self, queue: &mut Queue, event: Bytes) {
        if queue.reader_gone_at.is_some() && event.len() > KEPT_EVENT_BYTES_MAX {
            // Earlier events are useless without this one.
            while !queue.events.is_empty() {
                self.drop_oldest(queue);
            }
            queue.dropped += 1;
            return;
        }
        if let Some(resumable) = &self.resumable {
            resumable.share.add(event.len());
        }
        queue.push(event);
    }

    /// Returns the next event with its number, and whether it is the last. None: there are no more.
    fn poll_next(&self, reader_no: u32, cx: &Context<'_>) -> Poll<Option<(u64, bool, Bytes)>> {
        let mut queue = self.queue.lock();
        if queue.reader_no != reader_no {
            return Poll::Ready(None);
        }
        if let Some(event) = queue.events.get(queue.read).cloned() {
            queue.read += 1;
            queue.read_bytes += event.len();
            let number = queue.dropped + queue.read as u64;
            let last = queue.answered && queue.read == queue.events.len();
            self.trim_read(&mut queue);
            drop(queue);
            self.freed.notify_waiters();
            return Poll::Ready(Some((number, last, event)));
        }
        if queue.ended {
            return Poll::Ready(None);
        }
        queue.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Drops events that were read and need not be replayed.
    fn trim_read(&self, queue: &mut Queue) {
        let Some(resumable) = &self.resumable else {
            self.drop_oldest(queue);
            return;
        };
        queue.last_activity = Some(Instant::now());
        let full = resumable.share.is_budget_full() && !queue.ended;
        while queue.read > 0 {
            let newest = queue.events.get(queue.read - 1).map_or(0, Bytes::len);
            let older = queue.read_bytes - newest;
            let fits = older <= REPLAY_BYTES_MAX && queue.read <= REPLAY_EVENTS_MAX;
            let keeps = newest <= KEPT_EVENT_BYTES_MAX;
            if !full && fits && keeps {
                return;
            }
            self.drop_oldest(queue);
        }
    }

    fn drop_oldest(&self, queue: &mut Queue) {
        let Some(event) = queue.events.pop_front() else { return };
        self.discharge(&event);
        queue.dropped += 1;
        queue.bytes -= event.len();
        if queue.read > 0 {
            queue.read -= 1;
            queue.read_bytes -= event.len();
        }
        if let Some(resumable) = &self.resumable {
            resumable.share.sub(event.len());
        }
    }

    fn on_reader_dropped(&self, reader_no: u32) {
        let mut queue = self.queue.lock();
        if queue.reader_no != reader_no {
            return;
        }
        let open = queue.open.take();
        let how = match (queue.displaced, queue.ended) {
            (true, _) => ReaderEnd::Displaced,
            (false, true) => ReaderEnd::StreamEnded,
            (false, false) => ReaderEnd::ClientGone,
        };
        let now = Instant::now();
        queue.reader_gone_at = Some(now);
        queue.last_activity = Some(now);
        queue.waker = None;
        if self.resumable.is_none() {
            queue.events = VecDeque::new();
            queue.bytes = 0;
            queue.questions = Vec::new();
            self.charge.shrink(usize::MAX);
        }
        drop(queue);
        self.freed.notify_waiters();
        if let Some(open) = open {
            open.end(how);
        }
    }

    /// Returns the id of an event. None: the stream can't be resumed.
    fn event_id(&self, number: u64, last: bool) -> Option<String> {
        let name = self.name()?;
        Some(if last { name.last_id(number) } else { name.id(number) })
    }
}

/// Encodes a message as an event.
pub(crate) fn event(message: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(message.len() + 32);
    sse::encode_event(Some("message"), None, message, &mut out);
    out.freeze()
}
