//! Servers over streamable HTTP: every request is an HTTP exchange of its own.
//!
//! A call drives its connection itself instead of leaving that to a task: no task switch, and what
//! the server sends on the exchange is known to belong to the call.

mod connection;
mod deliveries;
mod exchange;
mod retry;
pub mod sse;
mod standing;
mod target;

use std::sync::{Arc, OnceLock, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::Full;
use mainstay_protocol::edit::splice;
use mainstay_protocol::{Era, Message, Revision, headers};
use mainstay_telemetry::Dropped;
use parking_lot::RwLock;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::connection::Idle;
use self::deliveries::Deliveries;
pub(crate) use self::exchange::RemoteExchange;
pub(crate) use self::target::Speaks;
pub use self::target::{InvalidTarget, Target};
use crate::exchange::{Incoming, Lost, Outgoing, Slot};
use crate::link::{Link, LinkLimits};
use crate::listener::Listener;
use crate::transport::{Boxed, Call, Transport, TransportAbilities};

/// The sending side of a link over streamable HTTP.
#[derive(Debug)]
pub(crate) struct Remote {
    /// For its own tasks.
    this: Weak<Self>,
    target: Arc<Target>,
    idle: Arc<Idle>,
    negotiated: RwLock<Negotiated>,
    /// What the first POST, `initialize`, was answered with.
    first_status: OnceLock<StatusCode>,
    limits: LinkLimits,
    deliveries: Arc<Deliveries>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// What the handshake settled; sent with every request after it.
#[derive(Debug, Default)]
struct Negotiated {
    session: Option<HeaderValue>,
    revision: Option<HeaderValue>,
    /// All headers of a POST, ready to be copied.
    post: HeaderMap,
}

static SESSION: HeaderName = HeaderName::from_static(headers::SESSION_ID);
static REVISION: HeaderName = HeaderName::from_static(headers::PROTOCOL_VERSION);

/// How long a notification or an answer of ours may take to be delivered.
const SEND_DEADLINE: Duration = Duration::from_secs(10);
/// How long the goodbye to a server may take.
const GOODBYE_DEADLINE: Duration = Duration::from_secs(2);

/// Of servers over streamable HTTP.
pub(crate) const ABILITIES: TransportAbilities = TransportAbilities {
    name: "streamable HTTP",
    calls_apart: true,
    ending_cancels: true,
    mirrors_arguments: true,
    notices_end: false,
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

/// As [`open`], with the transport itself.
pub(crate) fn open_known(
    target: Arc<Target>,
    limits: LinkLimits,
    listener: Arc<dyn Listener>,
    stop: CancellationToken,
) -> (Arc<Link>, Arc<Remote>) {
    let remote = Arc::new_cyclic(|this| Remote {
        this: this.clone(),
        idle: Arc::new(Idle::new(target.clone())),
        negotiated: RwLock::new(Negotiated::of_nothing(&target)),
        target,
        first_status: OnceLock::new(),
        deliveries: Deliveries::new(limits.unread_bytes_max),
        limits,
        stop,
        tasks: TaskTracker::new(),
    });
    let idle = remote.idle.clone();
    remote.tasks.spawn(Idle::prune(Arc::downgrade(&idle), remote.stop.clone()));
    (Arc::new(Link::new(listener, remote.clone())), remote)
}

// === impl Remote ===

impl Remote {
    fn exchange(&self, request: &Outgoing<'_>, id: &[u8], modern: bool) -> RemoteExchange {
        let body = splice(request.message.bytes(), &mut request.edits(id));
        let mut post = self.post(body);
        if modern {
            mirror(request, &mut post);
        }
        RemoteExchange::new(self, post, self.limits.message_bytes_max, modern)
    }

    /// Delivers a notification or an answer; over when the server has acknowledged it, or after
    /// [`SEND_DEADLINE`].
    fn delivery(
        &self,
        link: &Arc<Link>,
        message: Bytes,
    ) -> impl Future<Output = ()> + Send + use<> {
        let request = self.post(message);
        let idle = self.idle.clone();
        let link = Arc::downgrade(link);
        let stop = self.stop.clone();
        async move {
            let sent = tokio::time::timeout(SEND_DEADLINE, connection::send(&idle, request));
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
        if self.negotiated.read().session.is_some() && !self.stop.is_cancelled() {
            let request = self.request(Method::DELETE, Bytes::new());
            let goodbye = connection::send(&self.idle, request);
            let _ = tokio::time::timeout(GOODBYE_DEADLINE, goodbye).await;
        }
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn post(&self, body: Bytes) -> Request<Full<Bytes>> {
        self.request(Method::POST, body)
    }

    fn request(&self, method: Method, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        *request.uri_mut() = self.target.path.clone();
        let negotiated = self.negotiated.read();
        *request.headers_mut() = match method {
            Method::POST => negotiated.post.clone(),
            _ => negotiated.headers(&self.target, &method),
        };
        *request.method_mut() = method;
        request
    }

    /// A session id that came with an answer, if there is none yet.
    fn keep_session(&self, headers: &HeaderMap) {
        if let Some(session) = headers.get(&SESSION)
            && !self.has_session()
        {
            self.negotiate(|negotiated| {
                negotiated.session.get_or_insert_with(|| session.clone());
            });
        }
    }

    /// Changes what is sent with every further request.
    fn negotiate(&self, change: impl FnOnce(&mut Negotiated)) {
        let mut negotiated = self.negotiated.write();
        change(&mut negotiated);
        negotiated.post = negotiated.headers(&self.target, &Method::POST);
    }

    /// Whether the answer to `initialize` was one that servers give which speak only HTTP+SSE.
    pub(crate) fn may_speak_sse(&self) -> bool {
        let older =
            [StatusCode::BAD_REQUEST, StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED];
        !self.is_settled() && self.first_status.get().is_some_and(|status| older.contains(status))
    }

    fn has_session(&self) -> bool {
        self.negotiated.read().session.is_some()
    }

    fn is_settled(&self) -> bool {
        self.negotiated.read().revision.is_some()
    }
}

impl Transport for Remote {
    fn abilities(&self) -> &'static TransportAbilities {
        &ABILITIES
    }

    fn call(&self, call: &Call<'_>) -> Result<Option<Box<RemoteExchange>>, Lost> {
        Ok(Some(Box::new(self.exchange(call.request, call.id_text, call.modern))))
    }

    fn poll(
        &self,
        link: &Arc<Link>,
        exchange: &mut RemoteExchange,
        slot: &Slot,
        cx: &mut Context<'_>,
    ) -> Poll<Incoming> {
        exchange.poll_next(link, self, slot, cx)
    }

    /// Delivers it in the background. It is dropped if the server does not take what it was sent before.
    fn send(&self, link: &Arc<Link>, message: Bytes) {
        let Some(delivery) = self.deliveries.begin(message.len()) else {
            return link.listener().dropped(Dropped::NotDelivered);
        };
        self.tasks.spawn(delivery.carry_out(self.delivery(link, message)));
    }

    fn deliver<'a>(&'a self, link: &'a Arc<Link>, message: Bytes) -> Boxed<'a, ()> {
        Box::pin(self.delivery(link, message))
    }

    /// A session that came with a refused handshake is none.
    fn begin_modern(&self) {
        self.negotiate(|negotiated| negotiated.session = None);
    }

    /// Keeps what the first words settled, and opens the standing stream for what an older server sends
    /// of its own accord; what a modern one says so comes on a listen.
    fn settle(&self, link: &Arc<Link>, revision: Revision) {
        let header = HeaderValue::from_str(revision.as_str()).ok();
        self.negotiate(|negotiated| negotiated.revision = header);
        self.target.found(Speaks::Http);
        if revision.era() == Era::Legacy {
            let (link, stop) = (Arc::downgrade(link), self.stop.clone());
            self.tasks.spawn(standing::run(link, self.this.clone(), stop));
        }
    }

    fn goodbye(&self) -> Boxed<'_, ()> {
        Box::pin(self.take_leave())
    }
}

// === impl Negotiated ===

impl Negotiated {
    fn of_nothing(target: &Target) -> Self {
        let nothing = Self::default();
        Self { post: nothing.headers(target, &Method::POST), ..nothing }
    }

    /// All headers of a request but those that tell of its body.
    fn headers(&self, target: &Target, method: &Method) -> HeaderMap {
        // Our own headers come after the configured ones, so these can't override them.
        let mut headers = target.headers.clone();
        if method == Method::POST {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            headers.insert(
                header::ACCEPT,
                HeaderValue::from_static("application/json, text/event-stream"),
            );
        } else if method == Method::GET {
            headers.insert(header::ACCEPT, HeaderValue::from_static("text/event-stream"));
        }
        if let Some(session) = &self.session {
            headers.insert(&SESSION, session.clone());
        }
        if let Some(revision) = &self.revision {
            headers.insert(&REVISION, revision.clone());
        }
        headers
    }
}

/// Adds the headers that repeat what is sent, in the place of configured ones.
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
