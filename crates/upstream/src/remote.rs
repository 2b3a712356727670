//! Servers over streamable HTTP: every request is an HTTP exchange of its own.
//!
//! The task of a call drives the connection itself: there is no task switch, and everything that
//! the server sends on the exchange belongs to the call.

pub(crate) mod coding;
mod connection;
mod cookies;
mod deliveries;

mod events;
mod exchange;
mod gone;
mod post;
mod proxy;
mod redirect;
mod refused;
mod renewals;
mod retry;
mod retry_after;
mod session;
pub mod sse;
mod standing;
mod target;
pub(crate) mod words;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request};
use http_body_util::Full;
use mainstay_model::MemoryKind;
use mainstay_protocol::edit::splice;
use mainstay_protocol::{Era, Message, Revision, headers};
use mainstay_telemetry::Dropped;
use tokio_util::sync::CancellationToken;

use self::connection::Idle;
use self::deliveries::Deliveries;
use self::exchange::RemoteExchange;
pub use self::post::{NotPosted, post_json};
pub(crate) use self::session::HttpSession;
pub(crate) use self::target::KnownTransport;
pub use self::target::{InvalidTarget, Target};
use crate::link::{Link, LinkLimits};
use crate::listener::Listener;
use crate::request::{Lost, Outgoing};
use crate::transport::{Boxed, Call, OwnExchange, Transport, TransportAbilities};

/// The sending side of a link over streamable HTTP.
#[derive(Debug)]
pub(crate) struct Remote {
    session: Arc<HttpSession>,
    deliveries: Arc<Deliveries>,
    stop: CancellationToken,
    /// Cancelled when the request for the first standing stream has been answered or has failed.
    standing_answered: CancellationToken,
}

/// Deadline for delivering a notification or an answer of Mainstay.
const SEND_DEADLINE: Duration = Duration::from_secs(10);
/// Longest wait of a handshake for the response to the standing stream's GET. Some servers send it
/// only with the first event.
const STANDING_ANSWER_DEADLINE: Duration = Duration::from_secs(1);
/// Deadline for ending the session at a server.
const GOODBYE_DEADLINE: Duration = Duration::from_secs(2);

/// The abilities of streamable HTTP.
pub(crate) const ABILITIES: TransportAbilities = TransportAbilities {
    name: "streamable HTTP",
    calls_apart: true,
    ending_cancels: true,
    mirrors_arguments: true,
    speaks_modern: true,
};

/// Opens a link to `target`. Nothing is sent before the first call.
pub fn open(
    target: Arc<Target>,
    limits: LinkLimits,
    listener: Arc<dyn Listener>,
    stop: CancellationToken,
) -> Arc<Link> {
    open_known(target, limits, listener, stop).0
}

/// Opens a link to `target`, and returns the HTTP session with it.
pub(crate) fn open_known(
    target: Arc<Target>,
    limits: LinkLimits,
    listener: Arc<dyn Listener>,
    stop: CancellationToken,
) -> (Arc<Link>, Arc<HttpSession>) {
    let session = Arc::new(HttpSession::new(target, limits));
    session.tasks.spawn(Idle::prune(Arc::downgrade(&session.idle), stop.clone()));
    let deliveries = Deliveries::new(limits.unread_bytes_max);
    let standing_answered = CancellationToken::new();
    let remote = Remote { session: session.clone(), deliveries, stop, standing_answered };
    (Arc::new(Link::new(limits, listener, Arc::new(remote))), session)
}

// === impl Remote ===

impl Remote {
    fn exchange(&self, request: &Outgoing<'_>, id: &[u8], modern: bool) -> RemoteExchange {
        let body = splice(request.message.bytes(), &mut request.edits(id));
        let body = self.session.limits.budget.hold_over(MemoryKind::Bodies, body);
        let mut post = self.session.post(body.clone());
        if modern {
            mirror(request, &mut post);
        }
        RemoteExchange::new(&self.session, post, body, modern)
    }

    /// Delivers a notification or an answer. Completes when the server has acknowledged the
    /// message, or after [`SEND_DEADLINE`].
    fn delivery(
        &self,
        link: &Arc<Link>,
        message: Bytes,
    ) -> impl Future<Output = ()> + Send + use<> {
        let request = self.session.post(message);
        let session = self.session.clone();
        let link = Arc::downgrade(link);
        let stop = self.stop.clone();
        async move {
            let sent = tokio::time::timeout(SEND_DEADLINE, connection::send(&session, request));
            let sent = tokio::select! {
                () = stop.cancelled() => return,
                sent = sent => sent,
            };
            if let (Some(link), Ok(Err(_)) | Err(_)) = (link.upgrade(), sent) {
                link.listener().dropped(Dropped::NotDelivered);
            }
        }
    }

    /// Ends the session at the server, then everything here.
    async fn take_leave(&self) {
        let session = &self.session;
        if session.has_session() && !self.stop.is_cancelled() {
            let request = session.request(Method::DELETE, Bytes::new());
            let goodbye = connection::send(session, request);
            let _ = tokio::time::timeout(GOODBYE_DEADLINE, goodbye).await;
        }
        self.stop.cancel();
        session.tasks.close();
        session.tasks.wait().await;
    }
}

impl Transport<Link> for Remote {
    fn abilities(&self) -> &'static TransportAbilities {
        &ABILITIES
    }

    fn call(&self, call: &Call<'_>) -> Result<Option<Box<dyn OwnExchange<Link>>>, Lost> {
        Ok(Some(Box::new(self.exchange(call.request, call.id_text, call.modern))))
    }

    /// Delivers the message in the background. The message is dropped when too many others are
    /// waiting to be delivered.
    fn send(&self, link: &Arc<Link>, message: Bytes) {
        let Some(delivery) = self.deliveries.begin(message.len()) else {
            return link.listener().dropped(Dropped::NotDelivered);
        };
        self.session.tasks.spawn(delivery.carry_out(self.delivery(link, message)));
    }

    fn deliver<'a>(&'a self, link: &'a Arc<Link>, message: Bytes) -> Boxed<'a, ()> {
        Box::pin(self.delivery(link, message))
    }

    fn begin_again(&self) {
        self.session.forget_session();
    }

    fn begin_modern(&self) {
        self.session.forget_session();
    }

    /// Keeps the negotiated revision. Opens the standing stream of a legacy server; a modern server
    /// sends its notifications on a listen.
    fn settle(&self, link: &Arc<Link>, revision: Revision) {
        self.session.settle(revision);
        self.session.target.remember(KnownTransport::StreamableHttp);
        if revision.era() == Era::Legacy {
            let (link, session) = (Arc::downgrade(link), Arc::downgrade(&self.session));
            let (answered, stop) = (self.standing_answered.clone(), self.stop.clone());
            self.session.tasks.spawn(standing::run(link, session, answered, stop));
        } else {
            self.standing_answered.cancel();
        }
    }

    /// Waits until the standing stream is open: without one, servers drop notifications and even
    /// questions of calls.
    fn heard(&self) -> Boxed<'_, ()> {
        Box::pin(async {
            let answered = self.standing_answered.cancelled();
            let _ = tokio::time::timeout(STANDING_ANSWER_DEADLINE, answered).await;
        })
    }

    fn goodbye(&self) -> Boxed<'_, ()> {
        Box::pin(self.take_leave())
    }
}

/// Adds the mirrored headers, replacing configured ones of the same name.
fn mirror(request: &Outgoing<'_>, post: &mut Request<Full<Bytes>>) {
    // Names may have been replaced by the server's own.
    let edited = match request.edits.is_empty() {
        true => None,
        false => Message::parse(splice(request.message.bytes(), &mut request.edits.clone())).ok(),
    };
    let sent = edited.as_ref().unwrap_or(request.message);
    let all = post.headers_mut();
    all.remove(headers::NAME);
    for (name, value) in headers::for_request(sent) {
        if let Ok(value) = HeaderValue::try_from(value) {
            all.insert(HeaderName::from_static(name), value);
        }
    }
    for (name, value) in &request.headers {
        all.insert(name.clone(), value.clone());
    }
}
