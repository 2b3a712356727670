//! Brings the output of a call to its client: as a plain response, or as a stream.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use crate::answer::{self, HttpAnswer};
use crate::call::{Call, Progress};
use crate::caller::Accepts;
use crate::session::questions::QUESTION_GRACE;
use crate::sessions::Sessions;
use crate::stream::{EventStream, event};

/// Longest silence of a call before its response becomes a stream, so that intermediaries don't
/// close the connection.
const STREAM_AFTER: Duration = Duration::from_secs(10);

/// Keeps a call running when its client's connection is cut before any output.
struct DetachOnDrop {
    sessions: Arc<Sessions>,
    call: Option<Box<Call>>,
}

/// The first output of a call.
pub(crate) enum FirstOutput {
    /// The response itself.
    Answer(Bytes),
    /// The client cancelled the call.
    Cancelled,
    /// An event, or none after a silence so long that a stream has to begin.
    Stream(Option<FirstEvent>),
}

/// A notification, or a question with its number.
pub(crate) struct FirstEvent {
    pub(crate) message: Bytes,
    pub(crate) question: Option<u64>,
}

/// Responds to a call of a session. A client that disconnects leaves the call running.
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
            // A cancelled request gets no answer, which an empty stream expresses.
            let stream = Arc::new(EventStream::default());
            stream.end();
            answer::events(stream)
        }
        FirstOutput::Stream(first) => {
            let Some(mut call) = guarded.call.take() else { return answer::accepted() };
            let (session, id) = call.session_and_id();
            let stream = session.open_call_stream(&sessions.replay, id);
            if let Some(first) = first {
                forward_event(&mut call, &stream, first);
            }
            sessions.serving.tasks.spawn(forward_to_stream(sessions.clone(), call, stream.clone()));
            answer::events(stream)
        }
    }
}

/// Waits for the first output of a call. May be dropped and called again without losing anything.
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
            // No stream can carry the message.
            Some(Progress::Event { .. }) if !accepts.event_stream => continue,
            Some(Progress::Event { message, question }) => {
                FirstOutput::Stream(Some(FirstEvent { message, question }))
            }
            None => FirstOutput::Stream(None),
        };
    }
}

/// Forwards the output of a call to its stream, whether it is read at the moment or not.
async fn forward_to_stream(sessions: Arc<Sessions>, mut call: Box<Call>, stream: Arc<EventStream>) {
    call.set_stream(stream.clone());
    // The client has not read for so long that Mainstay answered its open questions in its place.
    let mut client_away = false;
    loop {
        if client_away && stream.is_open() {
            client_away = false;
            call.client_is_back();
        }
        let progress = tokio::select! {
            progress = call.next() => progress,
            () = stream.reader_gone_for(QUESTION_GRACE), if !client_away => {
                client_away = true;
                call.client_is_away();
                stream.take_back_questions();
                continue;
            }
        };
        match progress {
            Progress::Event { message, question } => {
                forward_event(&mut call, &stream, FirstEvent { message, question });
            }
            Progress::Answer(message) => {
                finish_stream(&call, &stream, message);
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

/// Adds a notification or a question to the stream of its call, unless the client has too much to
/// read already.
pub(crate) fn forward_event(call: &mut Call, stream: &EventStream, first: FirstEvent) {
    let FirstEvent { message, question } = first;
    let encoded = event(&message);
    drop(message);
    match question {
        Some(question) => {
            if !stream.try_push_question(question, encoded) {
                call.withdraw_question(question);
            }
        }
        None => {
            if !stream.try_push(encoded) {
                call.notification_dropped();
            }
        }
    }
}

/// Ends the stream of a call with its response, or with a refusal if there is no memory for that.
pub(crate) fn finish_stream(call: &Call, stream: &EventStream, message: Bytes) {
    // The call has ended, and with it its questions.
    stream.take_back_questions();
    let encoded = event(&message);
    // The message makes room for its event.
    drop(message);
    if let Err(exceeded) = stream.try_finish(encoded) {
        stream.finish(event(&call.answer_refusal(&exceeded)));
    }
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
