//! What a modern server says of its own accord about its lists: it has to be listened to for that.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_protocol::subscriptions::Filter;
use mainstay_protocol::{Era, Kind, Message, Method, Notification, codes};
use mainstay_upstream::handshake::{self, HandshakeError};
use mainstay_upstream::{Exchange, Incoming, Link, Listener};

use super::{ListChange, Run, RunListener};
use crate::instance::ReadyRun;

/// Between two listens; doubled each time, up to the second.
const WAIT_MIN: Duration = Duration::from_millis(250);
const WAIT_MAX: Duration = Duration::from_secs(60);
/// A listen that lasted this long was no failure.
const LASTED: Duration = Duration::from_secs(10);
/// Without a listen, between two questions whether the server is still there, and for the answer.
const ASK_EVERY: Duration = Duration::from_secs(10);
const ASK_DEADLINE: Duration = Duration::from_secs(10);

/// How a listen ended.
enum ListenEnd {
    /// It may be tried again.
    Over,
    /// The server has none.
    NotOffered,
}

impl Run {
    /// Listens for changes of lists as long as the run goes on, where there are any to be heard of.
    /// Never comes back.
    pub(super) async fn listen(&self, link: &Arc<Link>, run: &ReadyRun, listener: &RunListener) {
        if link.era() == Era::Modern && self.instance.supplies_lists() {
            let mut wait = WAIT_MIN;
            loop {
                let facts = run.facts.load_full();
                let filter = Filter {
                    tools: facts.capabilities.tools_list_changed,
                    prompts: facts.capabilities.prompts_list_changed,
                    resources: facts.capabilities.resources_list_changed,
                    ..Filter::default()
                };
                if filter == Filter::default() {
                    break;
                }
                let begun = Instant::now();
                let ended = match handshake::listen(link, &filter) {
                    Ok(exchange) => follow(exchange, run, listener).await,
                    Err(_) => ListenEnd::Over,
                };
                run.subscribed.store(None);
                if let ListenEnd::NotOffered = ended {
                    break;
                }
                if begun.elapsed() >= LASTED {
                    wait = WAIT_MIN;
                }
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(WAIT_MAX);
            }
        }
        if link.era() == Era::Modern && !link.abilities().notices_end {
            check_alive(link).await;
        }
        std::future::pending::<()>().await;
    }
}

/// Where no stream stands whose end would be noticed, a remote server is asked whether it is still
/// there.
async fn check_alive(link: &Arc<Link>) {
    loop {
        tokio::time::sleep(ASK_EVERY).await;
        let asked = handshake::ask(link, Method::ServerDiscover.as_str(), None);
        match tokio::time::timeout(ASK_DEADLINE, asked).await {
            Ok(Err(HandshakeError::Lost(reason))) => return link.close(&reason),
            // Any answer is a sign of run.
            Ok(_) => {}
            Err(_) => {
                return link
                    .close(&format!("no answer to server/discover within {ASK_DEADLINE:?}"));
            }
        }
    }
}

/// Hears one listen to its end.
async fn follow(mut exchange: Exchange, run: &ReadyRun, listener: &RunListener) -> ListenEnd {
    loop {
        match exchange.next().await {
            Incoming::Notification(notification) => {
                if notification.method() == Notification::SubscriptionsAcknowledged.as_str() {
                    let honoured = honoured(&notification);
                    // What changed while nobody listened.
                    listener.mark(&crate::instance::kinds_of(&honoured), ListChange::Possible);
                    run.subscribed.store(Some(Arc::new(honoured)));
                } else {
                    listener.notification(notification);
                }
            }
            Incoming::Question(question) => exchange.refuse(&question),
            Incoming::Answer(answer) if answer.kind() == Kind::Error => {
                tracing::debug!(error = answer.body(), "a server refuses to be listened to");
                return match answer.error_code() {
                    Some(codes::METHOD_NOT_FOUND) => ListenEnd::NotOffered,
                    _ => ListenEnd::Over,
                };
            }
            Incoming::Answer(_) | Incoming::Lost(_) => return ListenEnd::Over,
        }
    }
}

fn honoured(acknowledged: &Message) -> Filter {
    let said = acknowledged.params().ok().and_then(|params| params.notifications);
    said.and_then(|said| Filter::parse(said.raw).ok()).unwrap_or_default()
}
