//! Handles requests of 2026-07-28.
//!
//! There is no session: each request says what its client supports, is cancelled by closing the
//! stream of its response, and can't be asked anything while it runs.

mod discover;
pub(crate) mod listen;
pub(crate) mod request;

use std::error::Error;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use mainstay_protocol::headers::{self, HeaderMismatch};
use mainstay_protocol::list::ListKind;
use mainstay_protocol::params::Params;
use mainstay_protocol::revision::Era;
use mainstay_protocol::{Message, Method, Revision, build, codes};
use mainstay_telemetry::Outcome;

use self::listen::ListenStreams;
use self::request::{ModernRequest, error_response, http_status, refusal_response};
use crate::answer::{self, HttpAnswer};
use crate::call::delivery::{self, FirstOutput};
use crate::call::{Call, Progress};
use crate::caller::Accepts;
use crate::endpoint::route::{self, ProgressToken, Route, RouteError};
use crate::endpoint::{Endpoint, lists};
use crate::serving::Serving;
use crate::session::Session;
use crate::sessions::Sessions;
use crate::stream::{EventStream, event};

/// The context of requests of 2026-07-28.
pub(crate) struct Stateless {
    sessions: Arc<Sessions>,
    pub(crate) listens: Arc<ListenStreams>,
}

// === impl Stateless ===

impl Stateless {
    pub(crate) fn new(sessions: &Arc<Sessions>) -> Self {
        let listens = ListenStreams::new(&sessions.serving, &sessions.directory);
        Self { sessions: sessions.clone(), listens }
    }
}

/// Handles one request.
pub(crate) async fn handle_request(
    stateless: &Stateless,
    endpoint: &Arc<Endpoint>,
    message: Message,
    request: ModernRequest<'_>,
) -> HttpAnswer {
    let Stateless { sessions, listens } = stateless;
    if sessions.serving.is_draining() {
        let refusal = sessions.serving.draining_refusal(&request.caller.request_id);
        return refusal_response(Some(&request.id), refusal, &request.caller.request_id);
    }
    let begun = Instant::now();
    let deadline = begun + sessions.serving.settings().limits.list;
    let local = match request.method {
        Some(Method::ServerDiscover) => {
            discover::result(&sessions.serving, endpoint).await.map_err(Ok)
        }
        Some(Method::SubscriptionsListen) => {
            return listen::handle_listen(listens, endpoint, &message, request).await;
        }
        Some(method) if !endpoint.single && ListKind::from_method(method).is_some() => {
            let kind = ListKind::from_method(method).unwrap_or(ListKind::Tools);
            let page = lists::page(endpoint, None, Era::Modern, kind, &message, deadline).await;
            page.map(Bytes::from).map_err(Err)
        }
        method => {
            let kind = method.and_then(ListKind::from_method);
            let known =
                kind.and_then(|kind| lists::known_page(endpoint, Era::Modern, kind, &message));
            match known {
                Some(page) => Ok(Bytes::from(page)),
                None => return handle_call(sessions, endpoint, message, request).await,
            }
        }
    };
    let outcome = match &local {
        Ok(_) => Outcome::Ok,
        Err(Ok(_)) => Outcome::Refused,
        Err(Err(_)) => Outcome::Error,
    };
    let label = mainstay_telemetry::Method::from_wire(message.method());
    sessions.serving.metrics.gateway().finished(label, outcome, begun.elapsed());
    match local {
        Ok(result) => {
            let result = std::str::from_utf8(&result).unwrap_or("{}");
            let message = build::result(&request.id, result);
            answer::own_message(sessions.serving.budget, &request.id, message)
        }
        Err(Ok(refusal)) => {
            refusal_response(Some(&request.id), refusal, &request.caller.request_id)
        }
        Err(Err(say)) => error_response(&request.id, codes::INVALID_PARAMS, &say),
    }
}

async fn handle_call(
    sessions: &Arc<Sessions>,
    endpoint: &Arc<Endpoint>,
    message: Message,
    request: ModernRequest<'_>,
) -> HttpAnswer {
    let wait_max = sessions.serving.settings().limits.list;
    let begun = Instant::now();
    let (route, token) = match route_when_listed(endpoint, &message, &request, wait_max).await {
        Ok(found) => found,
        Err(RouteError { refusal: Some(refusal), .. }) => {
            sessions.serving.count_unrouted(message.method(), begun);
            return refusal_response(Some(&request.id), refusal, &request.caller.request_id);
        }
        Err(RouteError { code, message: text, .. }) => {
            sessions.serving.count_unrouted(message.method(), begun);
            return error_response(&request.id, code, &text);
        }
    };
    let caller = Session::stateless(
        sessions.serving.next_session_no(),
        request.caller.principal.clone(),
        Revision::V2026_07_28,
        request.capabilities,
        request.log_level,
        endpoint.id,
        request.caller.connection,
    );
    let caller = Arc::new(caller);
    let call = Call::new(
        sessions.clone(),
        caller.clone(),
        (message, request.id),
        route,
        token,
        request.caller.request_id.clone(),
    );
    respond(sessions, &caller, Box::new(call), request.accepts).await
}

/// Finds the route of a request, and its progress token.
async fn route_when_listed(
    endpoint: &Arc<Endpoint>,
    message: &Message,
    request: &ModernRequest<'_>,
    wait_max: Duration,
) -> Result<(Route, Option<ProgressToken>), RouteError> {
    let invalid = |code, error: &dyn Error| RouteError::new(code, error.to_string());
    let params = message.params().map_err(|error| invalid(codes::INVALID_PARAMS, &error))?;
    let find = || route::find_route(endpoint, Era::Modern, request.method, &params);
    let mut route = find();
    if route.is_err() && !endpoint.single {
        // The server may still be starting. The future is boxed, so that not every request is as large as
        // this wait.
        Box::pin(endpoint.wait_for_lists(Era::Modern, Instant::now() + wait_max)).await;
        route = find();
    }
    let mut route = route?;
    route.repair(&params);
    check_mirrored_headers(&mut route, &params, request.headers)
        .map_err(|mismatch| invalid(codes::HEADER_MISMATCH, &mismatch))?;
    Ok((route, route::progress_token(message, &params)))
}

/// Checks the headers that repeat arguments, and builds those for the server. The body counts.
/// Headers that are unknown here are forwarded as they came.
fn check_mirrored_headers(
    route: &mut Route,
    params: &Params<'_>,
    given: &HeaderMap,
) -> Result<(), HeaderMismatch> {
    let arguments = params.arguments.as_ref().map(|arguments| arguments.raw);
    if let Some(tool) = &route.tool
        && let Some(facts) = route.pool.facts(Era::Modern)
        && let Some(tool) = facts.lists.tool(tool)
    {
        let values = |name: &str| {
            given.get_all(name).into_iter().map(HeaderValue::as_bytes).collect::<Vec<_>>()
        };
        tool.mirrors.check(arguments, values)?;
        route.headers = tool.headers(arguments);
    }
    for (name, value) in given {
        let mirrors = name.as_str().starts_with(headers::PARAM_PREFIX);
        if mirrors && !route.headers.iter().any(|(known, _)| known == name) {
            route.headers.push((name.clone(), value.clone()));
        }
    }
    Ok(())
}

/// Responds to a call. Dropping the future cancels the call.
async fn respond(
    sessions: &Sessions,
    caller: &Arc<Session>,
    mut call: Box<Call>,
    accepts: Accepts,
) -> HttpAnswer {
    let first = {
        let mut first = pin!(delivery::first_output(&mut call, accepts));
        tokio::select! {
            biased;
            first = &mut first => first,
            () = sessions.serving.refusing_calls.cancelled() => {
                caller.stop_calls();
                first.await
            }
        }
    };
    match first {
        FirstOutput::Answer(bytes) => answer::json(http_status(call.error_code()), bytes),
        FirstOutput::Cancelled => answer::accepted(),
        FirstOutput::Stream(first) => {
            let stream = Arc::new(EventStream::plain(sessions.serving.budget));
            if let Some(first) = first {
                delivery::forward_event(&mut call, &stream, first);
            }
            let of = (sessions.serving.clone(), caller.clone());
            sessions.serving.tasks.spawn(forward_to_stream(of, call, stream.clone()));
            answer::events(stream)
        }
    }
}

/// Forwards the output of a call to its stream. A client that closes the stream cancels the call.
async fn forward_to_stream(
    (serving, caller): (Arc<Serving>, Arc<Session>),
    mut call: Box<Call>,
    stream: Arc<EventStream>,
) {
    let mut is_stopped = false;
    loop {
        let progress = tokio::select! {
            progress = call.next() => progress,
            () = stream.reader_gone() => return,
            () = serving.refusing_calls.cancelled(), if !is_stopped => {
                is_stopped = true;
                caller.stop_calls();
                continue;
            }
        };
        match progress {
            Progress::Event { message, .. } => {
                if !stream.try_push(event(&message)) {
                    call.notification_dropped();
                }
            }
            Progress::Answer(message) => {
                return delivery::finish_stream(&call, &stream, message);
            }
            Progress::Cancelled => return stream.end(),
        }
    }
}
