//! Listens to one server on behalf of one client.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_model::{Principal, Refusal, RefusalCode, ServerId};
use mainstay_pool::Pool;
use mainstay_protocol::subscriptions::{self, Filter};
use mainstay_protocol::{Edit, Kind, Message, Notification, build};
use mainstay_upstream::{Incoming, SessionNo};
use tokio::sync::oneshot;

use super::{ListenStream, ListenStreams};
use crate::session::placement;

/// Listens to a server until the client leaves, and again whenever the server ends the listen.
pub(super) struct Relay {
    listen: Arc<ListenStream>,
    listens: Arc<ListenStreams>,
    server: ServerId,
    principal: Principal,
    owner: SessionNo,
    filter: Filter,
    /// The client's URIs by the server's own.
    published: BTreeMap<String, String>,
    /// Receives what the server grants, or why nothing reaches the server now, once.
    acknowledged: Option<oneshot::Sender<Result<Filter, Refusal>>>,
    call_timeout: Duration,
}

/// Waits between two attempts: doubled each time, and reset once the server has acknowledged a
/// listen.
const WAIT_MIN: Duration = Duration::from_millis(250);
const WAIT_MAX: Duration = Duration::from_secs(30);

/// How a listen ended.
enum ListenEnd {
    /// The server acknowledged the listen, which has ended or was lost since.
    Taken,
    NotTaken,
    /// The server refused the listen.
    Refused,
    /// The client was told that the subscription is not honoured.
    Dropped,
}

// === impl Relay ===

impl Relay {
    /// Creates a relay. `uris` are pairs of the server's own URI and the client's.
    pub(super) fn new(
        listens: &Arc<ListenStreams>,
        listen: &Arc<ListenStream>,
        server: ServerId,
        principal: &Principal,
        uris: Vec<(String, String)>,
        others: BTreeMap<String, String>,
    ) -> (Self, oneshot::Receiver<Result<Filter, Refusal>>) {
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
            call_timeout: listens.serving.settings().limits.call,
        };
        (relay, answer)
    }

    pub(super) async fn run(mut self) {
        let mut wait = WAIT_MIN;
        loop {
            // A server that was changed has another pool, and a server that was removed has none.
            let directory = self.listens.directory.clone();
            let Some(pool) = directory.pool(self.server) else { return };
            let server = self.server;
            let ended = tokio::select! {
                ended = self.listen_once(&pool) => ended,
                () = directory.wait_until_replaced(server, &pool) => ListenEnd::Taken,
            };
            match ended {
                ListenEnd::Taken => wait = WAIT_MIN,
                ListenEnd::NotTaken => {}
                ListenEnd::Dropped => return,
                // The subscription is not honoured, and the client is told so.
                ListenEnd::Refused if self.acknowledged.is_some() => return,
                // The subscription was honoured once, and the client relies on it.
                ListenEnd::Refused => {}
            }
            let (server, request_id) = (&pool.name, &self.listen.request_id);
            let wait_ms = wait.as_millis() as u64;
            tracing::debug!(
                target: "mainstay", %request_id, %server, wait_ms,
                "listen at a server has ended; trying again"
            );
            drop(pool);
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(WAIT_MAX);
        }
    }

    async fn listen_once(&mut self, pool: &Arc<Pool>) -> ListenEnd {
        let deadline = Instant::now() + self.call_timeout;
        let placement = placement::for_stateless(&self.principal, self.owner, pool);
        let permit = match pool.acquire(&placement, deadline).await {
            Ok(permit) => permit,
            Err(refusal) => return self.on_refusal(refusal),
        };
        let Ok(mut exchange) = permit.listen(&self.filter) else {
            return ListenEnd::NotTaken;
        };
        let mut taken = false;
        loop {
            match exchange.next().await {
                Incoming::Notification(notification) => {
                    taken |= self.on_notification(&notification);
                }
                Incoming::Question(question) => exchange.refuse(&question),
                Incoming::Answer(answer) if answer.kind() == Kind::Error && !taken => {
                    return ListenEnd::Refused;
                }
                Incoming::Answer(_) | Incoming::Lost(_) => {
                    return if taken { ListenEnd::Taken } else { ListenEnd::NotTaken };
                }
            }
        }
    }

    /// Handles that the server can't be asked. An open breaker holds for longer than the client waits.
    fn on_refusal(&mut self, refusal: Refusal) -> ListenEnd {
        if refusal.code != RefusalCode::BreakerOpen {
            return ListenEnd::NotTaken;
        }
        match self.acknowledged.take_if(|client| !client.is_closed()) {
            Some(client) => {
                drop(client.send(Err(refusal)));
                ListenEnd::Dropped
            }
            None => ListenEnd::NotTaken,
        }
    }

    /// Forwards a notification. Returns whether it was the acknowledgement.
    fn on_notification(&mut self, notification: &Message) -> bool {
        if notification.method() == Notification::SubscriptionsAcknowledged.as_str() {
            self.on_acknowledgement(notification);
            return true;
        }
        // The gateway itself notifies of changed lists, after it has fetched them.
        if subscriptions::is_list_changed(notification) {
            return false;
        }
        let marked = subscriptions::with_subscription(notification, &self.listen.id);
        self.listen.send(&self.with_published_uri(&marked).unwrap_or(marked));
        false
    }

    /// Passes on what the server grants, the first time. Later notifies the client that all its
    /// resources may have changed meanwhile.
    fn on_acknowledgement(&mut self, notification: &Message) {
        match self.acknowledged.take() {
            Some(acknowledged) => drop(acknowledged.send(Ok(self.granted(notification)))),
            None => {
                for uri in self.published.values() {
                    self.listen.send(&subscriptions::resource_updated(&self.listen.id, uri));
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

    /// Replaces the server's own URI with the client's. None: they are the same.
    fn with_published_uri(&self, marked: &bytes::Bytes) -> Option<bytes::Bytes> {
        let message = Message::parse(marked.clone()).ok()?;
        let uri = message.params().ok()?.uri?;
        let own = uri.text()?;
        let published = self.published.get(&*own).filter(|published| **published != *own)?;
        let with = build::string(published);
        Some(mainstay_protocol::edit::splice(marked, &mut [Edit::new(uri.span, with.as_bytes())]))
    }
}
