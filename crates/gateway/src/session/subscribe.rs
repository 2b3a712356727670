//! Subscriptions to resources: held by the instance that the session's calls go to, so that what is
//! changed by a call is told of. A server hears of the first and the last subscriber of each URI.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_model::{Refusal, RefusalCode};
use mainstay_pool::{Permit, Pool, Use, Want};
use mainstay_protocol::{Generation, Id, Message, Method, build, codes};

use crate::answer::{self, HttpAnswer};
use crate::call::placement;
use crate::call::route::Route;
use crate::gateway::Gateway;
use crate::pipeline;
use crate::session::Session;

/// How long a server may take to forget a subscription that nobody waits for.
const FORGET_DEADLINE: Duration = Duration::from_secs(10);

/// Answers `resources/subscribe`.
pub(crate) async fn subscribe(
    gateway: &Gateway,
    session: &Session,
    route: &Route,
    message: &Message,
    id: &Id,
) -> HttpAnswer {
    let Some(uri) = own_uri(route, message) else { return no_uri(id) };
    if !session.may_subscribe(&uri) {
        let refusal =
            Refusal::new(RefusalCode::LimitExceeded, "the session has too many subscriptions")
                .limit("subscriptions: 1000, with 64 KiB of URIs")
                .hint("unsubscribe from what is no longer needed");
        return answer::message(pipeline::refuse(Some(id), &refusal));
    }
    let permit = match holder(gateway, session, &route.pool).await {
        Ok(permit) => permit,
        Err(refusal) => return answer::message(pipeline::refuse(Some(id), &refusal)),
    };
    session.subscribed(route.server, &uri);
    let instance = permit.instance().clone();
    if !instance.subscribe(&uri, session.owner) {
        gateway.keep_subscription(session, route.server, &uri, true).await;
        return answer::message(build::result(id, "{}"));
    }
    let deadline = gateway.settings.limits.call;
    match tokio::time::timeout(deadline, tell(&permit, Method::ResourcesSubscribe, &uri)).await {
        Ok(Err(error)) => {
            session.unsubscribed(route.server, &uri);
            instance.unsubscribe(&uri, session.owner);
            answer::message(build::error(Some(id), &error))
        }
        // One that is lost meanwhile is asked again when it is back.
        Ok(Ok(())) | Err(_) => {
            gateway.keep_subscription(session, route.server, &uri, true).await;
            answer::message(build::result(id, "{}"))
        }
    }
}

/// Subscribes again for a session of an earlier daemon; whether there was a server to ask.
pub(crate) async fn again(gateway: &Gateway, session: &Session, server: usize, uri: &str) -> bool {
    let pool = &session.endpoint.servers[server];
    let permit = match holder(gateway, session, pool).await {
        Ok(permit) => permit,
        Err(refusal) => {
            tracing::debug!(server = %pool.spec.name, %refusal, "a subscription can't be restored yet");
            return false;
        }
    };
    let deadline = gateway.settings.limits.call;
    let instance = permit.instance().clone();
    if instance.subscribe(uri, session.owner)
        && let Ok(Err(error)) =
            tokio::time::timeout(deadline, tell(&permit, Method::ResourcesSubscribe, uri)).await
    {
        tracing::debug!(server = %pool.spec.name, error, "server refuses a restored subscription");
        session.unsubscribed(server, uri);
        instance.unsubscribe(uri, session.owner);
        gateway.keep_subscription(session, server, uri, false).await;
    }
    if !session.is_subscribed(server, uri) {
        // The session ended meanwhile, or thought better of it.
        let _ = tokio::time::timeout(FORGET_DEADLINE, forget(session, pool, uri)).await;
    }
    true
}

/// Answers `resources/unsubscribe`.
pub(crate) async fn unsubscribe(
    gateway: &Gateway,
    session: &Session,
    route: &Route,
    message: &Message,
    id: &Id,
) -> HttpAnswer {
    let Some(uri) = own_uri(route, message) else { return no_uri(id) };
    session.unsubscribed(route.server, &uri);
    gateway.keep_subscription(session, route.server, &uri, false).await;
    let deadline = gateway.settings.limits.call;
    let told = tokio::time::timeout(deadline, forget(session, &route.pool, &uri)).await;
    match told {
        Ok(Err(error)) => answer::message(build::error(Some(id), &error)),
        Ok(Ok(())) | Err(_) => answer::message(build::result(id, "{}")),
    }
}

/// Forgets what a session that has ended subscribed to.
pub(crate) fn forget_all(gateway: &Gateway, session: &Arc<Session>, uris: Vec<(usize, Box<str>)>) {
    if uris.is_empty() {
        return;
    }
    let session = session.clone();
    gateway.tasks.spawn(async move {
        for (server, uri) in uris {
            let pool = &session.endpoint.servers[server];
            let _ = tokio::time::timeout(FORGET_DEADLINE, forget(&session, pool, &uri)).await;
        }
    });
}

/// Takes a session's subscription from whichever instance holds it.
async fn forget(session: &Session, pool: &Pool, uri: &str) -> Result<(), String> {
    for instance in pool.instances() {
        if instance.unsubscribe(uri, session.owner)
            && let Some(permit) = pool.reach(&instance)
        {
            tell(&permit, Method::ResourcesUnsubscribe, uri).await?;
        }
    }
    Ok(())
}

/// The error as the server wrote it, if it wrote one.
async fn tell(permit: &Permit, method: Method, uri: &str) -> Result<(), String> {
    let params = format!(r#"{{"uri":{uri}}}"#);
    match permit.ask(method.as_str(), Some(&params)).await {
        Ok(Err(error)) => Err(error),
        Ok(Ok(_)) | Err(_) => Ok(()),
    }
}

/// A permit for the instance that the session's calls go to; where each call has one of its own, for
/// the one that all share.
async fn holder(gateway: &Gateway, session: &Session, pool: &Arc<Pool>) -> Result<Permit, Refusal> {
    let deadline = Instant::now() + gateway.settings.limits.call;
    if placement::of(session, pool).usage == Use::Once {
        let base = Want::base(Generation::Legacy, session.owner);
        return pool.acquire(&base, deadline).await;
    }
    placement::acquire(session, pool, deadline).await
}

/// The JSON text of the URI as the server knows it, with no more escapes than it needs: servers
/// repeat a URI in their own spelling.
fn own_uri(route: &Route, message: &Message) -> Option<String> {
    let uri = message.params().ok()?.uri?;
    match route.edits.first() {
        Some((_, own)) => String::from_utf8(own.to_vec()).ok(),
        None => Some(build::string(&uri.text()?)),
    }
}

fn no_uri(id: &Id) -> HttpAnswer {
    answer::message(build::failure(Some(id), codes::INVALID_PARAMS, "`uri` must be a string"))
}
