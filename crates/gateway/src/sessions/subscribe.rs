//! Subscriptions to resources.
//!
//! The instance that the session's calls go to holds the subscription, so that it notices what
//! these calls change. A server gets a request for the first and the last subscriber of each URI
//! only, one after the other; a second subscriber gets the result of the first.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_model::{Refusal, RefusalCode, ServerId};
use mainstay_pool::{LeaseMode, Permit, Placement, Pool};
use mainstay_protocol::{Era, Id, Message, Method, build, codes};
use mainstay_upstream::SessionNo;

use super::Sessions;
use crate::answer::{self, HttpAnswer};
use crate::endpoint::route::Route;
use crate::session::subscription_locks::SubscriptionLocks;
use crate::session::{Session, placement};

/// Longest wait for `unsubscribe` of a session that has ended.
const UNSUBSCRIBE_DEADLINE: Duration = Duration::from_secs(10);

/// Answers `resources/subscribe`.
pub(crate) async fn subscribe(
    sessions: &Arc<Sessions>,
    session: &Arc<Session>,
    route: &Route,
    message: &Message,
    id: &Id,
) -> HttpAnswer {
    let Some(uri) = server_uri(route, message) else { return missing_uri(id) };
    if !session.may_subscribe(&uri) {
        let refusal =
            Refusal::new(RefusalCode::LimitExceeded, "the session has too many subscriptions")
                .limit("subscriptions: 1000, with 64 KiB of URIs")
                .hint("unsubscribe from what is no longer needed");
        return answer::message(answer::refusal(Some(id), &refusal));
    }
    let permit = match subscription_permit(sessions, session, &route.pool).await {
        Ok(permit) => permit,
        Err(refusal) => return answer::message(answer::refusal(Some(id), &refusal)),
    };
    // The request continues even if the client goes away, so that it is always known whether the server has
    // the subscription.
    let (own_sessions, own_session, server) = (sessions.clone(), session.clone(), route.server);
    let asked = sessions.serving.tasks.spawn(async move {
        // A session that has ended meanwhile needs no subscription.
        let wanted = || own_session.add_subscription(server, &uri);
        let told = subscribe_at(&own_sessions, &own_session, server, &permit, &uri, wanted).await;
        if told.is_ok() && own_session.is_subscribed(server, &uri) {
            own_sessions.store_subscription(&own_session, server, &uri, true).await;
        }
        told
    });
    match asked.await {
        Ok(Err(error)) => answer::message(build::error(Some(id), &error)),
        Ok(Ok(())) => answer::message(build::result(id, "{}")),
        Err(_) => answer::message(build::failure(
            Some(id),
            codes::INTERNAL_ERROR,
            "the subscription was aborted; subscribe again",
        )),
    }
}

/// Subscribes a session at an instance, if `wanted` holds when its turn comes. The error is the
/// server's, to this session or to another that asked for the same just before.
async fn subscribe_at(
    sessions: &Sessions,
    session: &Session,
    server: ServerId,
    permit: &Permit,
    uri: &str,
    wanted: impl Fn() -> bool,
) -> Result<(), String> {
    let instance = permit.instance();
    let turn = sessions.subscription_locks.take(instance.id, uri).await;
    if let Some(error) = turn.refused_meanwhile() {
        return Err(error);
    }
    if wanted() && instance.subscribe(uri, session.number) {
        let told = send(permit, Method::ResourcesSubscribe, uri);
        // An instance that is lost meanwhile is asked again when it is back.
        if let Ok(Err(error)) =
            tokio::time::timeout(sessions.serving.settings().limits.call, told).await
        {
            session.remove_subscription(server, uri);
            instance.unsubscribe(uri, session.number);
            turn.refuse(&error);
            return Err(error);
        }
    }
    Ok(())
}

/// Restores a subscription of a session. Returns whether there was a server to ask.
pub(crate) async fn resubscribe(
    sessions: &Sessions,
    session: &Session,
    (server, pool): (ServerId, &Arc<Pool>),
    uri: &str,
) -> bool {
    let permit = match subscription_permit(sessions, session, pool).await {
        Ok(permit) => permit,
        Err(refusal) => {
            tracing::debug!(server = %pool.name, %refusal, "a subscription can't be restored yet");
            return false;
        }
    };
    // The session may have ended meanwhile or have unsubscribed.
    let wanted = || session.is_subscribed(server, uri);
    if let Err(error) = subscribe_at(sessions, session, server, &permit, uri, wanted).await {
        tracing::debug!(server = %pool.name, error, "server refuses a restored subscription");
        session.remove_subscription(server, uri);
        sessions.store_subscription(session, server, uri, false).await;
    }
    true
}

/// Answers `resources/unsubscribe`.
pub(crate) async fn unsubscribe(
    sessions: &Sessions,
    session: &Session,
    route: &Route,
    message: &Message,
    id: &Id,
) -> HttpAnswer {
    let Some(uri) = server_uri(route, message) else { return missing_uri(id) };
    session.remove_subscription(route.server, &uri);
    sessions.store_subscription(session, route.server, &uri, false).await;
    let within = sessions.serving.settings().limits.call;
    let (turns, owner, pool) =
        (sessions.subscription_locks.clone(), session.number, route.pool.clone());
    let told = sessions
        .serving
        .tasks
        .spawn(async move { unsubscribe_everywhere(&turns, owner, &pool, &uri, within).await });
    match tokio::time::timeout(within, told).await {
        Ok(Ok(Err(error))) => answer::message(build::error(Some(id), &error)),
        Ok(_) | Err(_) => answer::message(build::result(id, "{}")),
    }
}

/// Removes the subscriptions of a session that has ended from their servers.
pub(crate) fn unsubscribe_all(
    sessions: &Sessions,
    session: &Arc<Session>,
    uris: Vec<(ServerId, Box<str>)>,
) {
    let held =
        uris.into_iter().filter_map(|(server, uri)| Some((sessions.directory.pool(server)?, uri)));
    let held: Vec<_> = held.collect();
    if held.is_empty() {
        return;
    }
    let (turns, session) = (sessions.subscription_locks.clone(), session.clone());
    sessions.serving.tasks.spawn(async move {
        for (pool, uri) in held {
            let _ =
                unsubscribe_everywhere(&turns, session.number, &pool, &uri, UNSUBSCRIBE_DEADLINE)
                    .await;
        }
    });
}

/// Removes a session's subscription from all instances that hold it. Each has `within` to answer.
/// Returns the first error once all were asked.
async fn unsubscribe_everywhere(
    turns: &Arc<SubscriptionLocks>,
    owner: SessionNo,
    pool: &Pool,
    uri: &str,
    within: Duration,
) -> Result<(), String> {
    let mut outcome = Ok(());
    for instance in pool.instances() {
        let _turn = turns.take(instance.id, uri).await;
        if instance.unsubscribe(uri, owner)
            && let Some(permit) = pool.permit_for(&instance)
        {
            let told = send(&permit, Method::ResourcesUnsubscribe, uri);
            let told = tokio::time::timeout(within, told).await;
            outcome = outcome.and(told.unwrap_or(Ok(())));
        }
    }
    outcome
}

/// Sends a request for a URI. The error is the JSON that the server wrote; a lost request is no
/// error.
async fn send(permit: &Permit, method: Method, uri: &str) -> Result<(), String> {
    let params = format!(r#"{{"uri":{uri}}}"#);
    match permit.ask(method.as_str(), Some(&params)).await {
        Ok(Err(error)) => Err(error.body),
        Ok(Ok(_)) | Err(_) => Ok(()),
    }
}

/// Acquires a permit for the instance that the session's calls go to. Where each call has an
/// instance of its own, acquires the base instance.
async fn subscription_permit(
    sessions: &Sessions,
    session: &Session,
    pool: &Arc<Pool>,
) -> Result<Permit, Refusal> {
    let deadline = Instant::now() + sessions.serving.settings().limits.call;
    if placement::for_session(session, pool).mode == LeaseMode::Once {
        let base = Placement::base(Era::Legacy, session.number);
        return pool.acquire(&base, deadline).await;
    }
    placement::acquire(session, pool, deadline).await
}

/// Returns the JSON text of the server's own URI, with no more escapes than needed: servers repeat
/// a URI in their own spelling.
fn server_uri(route: &Route, message: &Message) -> Option<String> {
    let uri = message.params().ok()?.uri?;
    match route.edits.iter().find(|(span, _)| *span == uri.span) {
        Some((_, own)) => String::from_utf8(own.to_vec()).ok(),
        None => Some(build::string(&uri.text()?)),
    }
}

fn missing_uri(id: &Id) -> HttpAnswer {
    answer::message(build::failure(Some(id), codes::INVALID_PARAMS, "`uri` must be a string"))
}
