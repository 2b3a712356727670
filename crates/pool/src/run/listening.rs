//! The subscription to list changes of a modern server.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_protocol::subscriptions::Filter;
use mainstay_protocol::{Era, Kind, Message, Notification, codes};
use mainstay_supervisor::backoff::{Backoff, Jitter};
use mainstay_upstream::handshake;
use mainstay_upstream::{Exchange, Incoming, Link, Listener};

use super::{Run, RunListener};
use crate::instance::ReadyRun;

/// The wait before the next `subscriptions/listen`. It doubles each time, up to [`WAIT_MAX`].
const WAIT_MIN: Duration = Duration::from_millis(250);
const WAIT_MAX: Duration = Duration::from_secs(60);
/// A subscription that lasted this long resets the wait.
const LASTED: Duration = Duration::from_secs(10);
/// The time between two liveness checks of a server without a subscription. It doubles each time: a call
/// finds out itself that its server is gone.
const ASK_AFTER_MIN: Duration = Duration::from_secs(10);
const ASK_AFTER_MAX: Duration = Duration::from_secs(180);
/// The limit for the answer.
const ASK_DEADLINE: Duration = Duration::from_secs(10);

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
        if link.era() == Era::Modern && !link.abilities().notices_end {
            self.check_alive(link).await;
        }
        std::future::pending::<()>().await;
    }

    /// Checks regularly whether a remote server is still alive, because no open stream would show its loss.
    async fn check_alive(&self, link: &Arc<Link>) {
        let backoff = Backoff::try_new(ASK_AFTER_MIN, ASK_AFTER_MAX).unwrap_or_default();
        // Instances of one daemon do not ask at the same moment.
        let mut jitter = Jitter::seeded(self.instance.id.0);
        for asked in 0.. {
            tokio::time::sleep(jitter.scatter(backoff.wait(asked))).await;
            match tokio::time::timeout(ASK_DEADLINE, handshake::sign_of_life(link)).await {
                Ok(Ok(())) => {}
                Ok(Err(reason)) => return link.close(&reason),
                Err(_) => {
                    return link
                        .close(&format!("no answer to server/discover within {ASK_DEADLINE:?}"));
                }
            }
        }
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
