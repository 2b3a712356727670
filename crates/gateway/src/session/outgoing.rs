//! Messages to the client of a session outside of responses: its streams, and what waits for a
//! stream.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use mainstay_protocol::list::ListKind;
use mainstay_protocol::{Id, build};

use super::list_changes::{ListChanges, SeenChanges};
use super::stored::SUBSCRIPTIONS_MAX;
use super::{Session, State};
use crate::stream::event_id::{EventId, StreamName};
use crate::stream::replay_budget::ReplayBudget;
use crate::stream::streams::{FinishedStream, Resumed};
use crate::stream::{self, EventStream};

/// Bytes of notifications of updated resources that are remembered for a client without a stream. Updates of
/// all that a session may subscribe to have room.
const MISSED_BYTES_MAX: usize = 256 << 10;

/// Bits of a stream's number that tell its session, so that the id of an event is not taken for one of another
/// session even when its stream is gone.
const TAG_BITS: u32 = 16;
const TAG_MASK: u64 = (1 << TAG_BITS) - 1;

impl Session {
    /// Opens a background stream, which begins with what the client has missed. False: the session
    /// has ended, and with it the stream.
    pub(super) fn open_background_stream(
        &self,
        changes: &ListChanges,
        budget: &Arc<ReplayBudget>,
    ) -> (Arc<EventStream>, bool) {
        let stream = self.new_stream(budget, StreamName::background);
        let mut state = self.state.lock();
        if state.ended {
            stream.end();
            return (stream, false);
        }
        state.push_missed(&stream, changes);
        state.streams.add_background(stream.clone());
        (stream, true)
    }

    /// Uses the single stream of a transport for everything. False: the session has ended.
    pub(super) fn use_only_stream(&self, stream: Arc<EventStream>) -> bool {
        let mut state = self.state.lock();
        state.has_one_stream = true;
        state.streams.add_background(stream);
        !state.ended
    }

    /// Whether everything that is sent to the client goes over one stream of events.
    pub(crate) fn has_one_stream(&self) -> bool {
        self.state.lock().has_one_stream
    }

    /// Opens the stream of a call.
    pub(crate) fn open_call_stream(
        &self,
        budget: &Arc<ReplayBudget>,
        request: &Id,
    ) -> Arc<EventStream> {
        let mut state = self.state.lock();
        if state.has_one_stream || state.ended {
            return Arc::new(EventStream::plain(budget.memory()));
        }
        let stream = self.new_stream(budget, |number| StreamName::call(number, request));
        if stream.name().is_some() {
            state.streams.add_call(stream.clone());
        }
        stream
    }

    /// The last bits of the numbers of all streams of this session, also in later runs of the daemon.
    fn stream_tag(&self) -> u64 {
        let id = self.token.as_str().as_bytes();
        let end = id.iter().rev().take(8).fold(0_u64, |sum, byte| sum * 67 + u64::from(*byte));
        end & TAG_MASK
    }

    fn new_stream(
        &self,
        budget: &Arc<ReplayBudget>,
        name: impl Fn(u64) -> StreamName,
    ) -> Arc<EventStream> {
        let rules = self.revision.rules();
        if !rules.resumable {
            return Arc::new(EventStream::plain(budget.memory()));
        }
        let (number, share) = budget.open();
        let number = number << TAG_BITS | self.stream_tag();
        Arc::new(EventStream::resumable(name(number), rules.priming_events, share))
    }

    /// Resumes a stream after an event. The event of another session belongs to no call of this one.
    pub(crate) fn resume_stream(&self, changes: &ListChanges, event: &EventId) -> Resumed {
        if event.stream_number() & TAG_MASK != self.stream_tag() {
            return Resumed::NewStream;
        }
        let mut state = self.state.lock();
        let resumed = state.streams.resume(event);
        if let Resumed::Continues(reader) = &resumed
            && !event.is_of_call()
        {
            state.push_missed(reader.stream(), changes);
        }
        resumed
    }

    pub(crate) fn drop_excess_answers(&self) {
        self.state.lock().streams.drop_excess_answers();
    }

    pub(crate) fn finished_streams(&self) -> Vec<FinishedStream> {
        self.state.lock().streams.finished()
    }

    /// Returns the streams that nobody has read for a while, with the time of their last reader.
    pub(crate) fn left_streams(&self, now: Instant) -> Vec<(Instant, Arc<EventStream>)> {
        self.state.lock().streams.left(now)
    }

    pub(crate) fn drop_call_stream(&self, stream: &Arc<EventStream>) {
        self.state.lock().streams.drop_call(stream);
    }

    pub(crate) fn drop_read_events(&self, now: Instant) {
        self.state.lock().streams.drop_read_events(now);
    }

    /// Sends a background message on one stream that the client reads. Returns whether there was
    /// one.
    pub(crate) fn send_background(&self, message: &[u8]) -> bool {
        self.state.lock().streams.send_background(&stream::event(message))
    }

    /// Sends a background message as [`Self::send_background`] does, else queues it on a stream
    /// that the client may resume. Returns whether it was sent or queued.
    pub(crate) fn queue_background(&self, message: &[u8]) -> bool {
        self.state.lock().streams.queue_background(&stream::event(message))
    }

    /// Notifies the client of changed lists it does not know of, if it reads a stream.
    pub(crate) fn notify_lists_changed(&self, changes: &ListChanges) {
        let mut state = self.state.lock();
        let state = &mut *state;
        let now = changes.all_seen();
        send_list_changes(&mut state.seen_changes, now, |event| {
            state.streams.send_background(event)
        });
    }

    pub(crate) fn notify_resource_updated(&self, message: &Bytes) {
        let mut state = self.state.lock();
        if !state.streams.send_background(&stream::event(message))
            && state.missed_updates.len() < SUBSCRIPTIONS_MAX
            && state.missed_bytes + message.len() <= MISSED_BYTES_MAX
            && state.missed_updates.insert(message.clone())
        {
            state.missed_bytes += message.len();
        }
    }

    /// Whether the session has a background stream, with a reader or without.
    pub(crate) fn has_background_stream(&self) -> bool {
        self.state.lock().streams.has_background()
    }
}

// === impl State ===

impl State {
    /// Pushes what the client has missed onto a stream, once.
    fn push_missed(&mut self, stream: &EventStream, changes: &ListChanges) {
        send_list_changes(&mut self.seen_changes, changes.all_seen(), |event| {
            stream.push(event.clone());
            true
        });
        self.missed_bytes = 0;
        for update in std::mem::take(&mut self.missed_updates) {
            stream.push(stream::event(&update));
        }
    }
}

/// Sends a notification for each list that has changed since `seen`, and notes those that `send`
/// accepted.
fn send_list_changes(
    seen: &mut SeenChanges,
    now: SeenChanges,
    mut send: impl FnMut(&Bytes) -> bool,
) {
    for kind in ListKind::ALL {
        let at = kind as usize;
        if seen[at] == now[at] {
            continue;
        }
        let is_sent =
            list_changed_notification(kind).is_none_or(|message| send(&stream::event(&message)));
        if is_sent {
            seen[at] = now[at];
        }
    }
}

/// Returns the notification that a list has changed. Templates have none of their own: that of
/// resources covers them.
fn list_changed_notification(kind: ListKind) -> Option<Bytes> {
    Some(build::notification(kind.changed()?.as_str(), None))
}
