//! Brings what a call says to the client that made it: as a plain answer, or as a stream.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::answer::{self, HttpAnswer};
use crate::call::{Call, Progress};
use crate::gateway::Gateway;
use crate::pipeline::Takes;
use crate::stream::EventStream;

/// A call that has said nothing for this long is answered as a stream, so that nobody on the way
/// takes its connection for dead.
const STREAM_AFTER: Duration = Duration::from_secs(10);

/// A client that lost its stream can still answer a question that came on it, for this long.
const ANSWER_GRACE: Duration = Duration::from_secs(3);

/// Keeps a call alive when its client's connection is cut while nothing has been answered yet.
struct Held {
    gateway: Arc<Gateway>,
    call: Option<Box<Call>>,
}

/// How the answer to a call begins.
pub(crate) enum Begins {
    /// With itself: nothing came before it.
    Plain(Bytes),
    /// Not at all: the client took the call back.
    TakenBack,
    /// With an event, or with a silence so long that a stream has to show there is life.
    Stream(Option<Bytes>),
}

/// Answers a call that belongs to a session. A client that goes away leaves it running.
pub(crate) async fn carry_out(gateway: &Arc<Gateway>, mut call: Call, takes: Takes) -> HttpAnswer {
    if !takes.events {
        call.set_unheard();
    }
    let mut held = Held { gateway: gateway.clone(), call: Some(Box::new(call)) };
    let Some(call) = held.call.as_mut() else { return answer::accepted() };
    match begins(call, takes).await {
        Begins::Plain(bytes) => answer::message(bytes),
        Begins::TakenBack => {
            // A request that was taken back gets no answer: an empty stream says so.
            let stream = Arc::new(EventStream::default());
            stream.end();
            answer::events(stream)
        }
        Begins::Stream(event) => {
            let stream = Arc::new(EventStream::default());
            if let Some(event) = event {
                stream.push(answer::event(&event));
            }
            if let Some(call) = held.call.take() {
                gateway.tasks.spawn(pump(*call, stream.clone()));
            }
            answer::events(stream)
        }
    }
}

/// Waits for the first thing a call brings, and loses nothing when it is dropped meanwhile.
pub(crate) async fn begins(call: &mut Call, takes: Takes) -> Begins {
    loop {
        let first = if takes.events {
            tokio::time::timeout(STREAM_AFTER, call.next()).await.ok()
        } else {
            Some(call.next().await)
        };
        return match first {
            Some(Progress::Answer(bytes)) => Begins::Plain(bytes),
            Some(Progress::Cancelled) => Begins::TakenBack,
            // Nothing can carry it.
            Some(Progress::Event { .. }) if !takes.events => continue,
            Some(Progress::Event { message, .. }) => Begins::Stream(Some(message)),
            None => Begins::Stream(None),
        };
    }
}

/// Brings what a call says to its stream.
async fn pump(mut call: Call, stream: Arc<EventStream>) {
    call.set_stream(stream.clone());
    let mut left = false;
    loop {
        let progress = tokio::select! {
            progress = call.next() => progress,
            () = deserted(&stream), if !left => {
                left = true;
                call.take_back_questions();
                continue;
            }
        };
        match progress {
            Progress::Event { message, may_be_lost: false } => stream.push(answer::event(&message)),
            Progress::Event { message, may_be_lost: true } => {
                if !stream.offer(answer::event(&message)) {
                    call.dropped();
                }
            }
            Progress::Answer(message) => {
                stream.push(answer::event(&message));
                break;
            }
            Progress::Cancelled => break,
        }
    }
    stream.end();
}

/// Waits until a client has left its stream for so long that it will not answer what came on it.
async fn deserted(stream: &EventStream) {
    stream.left().await;
    tokio::time::sleep(ANSWER_GRACE).await;
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(call) = self.call.take()
            && !call.is_finished()
        {
            self.gateway.tasks.spawn(call.finish_unheard());
        }
    }
}
