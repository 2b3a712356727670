//! The state of the session with the daemon.

use http::{HeaderMap, HeaderName, HeaderValue};
use mainstay_protocol::headers::{PROTOCOL_VERSION, SESSION_ID};

/// The session with the daemon.
#[derive(Debug, Default)]
pub(super) struct Session {
    /// Counts the sessions of this client.
    pub(super) generation: u64,
    /// Whether the session is open, as far as is known.
    pub(super) is_open: bool,
    pub(super) id: Option<HeaderValue>,
    pub(super) revision: Option<HeaderValue>,
    pub(super) heard: Heard,
    /// Whether the shim opened the session to replace a lost one.
    pub(super) is_successor: bool,
}

/// Which of the messages that a session must receive first have been received.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    #[default]
    Nothing,
    /// `initialized`, and so many of the repeated messages.
    Repeated(usize),
    All,
}

// === impl Session ===

impl Session {
    /// The headers of every message in the session.
    pub(super) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(2);
        for (name, value) in [(SESSION_ID, &self.id), (PROTOCOL_VERSION, &self.revision)] {
            if let Some(value) = value {
                headers.insert(HeaderName::from_static(name), value.clone());
            }
        }
        headers
    }

    /// Whether there is a session to end.
    pub(super) fn has_end(&self) -> bool {
        self.is_open && self.id.is_some()
    }
}
