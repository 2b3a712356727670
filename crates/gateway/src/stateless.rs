//! What a request of 2026-07-28 asks for, and who does it.
//!
//! There is no session: a request says itself what its client can do, is cancelled by closing the
//! stream of its answer, and can't be asked anything while it runs.

mod discover;
pub(crate) mod listen;

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use mainstay_model::Refusal;
use mainstay_protocol::capabilities::ClientCapabilities;
use mainstay_protocol::headers::{self, HeaderMismatch};
use mainstay_protocol::list::ListKind;
use mainstay_protocol::params::Params;
use mainstay_protocol::revision::Era;
use mainstay_protocol::{Id, Message, Method, Revision, build, codes};
use mainstay_telemetry::{CorrelationId, Outcome};

use crate::answer::{self, HttpAnswer};
use crate::call::delivery::{self, Begins};
use crate::call::route::{self, NoRoute, ProgressToken, Route};
use crate::call::{Call, Progress};
use crate::edge::Caller;
use crate::endpoint::{Endpoint, lists};
use crate::gateway::Gateway;
use crate::pipeline::{self, Takes};
use crate::session::Session;
use crate::session::levels::LogLevel;
use crate::stream::EventStream;

/// A request that has passed its checks, with what it says of itself.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) id: Id,
    /// None: no method known here.
    pub(crate) method: Option<Method>,
    pub(crate) capabilities: ClientCapabilities,
    /// None: no log messages are wanted.
    pub(crate) log_level: Option<LogLevel>,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) caller: &'a Caller,
    pub(crate) takes: Takes,
}

/// Answers one request.
pub(crate) async fn answer(
    gateway: &Arc<Gateway>,
    endpoint: &Arc<Endpoint>,
    message: Message,
    request: Request<'_>,
) -> HttpAnswer {
    if gateway.is_draining() {
        let refusal = pipeline::stopping(gateway, &request.caller.request_id);
        return refuse(Some(&request.id), refusal, &request.caller.request_id);
    }
    let begun = Instant::now();
    let deadline = begun + gateway.settings.limits.list;
    let local = match request.method {
        Some(Method::ServerDiscover) => discover::result(gateway, endpoint).await.map_err(Ok),
        Some(Method::SubscriptionsListen) => {
            return listen::open(gateway, endpoint, &message, request).await;
        }
        Some(method) if !endpoint.single && ListKind::from_method(method).is_some() => {
            let kind = ListKind::from_method(method).unwrap_or(ListKind::Tools);
            let page = lists::page(endpoint, None, Era::Modern, kind, &message, deadline).await;
            page.map(Bytes::from).map_err(Err)
        }
        _ => return call(gateway, endpoint, message, request).await,
    };
    let outcome = match &local {
        Ok(_) => Outcome::Ok,
        Err(Ok(_)) => Outcome::Refused,
        Err(Err(_)) => Outcome::Error,
    };
    let label = mainstay_telemetry::Method::from_wire(message.method());
    gateway.metrics.gateway().finished(label, outcome, begun.elapsed());
    match local {
        Ok(result) => {
            let result = std::str::from_utf8(&result).unwrap_or("{}");
            answer::message(build::result(&request.id, result))
        }
        Err(Ok(refusal)) => refuse(Some(&request.id), refusal, &request.caller.request_id),
        Err(Err(say)) => fail(&request.id, codes::INVALID_PARAMS, &say),
    }
}

async fn call(
    gateway: &Arc<Gateway>,
    endpoint: &Arc<Endpoint>,
    message: Message,
    request: Request<'_>,
) -> HttpAnswer {
    let patience = gateway.settings.limits.list;
    let (route, token) = match route_of(endpoint, &message, &request, patience).await {
        Ok(found) => found,
        Err(NoRoute { code, message }) => return fail(&request.id, code, &message),
    };
    let caller = Session::passing(
        gateway.next_session_no(),
        request.caller.principal.clone(),
        Revision::V2026_07_28,
        request.capabilities,
        request.log_level,
        endpoint.id,
        request.caller.connection,
    );
    let call = Call::new(
        gateway.clone(),
        Arc::new(caller),
        (message, request.id),
        route,
        token,
        request.caller.request_id.clone(),
    );
    carry_out(gateway, Box::new(call), request.takes).await
}

/// Where a request goes, and its progress token.
async fn route_of(
    endpoint: &Arc<Endpoint>,
    message: &Message,
    request: &Request<'_>,
    patience: Duration,
) -> Result<(Route, Option<ProgressToken>), NoRoute> {
    let invalid = |code, error: &dyn Error| NoRoute { code, message: error.to_string() };
    let params = message.params().map_err(|error| invalid(codes::INVALID_PARAMS, &error))?;
    let find = || route::find(endpoint, Era::Modern, request.method, &params);
    let mut route = find();
    if route.is_err() && !endpoint.single {
        // The server may be on its way. Boxed, since every request would else be moved with the room
        // for it.
        Box::pin(endpoint.settle(Era::Modern, Instant::now() + patience)).await;
        route = find();
    }
    let mut route = route?;
    mirror(&mut route, &params, request.headers)
        .map_err(|mismatch| invalid(codes::HEADER_MISMATCH, &mismatch))?;
    Ok((route, route::token(message, &params)))
}

/// Checks the headers that repeat arguments, and makes those that go on to the server. What the body
/// says counts; headers nobody here knows go on as they came.
fn mirror(route: &mut Route, params: &Params<'_>, given: &HeaderMap) -> Result<(), HeaderMismatch> {
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

/// Answers a call; whoever drops it meanwhile has cancelled it.
async fn carry_out(gateway: &Arc<Gateway>, mut call: Box<Call>, takes: Takes) -> HttpAnswer {
    match delivery::begins(&mut call, takes).await {
        Begins::Plain(bytes) => answer::json(status(call.error_code()), bytes),
        Begins::TakenBack => answer::accepted(),
        Begins::Stream(event) => {
            let stream = Arc::new(EventStream::default());
            if let Some(event) = event {
                stream.push(answer::event(&event));
            }
            gateway.tasks.spawn(pump(call, stream.clone()));
            answer::events(stream)
        }
    }
}

/// Brings what a call says to its stream. A client that closes the stream cancels the call.
async fn pump(mut call: Box<Call>, stream: Arc<EventStream>) {
    loop {
        let progress = tokio::select! {
            progress = call.next() => progress,
            () = stream.left() => return,
        };
        match progress {
            Progress::Event { message, .. } => {
                if !stream.offer(answer::event(&message)) {
                    call.notification_dropped();
                }
            }
            Progress::Answer(message) => {
                stream.push(answer::event(&message));
                return stream.end();
            }
            Progress::Cancelled => return stream.end(),
        }
    }
}

/// A refusal of ours.
pub(crate) fn refuse(
    id: Option<&Id>,
    mut refusal: Refusal,
    request_id: &CorrelationId,
) -> HttpAnswer {
    refusal.data.request_id = Some(request_id.to_string());
    answer::message(pipeline::refuse(id, &refusal))
}

/// A JSON-RPC error of ours, with the status that goes with it.
pub(crate) fn fail(id: &Id, code: i32, say: &str) -> HttpAnswer {
    answer::failure(status(Some(code)), Some(id), code, say)
}

fn status(code: Option<i32>) -> StatusCode {
    let status = code.map_or(200, |code| Era::Modern.status_of(code));
    StatusCode::from_u16(status).unwrap_or(StatusCode::OK)
}
