//! Encodes the events of a stream with their ids, and what comes before the first of them.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use mainstay_protocol::framing::sse;

use super::EventStream;

/// The reader of a stream, until another takes over.
#[derive(Debug)]
pub(crate) struct Reader {
    stream: Arc<EventStream>,
    reader_no: u32,
    /// Bytes that were read since the reader last waited.
    at_once: u32,
    /// Whether to begin with a priming event: the number of the event to resume after.
    prime: Option<u64>,
    /// Number of events that were to be replayed and were dropped.
    missing: u64,
    /// An event whose id has been sent already.
    after_id: Option<Bytes>,
}

/// How long a client should wait before it resumes a stream (`retry`). The SDKs try twice and no
/// more, and both tries have to outlast a restart of the daemon. Questions are refused in the
/// client's place after twice this time.
const RETRY: Duration = Duration::from_millis(1500);

/// Most bytes that are read at once. Then other tasks get their turn, even if the producer never
/// pauses.
const AT_ONCE_BYTES_MAX: u32 = 64 << 10;

/// Largest event that is sent in one piece with its id.
const ONE_PIECE_BYTES_MAX: usize = 16 << 10;

// === impl Reader ===

impl Reader {
    pub(super) fn new(
        stream: Arc<EventStream>,
        reader_no: u32,
        prime: Option<u64>,
        missing: u64,
    ) -> Self {
        Self { stream, reader_no, at_once: 0, prime, missing, after_id: None }
    }

    pub(crate) fn stream(&self) -> &EventStream {
        &self.stream
    }

    /// Whether so much was read without a pause that other tasks should run before the next poll.
    pub(crate) fn takes_pause(&mut self) -> bool {
        let is_due = self.at_once >= AT_ONCE_BYTES_MAX;
        if is_due {
            self.at_once = 0;
        }
        is_due
    }

    /// Returns the next bytes. None: the stream is over.
    pub(crate) fn poll_next(&mut self, cx: &Context<'_>) -> Poll<Option<Bytes>> {
        let next = self.poll_read(cx);
        self.at_once = match &next {
            Poll::Ready(bytes) => {
                let length = bytes.as_ref().map_or(0, Bytes::len);
                self.at_once.saturating_add(u32::try_from(length).unwrap_or(u32::MAX))
            }
            Poll::Pending => 0,
        };
        next
    }

    fn poll_read(&mut self, cx: &Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(event) = self.after_id.take() {
            return Poll::Ready(Some(event));
        }
        if let missing @ 1.. = std::mem::take(&mut self.missing) {
            // The lost messages are notifications. Clients ignore comments; people read them.
            let say = format!(": {missing} events of this stream were dropped\n\n");
            return Poll::Ready(Some(say.into()));
        }
        if let Some(after) = self.prime.take()
            && let Some(id) = self.stream.event_id(after, false)
        {
            let mut out = BytesMut::with_capacity(64);
            sse::encode_priming(&id, Some(RETRY), &mut out);
            return Poll::Ready(Some(out.freeze()));
        }
        let Poll::Ready(next) = self.stream.poll_next(self.reader_no, cx) else {
            return Poll::Pending;
        };
        let Some((number, last, event)) = next else { return Poll::Ready(None) };
        let Some(id) = self.stream.event_id(number, last) else { return Poll::Ready(Some(event)) };
        let id = format!("id: {id}\n");
        if event.len() > ONE_PIECE_BYTES_MAX {
            self.after_id = Some(event);
            return Poll::Ready(Some(id.into()));
        }
        let mut out = BytesMut::with_capacity(id.len() + event.len());
        out.extend_from_slice(id.as_bytes());
        out.extend_from_slice(&event);
        Poll::Ready(Some(out.freeze()))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stream.on_reader_dropped(self.reader_no);
    }
}
