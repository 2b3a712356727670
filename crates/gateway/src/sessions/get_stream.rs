//! The streams that clients open with GET.

use std::sync::Arc;

use http::{HeaderValue, StatusCode, header};
use mainstay_model::{Refusal, RefusalCode};
use mainstay_telemetry::{CorrelationId, Resumption, StreamKind};

use super::Sessions;
use crate::answer::{self, HttpAnswer};
use crate::endpoint::Endpoint;
use crate::session::Session;
use crate::stream::event_id::EventId;
use crate::stream::open_stream::OpenStreamGuard;
use crate::stream::streams::Resumed;

/// Opens a background stream, or resumes a stream after `Last-Event-ID`.
///
/// The specification leaves open what a client gets whose id can't be honoured. So that no client
/// waits for what will never come:
/// - a response that was dropped becomes an error that says so;
/// - a stream that is complete becomes 405, which clients take as final. They would reconnect for
///   ever to a stream that just ends;
/// - anything else becomes a new background stream.
pub(crate) fn open_or_resume(
    sessions: &Arc<Sessions>,
    (endpoint, session): (&Arc<Endpoint>, &Arc<Session>),
    last_event_id: Option<&str>,
    request_id: &CorrelationId,
) -> HttpAnswer {
    let resumable = session.revision.rules().resumable;
    let serving = &sessions.serving;
    let guard =
        || OpenStreamGuard::open(serving, &endpoint.state.streams, StreamKind::Get, request_id);
    let fresh = || {
        let stream = endpoint.state.audience.open_stream(session, &sessions.replay);
        stream.set_open_guard(guard());
        answer::events(stream)
    };
    let Some(last_event_id) = last_event_id.filter(|_| resumable) else {
        return fresh();
    };
    let event = EventId::parse(last_event_id);
    let changes = endpoint.state.audience.changes();
    let resumed =
        event.as_ref().map_or(Resumed::NewStream, |event| session.resume_stream(changes, event));
    serving.metrics.resumed(match &resumed {
        Resumed::Continues(_) => Resumption::Resumed,
        Resumed::AnswerLost(_) => Resumption::Lost,
        Resumed::Complete => Resumption::Over,
        Resumed::NewStream => Resumption::Fresh,
    });
    match (resumed, event) {
        (Resumed::Continues(reader), Some(event)) if !event.is_of_call() => {
            reader.stream().set_open_guard(guard());
            answer::resumed(reader)
        }
        (Resumed::Continues(reader), _) => answer::resumed(reader),
        (Resumed::Complete, _) => {
            let mut answer = answer::empty(StatusCode::METHOD_NOT_ALLOWED);
            let others = HeaderValue::from_static("POST, DELETE, OPTIONS");
            answer.headers_mut().insert(header::ALLOW, others);
            answer
        }
        (Resumed::AnswerLost(id), Some(event)) => {
            let mut refusal = Refusal::new(
                RefusalCode::OutcomeUnknown,
                "the response to this call came while its stream was cut, and has been dropped since",
            )
            .hint("the server may have carried it out; check before you call again");
            refusal.data.request_id = Some(request_id.to_string());
            serving.metrics.gateway().failed(refusal.code.into());
            answer::only_event(&event.next(), &answer::refusal(Some(&id), &refusal))
        }
        (Resumed::NewStream | Resumed::AnswerLost(_), _) => fresh(),
    }
}
