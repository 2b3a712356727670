//! One server listened to on behalf of one client.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_model::{Principal, ServerId};
use mainstay_pool::Pool;
use mainstay_protocol::subscriptions::{self, Filter};
use mainstay_protocol::{Edit, Kind, Message, Notification, build};
use mainstay_upstream::{Incoming, SessionNo};
use tokio::sync::oneshot;

use super::{Listen, Listens};
use crate::session::placement;

/// Listens to a server until the client leaves, and again whenever the server has ended it.
pub(super) struct Relay {
    listen: Arc<Listen>,
    listens: Arc<Listens>,
    server: ServerId,
    principal: Principal,
    owner: SessionNo,
    filter: Filter,
    /// By the server's own URI: what the client calls it.
    published: BTreeMap<String, String>,
    /// Told what is honoured, once.
    acknowledged: Option<oneshot::Sender<Filter>>,
    call_timeout: Duration,
}

/// Between two tries; doubled each time, and back to the first once the server has taken a listen.
const WAIT_MIN: Duration = Duration::from_millis(250);
const WAIT_MAX: Duration = Duration::from_secs(30);

/// How a listen ended.
enum Ended {
    /// It was taken, and has ended or was lost.
    Taken,
    NotTaken,
    /// The server will not have it.
    Refused,
}

// === impl Relay ===

impl Relay {
    /// What it listens for: `uris` by the server's own name and by the client's.
    pub(super) fn new(
        listens: &Arc<Listens>,
        listen: &Arc<Listen>,
        server: ServerId,
        principal: &Principal,
        uris: Vec<(String, String)>,
        others: BTreeMap<String, String>,
    ) -> (Self, oneshot::Receiver<Filter>) {
        let own = uris.iter().map(|(own, _)| own.clone()).collect();
        let (acknowledged, answer) = oneshot::channel();
        let relay = Self {
            listen: listen.clone(),
            listens: listens.clone(),
            server,
            principal: principal.clone(),
            owner: listens.serving.next_session_no(),
            filter: Filter { uris: own, others, ..Filter::default() },
            published: uris.into_iter().collect(),
            acknowledged: Some(acknowledged),
            call_timeout: listens.serving.settings.limits.call,
        };
        (relay, answer)
    }

    pub(super) async fn run(mut self) {
        let mut wait = WAIT_MIN;
        loop {
            // A server that was changed has another pool, and one that was taken away has none.
            let directory = self.listens.directory.clone();
            let Some(pool) = directory.pool(self.server) else { return };
            let server = self.server;
            let ended = tokio::select! {
                ended = self.listen_once(&pool) => ended,
                () = directory.runs_elsewhere(server, &pool) => Ended::Taken,
            };
            match ended {
                Ended::Taken => wait = WAIT_MIN,
                Ended::NotTaken => {}
                // It is not honoured, and the client is told so.
                Ended::Refused if self.acknowledged.is_some() => return,
                // It was once, and the client relies on it.
                Ended::Refused => {}
            }
            let (server, request_id) = (&pool.spec.name, &self.listen.request_id);
            let wait_ms = wait.as_millis() as u64;
            tracing::debug!(
                target: "mainstay", %request_id, %server, wait_ms,
                "a server is not listened to now; it is asked again"
            );
            drop(pool);
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(WAIT_MAX);
        }
    }

    async fn listen_once(&mut self, pool: &Arc<Pool>) -> Ended {
        let deadline = Instant::now() + self.call_timeout;
        let want = placement::of_stateless(&self.principal, self.owner, pool);
        let Ok(permit) = pool.acquire(&want, deadline).await else {
            return Ended::NotTaken;
        };
        let Ok(mut exchange) = permit.listen(&self.filter) else {
            return Ended::NotTaken;
        };
        let mut taken = false;
        loop {
            match exchange.next().await {
                Incoming::Notification(notification) => {
                    taken |= self.on_notification(&notification);
                }
                Incoming::Question(question) => exchange.refuse(&question),
                Incoming::Answer(answer) if answer.kind() == Kind::Error && !taken => {
                    return Ended::Refused;
                }
                Incoming::Answer(_) | Incoming::Lost(_) => {
                    return if taken { Ended::Taken } else { Ended::NotTaken };
                }
            }
        }
    }

    /// Whether it was the acknowledgement.
    fn on_notification(&mut self, notification: &Message) -> bool {
        if notification.method() == Notification::SubscriptionsAcknowledged.as_str() {
            self.on_acknowledged(notification);
            return true;
        }
        // Changes of lists are told by the gateway, once it has fetched them.
        if subscriptions::is_list_changed(notification) {
            return false;
        }
        let marked = subscriptions::with_subscription(notification, &self.listen.id);
        self.listen.say(&self.renamed(&marked).unwrap_or(marked));
        false
    }

    /// The first time the client is told what is honoured. Later it is told that all may have
    /// changed meanwhile.
    fn on_acknowledged(&mut self, notification: &Message) {
        match self.acknowledged.take() {
            Some(acknowledged) => drop(acknowledged.send(self.granted(notification))),
            None => {
                for uri in self.published.values() {
                    self.listen.say(&subscriptions::resource_updated(&self.listen.id, uri));
                }
            }
        }
    }

    fn granted(&self, notification: &Message) -> Filter {
        let params = notification.params().ok();
        let field = params.and_then(|params| params.notifications);
        let said = field.and_then(|field| Filter::parse(field.raw).ok()).unwrap_or_default();
        let uris = said.uris.iter().filter_map(|own| self.published.get(own).cloned()).collect();
        Filter { uris, others: said.others, ..Filter::default() }
    }

    /// With the URI that the client knows; none if that is the server's own.
    fn renamed(&self, marked: &bytes::Bytes) -> Option<bytes::Bytes> {
        let message = Message::parse(marked.clone()).ok()?;
        let uri = message.params().ok()?.uri?;
        let own = uri.text()?;
        let published = self.published.get(&*own).filter(|published| **published != *own)?;
        let with = build::string(published);
        Some(mainstay_protocol::edit::splice(marked, &mut [Edit::new(uri.span, with.as_bytes())]))
    }
}
