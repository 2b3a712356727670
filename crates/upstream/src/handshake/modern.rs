//! The handshake with a server of 2026-07-28, and the subscription to its notifications.

use std::sync::Arc;

use mainstay_protocol::discover::{self, Discovered, ServerEra};
use mainstay_protocol::subscriptions::{self, Filter};
use mainstay_protocol::{Message, Method, Revision, build};

use super::ask::{HandshakeError, OURSELVES, ask, own_meta};
use super::lists::{FirstLists, lists};
use crate::exchange::Exchange;
use crate::facts::Facts;
use crate::link::Link;
use crate::request::{Fate, Lost, Outgoing};

/// Sends `server/discover` and fetches all lists.
pub(super) async fn discover(link: &Arc<Link>, first: FirstLists) -> Result<Facts, HandshakeError> {
    link.speak_modern();
    let answer = ask(link, Method::ServerDiscover.as_str(), None).await?;
    let verdict = discover::classify(answer.as_deref().map_err(|error| error.body.as_str()));
    let greeting = match (answer, verdict) {
        (Ok(greeting), ServerEra::Modern(_)) => greeting,
        (Err(error), ServerEra::Modern(versions))
            if versions.contains(Revision::LATEST.as_str()) =>
        {
            return Err(HandshakeError::Protocol(format!("it refused server/discover: {error}")));
        }
        (Err(_), ServerEra::Modern(versions)) => return Err(too_new(&versions)),
        (_, ServerEra::Legacy) => {
            return Err(HandshakeError::NotSpoken(
                "it does not answer server/discover, so it is not modern".to_owned(),
            ));
        }
    };
    let text = String::from_utf8_lossy(&greeting);
    let discovered = Discovered::parse(&text).map_err(|error| {
        HandshakeError::Protocol(format!("its answer to server/discover is {error}"))
    })?;
    let Some(revision) = discovered.revision() else {
        return Err(too_new(&discovered.versions.join(", ")));
    };
    let mut capabilities = discovered.server_capabilities();
    link.transport().settle(link, revision);
    let lists = lists(link, &mut capabilities, first).await?;
    Ok(Facts::new(greeting, revision, capabilities, lists))
}

/// Subscribes to a modern server: the exchange yields first the part of `filter` that the server
/// honours, then its notifications. Dropping the exchange ends the subscription.
///
/// # Errors
/// When the link is of no more use, or has too many calls in flight.
pub fn listen(link: &Arc<Link>, filter: &Filter) -> Result<Exchange, Lost> {
    let params = subscriptions::params(filter, &own_meta());
    let request = build::request(0, Method::SubscriptionsListen.as_str(), Some(&params));
    let request = Message::parse(request)
        .map_err(|error| Lost::new(format!("our listen: {error}"), Fate::Refused, false))?;
    link.call(&Outgoing::plain(&request), OURSELVES)
}

fn too_new(versions: &str) -> HandshakeError {
    HandshakeError::Unserveable(format!(
        "it supports only {versions}; this version of Mainstay serves revisions up to {}",
        Revision::LATEST
    ))
}
