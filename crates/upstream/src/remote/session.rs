//! A session of Mainstay at a server over HTTP: address, connections, cookies and what the
//! handshake settled. Shared by the transport, its standing stream and the exchanges under way.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, header,
};
use http_body_util::Full;
use hyper::body::Incoming;
use mainstay_protocol::{Revision, headers};
use parking_lot::RwLock;
use tokio_util::task::TaskTracker;

use super::connection::Idle;
use super::cookies::Cookies;
use super::gone::Suspicions;
use super::redirect::Redirect;
use super::target::Target;
use crate::link::LinkLimits;

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
    /// Bounds of the link, and what its messages are charged to.
    pub(super) limits: LinkLimits,
    /// Background tasks, awaited at the goodbye.
    pub(super) tasks: TaskTracker,
    pub(super) suspicions: Suspicions,
    /// The server was found to have ended the session by a request of Mainstay's own.
    ended_unused: AtomicBool,
}

/// Results of the handshake and of the responses so far, sent with every later request.
#[derive(Debug)]
struct Negotiated {
    session: Option<HeaderValue>,
    revision: Option<HeaderValue>,
    cookies: Cookies,
    /// The address of requests: the configured one, or the one that the server redirects to.
    address: Uri,
    /// The complete headers of a POST, ready to be cloned.
    post: HeaderMap,
}

static SESSION: HeaderName = HeaderName::from_static(headers::SESSION_ID);
static REVISION: HeaderName = HeaderName::from_static(headers::PROTOCOL_VERSION);

// === impl HttpSession ===

impl HttpSession {
    pub(super) fn new(target: Arc<Target>, limits: LinkLimits) -> Self {
        Self {
            idle: Arc::new(Idle::new(target.clone())),
            negotiated: RwLock::new(Negotiated::before_handshake(&target)),
            target,
            first_status: OnceLock::new(),
            message_bytes_max: limits.message_bytes_max,
            limits,
            tasks: TaskTracker::new(),
            suspicions: Suspicions::default(),
            ended_unused: AtomicBool::new(false),
        }
    }

    pub(super) fn post(&self, body: Bytes) -> Request<Full<Bytes>> {
        self.request(Method::POST, body)
    }

    pub(super) fn request(&self, method: Method, body: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(body));
        let negotiated = self.negotiated.read();
        *request.uri_mut() = negotiated.address.clone();
        *request.headers_mut() = match method {
            Method::POST => negotiated.post.clone(),
            _ => negotiated.headers(&self.target, &method),
        };
        *request.method_mut() = method;
        request
    }

    /// The address of requests.
    pub(super) fn address(&self) -> Uri {
        self.negotiated.read().address.clone()
    }

    /// Takes note of the head of a response: cookies, and how long the server wants to be left
    /// alone, which is returned.
    pub(super) fn note_head(&self, response: &Response<Incoming>) -> Option<Duration> {
        let headers = response.headers();
        if headers.contains_key(header::SET_COOKIE) {
            let secure = self.target.tls.is_some();
            self.negotiate(|negotiated| {
                negotiated.cookies.keep(headers, secure, SystemTime::now());
            });
        }
        match response.status() {
            StatusCode::OK | StatusCode::ACCEPTED => None,
            status => self.target.rest.note(status, headers, (Instant::now(), SystemTime::now())),
        }
    }

    /// Where a response to a request to `from` redirects to. A target that may be followed becomes
    /// the address of later requests, if `from` was the present one.
    pub(super) fn redirect(
        &self,
        from: &Uri,
        response: &Response<Incoming>,
        method: &Method,
    ) -> Redirect {
        let redirect = self.target.redirect(from, response, method);
        if let Redirect::To(address) = &redirect {
            let mut negotiated = self.negotiated.write();
            if negotiated.address == *from {
                negotiated.address = address.clone();
            }
        }
        redirect
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

    /// Whether the server has ended the session while no call of a client met its end.
    pub(crate) fn ended_unused(&self) -> bool {
        self.ended_unused.load(Ordering::Relaxed)
    }

    pub(super) fn note_unused_end(&self) {
        self.ended_unused.store(true, Ordering::Relaxed);
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
        let mut negotiated = Self {
            session: None,
            revision: None,
            cookies: Cookies::default(),
            address: target.address.clone(),
            post: HeaderMap::new(),
        };
        negotiated.post = negotiated.headers(target, &Method::POST);
        negotiated
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
        if let Some(cookies) = self.cookies.header(target.headers.get(header::COOKIE)) {
            headers.insert(header::COOKIE, cookies);
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
