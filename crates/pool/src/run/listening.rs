//! The subscription to list changes of a modern server.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_protocol::subscriptions::Filter;
use mainstay_protocol::{Era, Kind, Message, Notification, codes};
use mainstay_upstream::handshake;
use mainstay_upstream::{Exchange, Incoming, Link, Listener};

use super::{Run, RunListener};
use crate::instance::ReadyRun;

/// The wait before the next `subscriptions/listen`. It doubles each time, up to [`WAIT_MAX`].
const WAIT_MIN: Duration = Duration::from_millis(250);
const WAIT_MAX: Duration = Duration::from_secs(60);
/// A subscription that lasted this long resets the wait.
const LASTED: Duration = Duration::from_secs(10);
/// How a subscription ended.
enum ListenEnd {
    /// It can be opened again.
    Over,
    /// The server does not support subscriptions.
    NotOffered,
}

impl Run {
    /// Keeps a subscription to list changes open during the run, if the server announces any. Never
    /// returns.
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
        std::future::pending::<()>().await;
    }
}

/// Handles the messages of a subscription until it ends.
async fn follow(mut exchange: Exchange, run: &ReadyRun, listener: &RunListener) -> ListenEnd {
    loop {
        match exchange.next().await {
            Incoming::Notification(notification) => {
                if notification.method() == Notification::SubscriptionsAcknowledged.as_str() {
                    let honoured = honoured(&notification);
                    // Changes while there was no subscription were missed.
                    listener.refreshes.mark(&crate::instance::kinds_of(&honoured));
                    run.subscribed.store(Some(Arc::new(honoured)));
                } else {
                    listener.notification(notification);
                }
            }
            Incoming::Question(question) => exchange.refuse(&question),
            Incoming::Answer(answer) if answer.kind() == Kind::Error => {
                tracing::debug!(error = answer.body(), "server refused subscriptions/listen");
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
