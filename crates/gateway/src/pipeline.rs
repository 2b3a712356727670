//! Handles the messages of sessions.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use mainstay_protocol::list::ListKind;
use mainstay_protocol::params::BadParams;
use mainstay_protocol::{Era, Id, Kind, Message, Method, Notification, build, codes};
use mainstay_session::LogLevel;
use mainstay_telemetry::Outcome;

use crate::answer::{self, HttpAnswer};
use crate::call::{Call, delivery};
use crate::caller::{Accepts, Caller};
use crate::endpoint::route::{self, ProgressToken, Route, RouteError};
use crate::endpoint::{Endpoint, lists, per_client_lists};
use crate::session::levels::supports_logging;
use crate::session::{Session, placement};
use crate::sessions::{Sessions, levels, subscribe};

/// A session, and the endpoint that it is at.
type SessionAt<'a> = (&'a Arc<Endpoint>, &'a Arc<Session>);

/// Handles one message of a session.
pub(crate) async fn handle_message(
    sessions: &Arc<Sessions>,
    (endpoint, session): SessionAt<'_>,
    message: Message,
    accepts: Accepts,
    caller: &Caller,
) -> HttpAnswer {
    session.touch();
    match message.kind() {
        Kind::Result | Kind::Error => {
            session.mark_used();
            session.forward_answer(&message);
            answer::accepted()
        }
        Kind::Notification => {
            handle_notification(endpoint, session, &message);
            answer::accepted()
        }
        Kind::Request => match message.id() {
            Some(id) => {
                session.mark_used();
                handle_request(sessions, (endpoint, session), (message, id), accepts, caller).await
            }
            None => answer::accepted(),
        },
    }
}

async fn handle_request(
    sessions: &Arc<Sessions>,
    (endpoint, session): SessionAt<'_>,
    (message, id): (Message, Id),
    accepts: Accepts,
    caller: &Caller,
) -> HttpAnswer {
    let method = Method::parse(message.method());
    let begun = Instant::now();
    if sessions.serving.is_draining() && method != Some(Method::Ping) {
        return answer::message(answer::refusal(
            Some(&id),
            &sessions.serving.draining_refusal(&caller.request_id),
        ));
    }
    let local = match method {
        Some(Method::Ping) => Some(Ok("{}".to_owned())),
        Some(Method::Initialize) => {
            Some(Err((codes::INVALID_REQUEST, "this session is initialized already".to_owned())))
        }
        Some(Method::LoggingSetLevel) => {
            Some(set_level(sessions, endpoint, session, &message).await)
        }
        Some(method) if !endpoint.single && ListKind::from_method(method).is_some() => {
            let deadline = begun + sessions.serving.settings().limits.list;
            let kind = ListKind::from_method(method).unwrap_or(ListKind::Tools);
            let session = Some(&**session);
            let page = lists::page(endpoint, session, Era::Legacy, kind, &message, deadline).await;
            Some(page.map_err(|error| (codes::INVALID_PARAMS, error)))
        }
        Some(method) => match ListKind::from_method(method) {
            Some(kind) => {
                let deadline = begun + sessions.serving.settings().limits.list;
                per_client_lists::single_server_page(endpoint, session, kind, deadline)
                    .await
                    .or_else(|| lists::known_page(endpoint, Era::Legacy, kind, &message))
                    .map(Ok)
            }
            None => None,
        },
        None => None,
    };
    if let Some(result) = local {
        let outcome = if result.is_ok() { Outcome::Ok } else { Outcome::Error };
        let label = mainstay_telemetry::Method::from_wire(message.method());
        sessions.serving.metrics.gateway().finished(label, outcome, begun.elapsed());
        return match result {
            Ok(result) => {
                answer::own_message(sessions.serving.budget, &id, build::result(&id, &result))
            }
            Err((code, text)) => answer::message(build::failure(Some(&id), code, &text)),
        };
    }
    let deadline = begun + sessions.serving.settings().limits.list;
    let (route, token) = match route_when_listed(endpoint, method, &message, deadline).await {
        Ok(found) => found,
        Err(RouteError { refusal: Some(mut refusal), .. }) => {
            sessions.serving.count_unrouted(message.method(), begun);
            refusal.data.request_id = Some(caller.request_id.to_string());
            return answer::message(answer::refusal(Some(&id), &refusal));
        }
        Err(RouteError { code, message: text, .. }) => {
            sessions.serving.count_unrouted(message.method(), begun);
            return answer::message(build::failure(Some(&id), code, &text));
        }
    };
    session.wait_until_restored_at(route.server).await;
    match method {
        Some(Method::ResourcesSubscribe) => {
            subscribe::subscribe(sessions, session, &route, &message, &id).await
        }
        Some(Method::ResourcesUnsubscribe) => {
            subscribe::unsubscribe(sessions, session, &route, &message, &id).await
        }
        _ => {
            let call = Call::new(
                sessions.clone(),
                session.clone(),
                (message, id),
                route,
                token,
                caller.request_id.clone(),
            );
            delivery::respond(sessions, Box::new(call), accepts).await
        }
    }
}

/// Finds the route of a request, and its progress token.
async fn route_when_listed(
    endpoint: &Endpoint,
    method: Option<Method>,
    message: &Message,
    deadline: Instant,
) -> Result<(Route, Option<ProgressToken>), RouteError> {
    let invalid = |error: BadParams| RouteError::new(codes::INVALID_PARAMS, error.to_string());
    let params = message.params().map_err(invalid)?;
    let find = || route::find_route(endpoint, Era::Legacy, method, &params);
    let mut route = find();
    if route.is_err() && !endpoint.single {
        // The server may still be starting, because a restored session has not waited for it yet. The
        // future is boxed, so that not every request is as large as this wait.
        Box::pin(endpoint.wait_for_lists(Era::Legacy, deadline)).await;
        route = find();
    }
    let mut route = route?;
    route.repair(&params);
    Ok((route, route::progress_token(message, &params)))
}

fn handle_notification(endpoint: &Endpoint, session: &Session, message: &Message) {
    match Notification::parse(message.method()) {
        Some(Notification::Cancelled) => {
            if let Ok(params) = message.params()
                && let Some(id) = params.request_id
            {
                session.cancel_calls(id.raw.as_bytes());
            }
        }
        // The gateway itself has completed the handshake with the servers. It does not count as use of the session:
        // clients that only look whether a server is there send it too.
        Some(Notification::Initialized) => {}
        Some(Notification::RootsListChanged) => {
            notify_own_instances(endpoint, session, &message.repaired_notification());
        }
        // Progress on a question, or an unknown notification, goes to the calls that wait for this client.
        _ => {
            for asker in session.waiting_servers() {
                asker.tell(message.repaired_notification());
            }
        }
    }
}

/// Forwards a notification to the instances that only this session uses now.
fn notify_own_instances(endpoint: &Endpoint, session: &Session, message: &Bytes) {
    let sharing = placement::own_sharing(session.number);
    for pool in endpoint.pools() {
        pool.notify_own_instances(session.number, &sharing, message);
    }
}

type LocalResult = Result<String, (i32, String)>;

async fn set_level(
    sessions: &Sessions,
    endpoint: &Endpoint,
    session: &Session,
    message: &Message,
) -> LocalResult {
    let invalid = |text: String| (codes::INVALID_PARAMS, text);
    let params = message.params().map_err(|error| invalid(error.to_string()))?;
    let field = params.level.ok_or_else(|| invalid("`level` is missing".to_owned()))?;
    let level = LogLevel::parse(field.raw).ok_or_else(|| {
        invalid(format!(
            "{} is not a log level; use debug, info, notice, warning, error, critical, alert or emergency",
            field.raw
        ))
    })?;
    let servers = endpoint.servers.iter();
    let able: Vec<_> = servers.filter(|server| supports_logging(&server.pool)).cloned().collect();
    if able.is_empty() {
        return Err((
            codes::METHOD_NOT_FOUND,
            "no server at this address supports logging".to_owned(),
        ));
    }
    session.set_log_level(level);
    levels::set(sessions, endpoint, session, level);
    sessions.store_level(session, level).await;
    levels::send(sessions, able).await;
    Ok("{}".to_owned())
}
