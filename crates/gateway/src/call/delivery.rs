//! Brings what a call says to the client that made it: as a plain answer, or as a stream.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use mainstay_model::{Refusal, RefusalCode};
use mainstay_telemetry::{CorrelationId, Resumption, StreamKind};
use tokio::time::Instant;

use crate::answer::{self, HttpAnswer};
use crate::call::{Call, Progress};
use crate::endpoint::Endpoint;
use crate::gateway::Gateway;
use crate::pipeline::{self, Takes};
use crate::session::Session;
use crate::stream::EventStream;
use crate::stream::resume::{EventId, Resumed};
use crate::stream::standing::Standing;

/// A call that has said nothing for this long is answered as a stream, so that nobody on the way
/// takes its connection for dead.
const STREAM_AFTER: Duration = Duration::from_secs(10);

/// A client that lost its stream can still answer a question that came on it, or be back for one,
/// for this long.
pub(crate) const ANSWER_GRACE: Duration = Duration::from_secs(3);

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
pub(crate) async fn carry_out(
    gateway: &Arc<Gateway>,
    mut call: Box<Call>,
    takes: Takes,
) -> HttpAnswer {
    if !takes.events {
        call.client_is_gone();
    }
    let mut held = Held { gateway: gateway.clone(), call: Some(call) };
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
            let Some(call) = held.call.take() else { return answer::accepted() };
            let (session, id) = call.asked_by();
            let stream = session.stream_of_call(&gateway.kept, id);
            if let Some(event) = event {
                stream.push(answer::event(&event));
            }
            gateway.tasks.spawn(pump(gateway.clone(), call, stream.clone()));
            answer::events(stream)
        }
    }
}

/// Waits for the first thing a call brings, and loses nothing when it is dropped meanwhile.
pub(crate) async fn begins(call: &mut Call, takes: Takes) -> Begins {
    loop {
        let first = if takes.events {
            call.next_by(Instant::now() + STREAM_AFTER).await
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

/// Brings what a call says to its stream, whether or not somebody reads it at the moment.
async fn pump(gateway: Arc<Gateway>, mut call: Box<Call>, stream: Arc<EventStream>) {
    call.set_stream(stream.clone());
    // Nobody has read for so long that open questions were answered in the client's place.
    let mut deserted = false;
    loop {
        deserted = deserted && !stream.is_open();
        let progress = tokio::select! {
            progress = call.next() => progress,
            () = stream.left_for(ANSWER_GRACE), if !deserted => {
                deserted = true;
                call.client_is_away();
                continue;
            }
        };
        match progress {
            Progress::Event { message, question: Some(question) } => {
                if !stream.ask(answer::event(&message)) {
                    call.withdraw_question(question);
                }
            }
            Progress::Event { message, question: None } => {
                if !stream.offer(answer::event(&message)) {
                    call.notification_dropped();
                }
            }
            Progress::Answer(message) => {
                stream.finish(answer::event(&message));
                break;
            }
            Progress::Cancelled => {
                stream.end();
                break;
            }
        }
    }
    call.asked_by().0.bound_streams();
    gateway.kept.make_room(|| gateway.sessions.all());
}

/// Opens a stream for what servers say of their own accord, or goes on with one that was cut.
///
/// The specification says what a `Last-Event-ID` is for, and not what one gets that can't be
/// honoured. So that no client waits for what will never come:
/// - the answer to a call that is not kept any more becomes an error that says so;
/// - nothing more to come is 405, "no stream for you here", which clients take as final. They come
///   back at once, and for ever, to a stream that just ends;
/// - anything else is a stream like any other: its client listens for what comes of its own accord.
pub(crate) fn listen(
    gateway: &Arc<Gateway>,
    (endpoint, session): (&Arc<Endpoint>, &Arc<Session>),
    last_event_id: Option<&str>,
    request_id: &CorrelationId,
) -> HttpAnswer {
    let resumable = session.revision.rules().resumable;
    let standing = || Standing::open(gateway, endpoint, StreamKind::Get, request_id);
    let fresh = || {
        let stream = session.stand(&endpoint.lasting, &gateway.kept);
        stream.stands(standing());
        answer::events(stream)
    };
    let Some(last_event_id) = last_event_id.filter(|_| resumable) else {
        return fresh();
    };
    let event = EventId::parse(last_event_id);
    let resumed =
        event.as_ref().map_or(Resumed::Fresh, |event| session.resume(&endpoint.lasting, event));
    gateway.metrics.resumed(match &resumed {
        Resumed::Goes(_) => Resumption::Resumed,
        Resumed::Lost(_) => Resumption::Lost,
        Resumed::Over => Resumption::Over,
        Resumed::Fresh => Resumption::Fresh,
    });
    match (resumed, event) {
        (Resumed::Goes(reader), Some(event)) if !event.is_of_call() => {
            reader.stream().stands(standing());
            answer::resumed(reader)
        }
        (Resumed::Goes(reader), _) => answer::resumed(reader),
        (Resumed::Over, _) => {
            let mut answer = answer::empty(StatusCode::METHOD_NOT_ALLOWED);
            let others = HeaderValue::from_static("POST, DELETE, OPTIONS");
            answer.headers_mut().insert(header::ALLOW, others);
            answer
        }
        (Resumed::Lost(id), Some(event)) => {
            let mut refusal = Refusal::new(
                RefusalCode::OutcomeUnknown,
                "the answer to this call came while its stream was cut, and is not kept any more",
            )
            .hint("it may have been carried out; look before you call again");
            refusal.data.request_id = Some(request_id.to_string());
            gateway.metrics.gateway().failed(refusal.code.into());
            answer::only_event(&event.next(), &pipeline::refuse(Some(&id), &refusal))
        }
        (Resumed::Fresh | Resumed::Lost(_), _) => fresh(),
    }
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
