//! Brings what a call says to the client that made it: as a plain answer, or as a stream.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::answer::{self, HttpAnswer};
use crate::call::{ANSWER_GRACE, Call, Progress};
use crate::caller::Accepts;
use crate::sessions::Sessions;
use crate::stream::{EventStream, event};

/// A call that has said nothing for this long is answered as a stream, so that nobody on the way
/// takes its connection for dead.
const STREAM_AFTER: Duration = Duration::from_secs(10);

/// Keeps a call alive when its client's connection is cut while nothing has been answered yet.
struct DetachOnDrop {
    sessions: Arc<Sessions>,
    call: Option<Box<Call>>,
}

/// How the answer to a call begins.
pub(crate) enum FirstOutput {
    /// With itself: nothing came before it.
    Answer(Bytes),
    /// Not at all: the client took the call back.
    Cancelled,
    /// With an event, or with a silence so long that a stream has to show there is life.
    Stream(Option<Bytes>),
}

/// Answers a call that belongs to a session. A client that goes away leaves it running.
pub(crate) async fn respond(
    sessions: &Arc<Sessions>,
    mut call: Box<Call>,
    accepts: Accepts,
) -> HttpAnswer {
    if !accepts.event_stream {
        call.client_is_gone();
    }
    let mut guarded = DetachOnDrop { sessions: sessions.clone(), call: Some(call) };
    let Some(call) = guarded.call.as_mut() else { return answer::accepted() };
    match first_output(call, accepts).await {
        FirstOutput::Answer(bytes) => answer::message(bytes),
        FirstOutput::Cancelled => {
            // A request that was taken back gets no answer: an empty stream says so.
            let stream = Arc::new(EventStream::default());
            stream.end();
            answer::events(stream)
        }
        FirstOutput::Stream(first) => {
            let Some(call) = guarded.call.take() else { return answer::accepted() };
            let (session, id) = call.session_and_id();
            let stream = session.open_call_stream(&sessions.replay, id);
            if let Some(first) = first {
                stream.push(event(&first));
            }
            sessions.serving.tasks.spawn(forward_to_stream(sessions.clone(), call, stream.clone()));
            answer::events(stream)
        }
    }
}

/// Waits for the first thing a call brings, and loses nothing when it is dropped meanwhile.
pub(crate) async fn first_output(call: &mut Call, accepts: Accepts) -> FirstOutput {
    loop {
        let first = if accepts.event_stream {
            call.next_by(Instant::now() + STREAM_AFTER).await
        } else {
            Some(call.next().await)
        };
        return match first {
            Some(Progress::Answer(bytes)) => FirstOutput::Answer(bytes),
            Some(Progress::Cancelled) => FirstOutput::Cancelled,
            // Nothing can carry it.
            Some(Progress::Event { .. }) if !accepts.event_stream => continue,
            Some(Progress::Event { message, .. }) => FirstOutput::Stream(Some(message)),
            None => FirstOutput::Stream(None),
        };
    }
}

/// Brings what a call says to its stream, whether or not somebody reads it at the moment.
async fn forward_to_stream(sessions: Arc<Sessions>, mut call: Box<Call>, stream: Arc<EventStream>) {
    call.set_stream(stream.clone());
    // Nobody has read for so long that open questions were answered in the client's place.
    let mut client_away = false;
    loop {
        client_away = client_away && !stream.is_open();
        let progress = tokio::select! {
            progress = call.next() => progress,
            () = stream.reader_gone_for(ANSWER_GRACE), if !client_away => {
                client_away = true;
                call.client_is_away();
                continue;
            }
        };
        match progress {
            Progress::Event { message, question: Some(question) } => {
                if !stream.try_push_question(event(&message)) {
                    call.withdraw_question(question);
                }
            }
            Progress::Event { message, question: None } => {
                if !stream.try_push(event(&message)) {
                    call.notification_dropped();
                }
            }
            Progress::Answer(message) => {
                stream.finish(event(&message));
                break;
            }
            Progress::Cancelled => {
                stream.end();
                break;
            }
        }
    }
    call.session_and_id().0.drop_excess_answers();
    sessions.make_room();
}

impl Drop for DetachOnDrop {
    fn drop(&mut self) {
        if let Some(call) = self.call.take()
            && !call.is_finished()
        {
            self.sessions.serving.tasks.spawn(call.finish_detached());
        }
    }
}
