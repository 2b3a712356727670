//! Events on their way to one reader: bounded, so that a slow client costs no more than its share.
//!
//! A stream with a name can be taken up again. Its events are numbered from one, and those that were
//! read are kept for a while: what was handed to a connection has not arrived anywhere yet, and a
//! connection that is cut takes it along.

pub(crate) mod event_id;
pub(crate) mod open_stream;
pub(crate) mod replay_budget;
pub(crate) mod streams;

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use mainstay_protocol::framing::sse;
use parking_lot::Mutex;
use tokio::sync::Notify;

use self::event_id::StreamName;
use self::open_stream::{Left, OpenStreamGuard};
use self::replay_budget::Share;

mod reader;

#[cfg(test)]
mod tests;

pub(crate) use reader::Reader;

/// A queue of encoded events between whoever produces them and one response body.
#[derive(Debug, Default)]
pub(crate) struct EventStream {
    /// None: whoever stops reading has missed the rest.
    resumable: Option<Resumable>,
    inner: Mutex<Inner>,
    /// Something was read, or nothing will be.
    freed: Notify,
}

#[derive(Debug)]
struct Resumable {
    name: StreamName,
    /// The client knows events that have an id and no data.
    primes: bool,
    share: Share,
}

#[derive(Debug, Default)]
struct Inner {
    /// What can be read or read again, oldest first.
    events: VecDeque<Bytes>,
    bytes: usize,
    /// How many of them were read, and their bytes.
    read: usize,
    read_bytes: usize,
    /// How many there were before them.
    gone: u64,
    ended: bool,
    /// The last event is the answer to a request.
    answered: bool,
    /// Counts those who took the stream over: only the last of them reads.
    turn: u32,
    /// Nobody reads since then.
    left: Option<Instant>,
    /// When something last happened to it.
    touched: Option<Instant>,
    waker: Option<Waker>,
    /// It gave way to another.
    displaced: bool,
    /// Counts its present reader.
    open: Option<Box<OpenStreamGuard>>,
}

/// What has come of a stream that somebody wants to go on with.
#[derive(Debug)]
pub(crate) enum TakenUp {
    Goes(Reader),
    /// It has ended, and the client has had all of it.
    Over,
    /// It has ended, and its answer is not there any more.
    Lost,
}

/// What a client has not read yet; beyond it notifications are dropped. An answer always has room.
const UNREAD_BYTES_MAX: usize = 1 << 20;
const UNREAD_EVENTS_MAX: usize = 1024;

/// Beside them, questions that a client has not read yet; beyond it they are refused to the server.
const UNREAD_QUESTIONS_MAX: usize = 64;
const UNREAD_QUESTION_BYTES_MAX: usize = 1 << 20;

/// What is kept of what was read, beside its last event: about what the buffers between here and a
/// client hold.
const REPLAY_BYTES_MAX: usize = 256 << 10;
const REPLAY_EVENTS_MAX: usize = 1024;

/// The largest event that is kept for a client that is away.
const KEPT_EVENT_BYTES_MAX: usize = 16 << 20;

/// How long a stream waits to be taken up again.
pub(crate) const KEEP_FOR: Duration = Duration::from_secs(300);

/// How long one waits that was read to its end: its last bytes may have been cut off all the same,
/// but then its client is back at once.
const KEEP_READ_FOR: Duration = Duration::from_secs(60);

// === impl EventStream ===

impl EventStream {
    /// A stream that can be taken up again, by the ids of its events.
    pub(crate) fn resumable(name: StreamName, primes: bool, share: Share) -> Self {
        Self { resumable: Some(Resumable { name, primes, share }), ..Self::default() }
    }

    pub(crate) fn name(&self) -> Option<&StreamName> {
        self.resumable.as_ref().map(|resumable| &resumable.name)
    }

    /// Adds an event that may be lost; whether it was taken.
    pub(crate) fn offer(&self, event: Bytes) -> bool {
        let mut inner = self.inner.lock();
        if !self.takes(&inner) || inner.is_full(event.len()) {
            return false;
        }
        if inner.left.is_some() && self.resumable.as_ref().is_some_and(|it| it.share.is_full()) {
            return false;
        }
        self.add(&mut inner, event);
        true
    }

    /// Adds a question to the client; whether it was taken. One may come after more than other events
    /// may, so that a flood of these does not stand in its way, and may be of any size.
    pub(crate) fn ask(&self, event: Bytes) -> bool {
        let mut inner = self.inner.lock();
        let full = self.resumable.as_ref().is_some_and(|it| it.share.is_full());
        if !self.takes(&inner) || inner.has_no_room_to_ask() || (full && inner.is_unread()) {
            return false;
        }
        self.add(&mut inner, event);
        true
    }

    /// Adds an event that must not be lost while the reader is there or may come back.
    pub(crate) fn push(&self, event: Bytes) {
        let mut inner = self.inner.lock();
        if self.takes(&inner) {
            self.add(&mut inner, event);
        }
    }

    /// Adds the answer, after which nothing comes.
    pub(crate) fn finish(&self, answer: Bytes) {
        let mut inner = self.inner.lock();
        if self.takes(&inner) {
            inner.answered = true;
            self.add(&mut inner, answer);
        }
        drop(inner);
        self.end();
    }

    /// Waits until the reader has read enough for one more event, or reads no more.
    pub(crate) async fn room(&self) {
        loop {
            let freed = self.freed.notified();
            {
                let inner = self.inner.lock();
                if inner.ended || inner.left.is_some() || !inner.is_full(0) {
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

    /// Waits until nobody has read for this long, and nobody came back.
    pub(crate) async fn left_for(&self, grace: Duration) {
        loop {
            self.left().await;
            let since = self.inner.lock().left;
            // One that ended is not read any more either.
            let until = since.unwrap_or_else(Instant::now) + grace;
            tokio::time::sleep_until(until.into()).await;
            let inner = self.inner.lock();
            if inner.ended || inner.left.is_some_and(|left| left.elapsed() >= grace) {
                return;
            }
        }
    }

    /// Nothing more comes.
    pub(crate) fn end(&self) {
        let mut inner = self.inner.lock();
        inner.ended = true;
        inner.touched = Some(Instant::now());
        if let Some(waker) = inner.waker.take() {
            waker.wake();
        }
        drop(inner);
        self.freed.notify_waiters();
    }

    /// Nothing more comes, since another stream does in its place.
    pub(crate) fn give_way(&self) {
        self.inner.lock().displaced = true;
        self.end();
    }

    /// Counts the present reader with a guard.
    pub(crate) fn count_with(&self, guard: Box<OpenStreamGuard>) {
        let before = self.inner.lock().open.replace(guard);
        if let Some(before) = before {
            before.end(Left::Displaced);
        }
    }

    /// Whether somebody reads it and something may come.
    pub(crate) fn is_open(&self) -> bool {
        let inner = self.inner.lock();
        !inner.ended && inner.left.is_none()
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.inner.lock().ended
    }

    /// Whether somebody reads it, or may be back within `grace`.
    pub(crate) fn is_heard(&self, grace: Duration) -> bool {
        let inner = self.inner.lock();
        let soon = |left: Instant| self.resumable.is_some() && left.elapsed() < grace;
        !inner.ended && inner.left.is_none_or(soon)
    }

    /// The first reader.
    pub(crate) fn reader(self: Arc<Self>) -> Reader {
        let prime = self.resumable.as_ref().filter(|it| it.primes).map(|_| 0);
        Reader::new(self, 0, prime, 0)
    }

    /// Goes on after the event with this number. Whoever read it reads no more: the connection is
    /// most likely dead, and nobody has noticed.
    pub(crate) fn take_up(self: &Arc<Self>, after: u64) -> TakenUp {
        let mut inner = self.inner.lock();
        let last = inner.gone + inner.events.len() as u64;
        if inner.ended && after >= last {
            return TakenUp::Over;
        }
        if inner.answered && inner.events.is_empty() {
            return TakenUp::Lost;
        }
        let missing = inner.gone.saturating_sub(after);
        let after = after.clamp(inner.gone, last);
        inner.read = (after - inner.gone) as usize;
        inner.read_bytes = inner.events.iter().take(inner.read).map(Bytes::len).sum();
        inner.turn = inner.turn.wrapping_add(1);
        inner.left = None;
        inner.touched = Some(Instant::now());
        let turn = inner.turn;
        if let Some(waker) = inner.waker.take() {
            waker.wake();
        }
        drop(inner);
        let prime = self.resumable.as_ref().filter(|it| it.primes).map(|_| after);
        TakenUp::Goes(Reader::new(self.clone(), turn, prime, missing))
    }

    /// Whether nobody will come back for it any more.
    pub(crate) fn is_stale(&self, now: Instant) -> bool {
        let inner = self.inner.lock();
        let idle = inner.touched.map_or(Duration::ZERO, |it| now.saturating_duration_since(it));
        if inner.ended {
            let all_read = inner.read == inner.events.len();
            return self.resumable.is_none()
                || idle >= if all_read { KEEP_READ_FOR } else { KEEP_FOR };
        }
        inner.left.is_some() && (self.resumable.is_none() || idle >= KEEP_FOR)
    }

    /// Forgets what was read, if that was long ago or room is needed.
    pub(crate) fn forget_read(&self, now: Instant, needed: bool) {
        let mut inner = self.inner.lock();
        let idle = inner.touched.map_or(Duration::ZERO, |it| now.saturating_duration_since(it));
        if !inner.ended && inner.left.is_none() && (needed || idle >= KEEP_FOR) {
            while inner.read > 0 {
                self.drop_first(&mut inner);
            }
            if inner.events.is_empty() {
                inner.events = VecDeque::new();
            }
        }
    }

    /// What it holds.
    pub(crate) fn bytes(&self) -> usize {
        self.inner.lock().bytes
    }

    /// When something last happened to it, and whether its reader has not had all of it.
    pub(crate) fn last_touched(&self) -> (Option<Instant>, bool) {
        let inner = self.inner.lock();
        (inner.touched, inner.read < inner.events.len())
    }

    fn takes(&self, inner: &Inner) -> bool {
        !inner.ended && (inner.left.is_none() || self.resumable.is_some())
    }

    fn add(&self, inner: &mut Inner, event: Bytes) {
        if inner.left.is_some() && event.len() > KEPT_EVENT_BYTES_MAX {
            // What came before it is of no use without it.
            while !inner.events.is_empty() {
                self.drop_first(inner);
            }
            inner.gone += 1;
            return;
        }
        if let Some(resumable) = &self.resumable {
            resumable.share.add(event.len());
        }
        inner.push(event);
    }

    /// The next event with its number; `None` after the last.
    fn poll_next(&self, turn: u32, cx: &Context<'_>) -> Poll<Option<(u64, bool, Bytes)>> {
        let mut inner = self.inner.lock();
        if inner.turn != turn {
            return Poll::Ready(None);
        }
        if let Some(event) = inner.events.get(inner.read).cloned() {
            inner.read += 1;
            inner.read_bytes += event.len();
            let number = inner.gone + inner.read as u64;
            let last = inner.answered && inner.read == inner.events.len();
            self.trim(&mut inner);
            drop(inner);
            self.freed.notify_waiters();
            return Poll::Ready(Some((number, last, event)));
        }
        if inner.ended {
            return Poll::Ready(None);
        }
        inner.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Keeps of what was read only what may be asked for again.
    fn trim(&self, inner: &mut Inner) {
        let Some(resumable) = &self.resumable else {
            self.drop_first(inner);
            return;
        };
        inner.touched = Some(Instant::now());
        let full = resumable.share.is_full() && !inner.ended;
        while inner.read > 0 {
            let newest = inner.events.get(inner.read - 1).map_or(0, Bytes::len);
            let older = inner.read_bytes - newest;
            let fits = older <= REPLAY_BYTES_MAX && inner.read <= REPLAY_EVENTS_MAX;
            let keeps = newest <= KEPT_EVENT_BYTES_MAX;
            if !full && fits && keeps {
                return;
            }
            self.drop_first(inner);
        }
    }

    fn drop_first(&self, inner: &mut Inner) {
        let Some(event) = inner.events.pop_front() else { return };
        inner.gone += 1;
        inner.bytes -= event.len();
        if inner.read > 0 {
            inner.read -= 1;
            inner.read_bytes -= event.len();
        }
        if let Some(resumable) = &self.resumable {
            resumable.share.sub(event.len());
        }
    }

    fn reader_left(&self, turn: u32) {
        let mut inner = self.inner.lock();
        if inner.turn != turn {
            return;
        }
        let open = inner.open.take();
        let how = match (inner.displaced, inner.ended) {
            (true, _) => Left::Displaced,
            (false, true) => Left::AtTheEnd,
            (false, false) => Left::Early,
        };
        let now = Instant::now();
        inner.left = Some(now);
        inner.touched = Some(now);
        inner.waker = None;
        if self.resumable.is_none() {
            inner.events = VecDeque::new();
            inner.bytes = 0;
        }
        drop(inner);
        self.freed.notify_waiters();
        if let Some(open) = open {
            open.end(how);
        }
    }

    /// What stands before an event: its id.
    fn id(&self, number: u64, last: bool) -> Option<String> {
        let name = self.name()?;
        Some(if last { name.last_id(number) } else { name.id(number) })
    }
}

impl Inner {
    /// An empty queue takes anything.
    fn is_full(&self, more: usize) -> bool {
        let unread = self.events.len() - self.read;
        let bytes = self.bytes - self.read_bytes;
        (bytes + more > UNREAD_BYTES_MAX || unread >= UNREAD_EVENTS_MAX) && unread > 0
    }

    fn has_no_room_to_ask(&self) -> bool {
        self.events.len() - self.read >= UNREAD_EVENTS_MAX + UNREAD_QUESTIONS_MAX
            || self.bytes - self.read_bytes >= UNREAD_BYTES_MAX + UNREAD_QUESTION_BYTES_MAX
    }

    fn is_unread(&self) -> bool {
        self.read < self.events.len()
    }

    fn push(&mut self, event: Bytes) {
        self.bytes += event.len();
        self.events.push_back(event);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// Encodes a message as an event.
pub(crate) fn event(message: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(message.len() + 32);
    sse::encode_event(Some("message"), None, message, &mut out);
    out.freeze()
}
