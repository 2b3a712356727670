//! Sessions, and the many ways servers have of saying that one is gone.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use parking_lot::Mutex;
use tokio::sync::mpsc;

use super::reply::{HttpReply, plain};
use crate::misbehave::flags::Flags;
use crate::misbehave::message::Outlet;

#[derive(Default)]
pub(super) struct Sessions {
    known: Mutex<HashMap<String, Session>>,
    next: AtomicU64,
}

struct Session {
    requests: usize,
    side: Outlet,
    /// Messages for the side stream until a GET takes them.
    waiting: Option<mpsc::Receiver<Bytes>>,
}

// === impl Sessions ===

impl Sessions {
    /// A new session; its id differs from those of an earlier run on the same port.
    pub(super) fn open(&self) -> String {
        let id = format!("s{}-{}", std::process::id(), self.next.fetch_add(1, Ordering::Relaxed));
        let (side, waiting) = Outlet::new();
        self.known.lock().insert(id.clone(), Session { requests: 0, side, waiting: Some(waiting) });
        id
    }

    /// The side stream's inlet if the session is known, which it may be once too often.
    pub(super) fn visit(&self, id: &str, forget_after: Option<usize>) -> Option<Outlet> {
        let mut known = self.known.lock();
        let session = known.get_mut(id)?;
        session.requests += 1;
        if forget_after.is_some_and(|most| session.requests > most) {
            known.remove(id);
            return None;
        }
        Some(session.side.clone())
    }

    /// The messages of the side stream; a second GET ends the first.
    pub(super) fn side_stream(&self, id: &str) -> Option<mpsc::Receiver<Bytes>> {
        let mut known = self.known.lock();
        let session = known.get_mut(id)?;
        Some(session.waiting.take().unwrap_or_else(|| {
            let (side, waiting) = Outlet::new();
            session.side = side;
            waiting
        }))
    }

    pub(super) fn forget(&self, id: &str) -> bool {
        self.known.lock().remove(id).is_some()
    }

    pub(super) fn forget_all(&self) {
        self.known.lock().clear();
    }

    pub(super) fn len(&self) -> usize {
        self.known.lock().len()
    }
}

/// The answer of a gateway that wants its user to log in.
pub(super) fn login_page() -> HttpReply {
    let page = "<html><head><title>Please log in</title></head><body></body></html>";
    plain(StatusCode::OK, "text/html", page.to_owned())
}

/// The answer to a session that is not known.
pub(super) fn lost(flags: &Flags) -> HttpReply {
    let error = |status, code: i64, message: &str| {
        let text = format!(
            r#"{{"jsonrpc":"2.0","error":{{"code":{code},"message":"{message}"}},"id":null}}"#
        );
        plain(status, "application/json", text)
    };
    match flags.text("lost").unwrap_or("404") {
        "400-session" => {
            error(StatusCode::BAD_REQUEST, -32000, "Bad Request: No valid session ID provided")
        }
        "400-init" => error(StatusCode::BAD_REQUEST, -32000, "Bad Request: Server not initialized"),
        "400-text" => plain(StatusCode::BAD_REQUEST, "text/plain", "Invalid session ID".to_owned()),
        "400-other" => {
            let text = r#"{"detail":"unknown id"}"#.to_owned();
            plain(StatusCode::BAD_REQUEST, "application/json", text)
        }
        "400-calls" => plain(StatusCode::BAD_REQUEST, "text/plain", "no".to_owned()),
        "page" => login_page(),
        "302" => {
            let mut reply = plain(StatusCode::FOUND, "text/plain", String::new());
            reply.headers_mut().insert(header::LOCATION, HeaderValue::from_static("/login"));
            reply
        }
        "202" => plain(StatusCode::ACCEPTED, "text/plain", String::new()),
        "empty" => plain(StatusCode::OK, "application/json", String::new()),
        "stream" => plain(StatusCode::OK, "text/event-stream", ": bye\n\n".to_owned()),
        "410" => plain(StatusCode::GONE, "text/plain", String::new()),
        "200-error" => error(StatusCode::OK, -32001, "Who are you?"),
        "404-code" => error(StatusCode::NOT_FOUND, -32001, "Session not found"),
        _ => plain(StatusCode::NOT_FOUND, "text/plain", "Not Found".to_owned()),
    }
}
