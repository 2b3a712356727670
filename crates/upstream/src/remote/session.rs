//! A session of Mainstay at a server over streamable HTTP: address, connections and what the
//! handshake settled. Shared by the transport, its standing stream and the exchanges under way.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use http_body_util::Full;
use mainstay_protocol::{Revision, headers};
use parking_lot::RwLock;
use tokio_util::task::TaskTracker;

use super::connection::Idle;
use super::target::Target;

/// State that all requests to one server share.
#[derive(Debug)]
pub(crate) struct HttpSession {
    pub(super) target: Arc<Target>,
    pub(super) idle: Arc<Idle>,
    negotiated: RwLock<Negotiated>,
    /// The status of the first answer, that to `initialize`.
    first_status: OnceLock<StatusCode>,
    /// Largest message of the server, in bytes.
    pub(super) message_bytes_max: usize,
    /// Background tasks, awaited at the goodbye.
    pub(super) tasks: TaskTracker,
}

/// Results of the handshake, sent with every later request.
#[derive(Debug, Default)]
struct Negotiated {
    session: Option<HeaderValue>,
    revision: Option<HeaderValue>,
    /// The complete headers of a POST, ready to be cloned.
    post: HeaderMap,
}

static SESSION: HeaderName = HeaderName::from_static(headers::SESSION_ID);
static REVISION: HeaderName = HeaderName::from_static(headers::PROTOCOL_VERSION);

// === impl HttpSession ===

impl HttpSession {
    pub(super) fn new(target: Arc<Target>, message_bytes_max: usize) -> Self {
        Self {
            idle: Arc::new(Idle::new(target.clone())),
            negotiated: RwLock::new(Negotiated::before_handshake(&target)),
            target,
            first_status: OnceLock::new(),
            message_bytes_max,
            tasks: TaskTracker::new(),
        }
    }

    pub(super) fn post(&self, body: Bytes) -> Request<Full<Bytes>> {
        self.request(Method::POST, body)
    }

    pub(super) fn request(&self, method: Method, body: Bytes) -> Request<Full<Bytes>> {
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

    /// Keeps the session id of a response, if there is none yet.
    pub(super) fn keep_session(&self, headers: &HeaderMap) {
        if let Some(session) = headers.get(&SESSION)
            && !self.has_session()
        {
            self.negotiate(|negotiated| {
                negotiated.session.get_or_insert_with(|| session.clone());
            });
        }
    }

    /// Forgets the session id: one that came with a refused handshake is none.
    pub(super) fn forget_session(&self) {
        self.negotiate(|negotiated| negotiated.session = None);
    }

    /// Keeps the negotiated revision, for the header of every later request.
    pub(super) fn settle(&self, revision: Revision) {
        let header = HeaderValue::from_str(revision.as_str()).ok();
        self.negotiate(|negotiated| negotiated.revision = header);
    }

    /// Keeps the status of an answer, if it is the first.
    pub(super) fn note_status(&self, status: StatusCode) {
        let _ = self.first_status.set(status);
    }

    /// Changes the negotiated values and rebuilds the headers of a POST.
    fn negotiate(&self, change: impl FnOnce(&mut Negotiated)) {
        let mut negotiated = self.negotiated.write();
        change(&mut negotiated);
        negotiated.post = negotiated.headers(&self.target, &Method::POST);
    }

    /// Whether the status of `initialize` was one that servers return which speak only HTTP+SSE.
    pub(crate) fn may_speak_sse(&self) -> bool {
        let older =
            [StatusCode::BAD_REQUEST, StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED];
        !self.is_settled() && self.first_status.get().is_some_and(|status| older.contains(status))
    }

    pub(super) fn has_session(&self) -> bool {
        self.negotiated.read().session.is_some()
    }

    pub(super) fn is_settled(&self) -> bool {
        self.negotiated.read().revision.is_some()
    }
}

// === impl Negotiated ===

impl Negotiated {
    fn before_handshake(target: &Target) -> Self {
        let nothing = Self::default();
        Self { post: nothing.headers(target, &Method::POST), ..nothing }
    }

    /// The headers of a request, without those that describe its body.
    fn headers(&self, target: &Target, method: &Method) -> HeaderMap {
        // Mainstay's own headers come last, so configured ones can't override them.
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
