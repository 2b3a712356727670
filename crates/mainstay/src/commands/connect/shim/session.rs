//! The state of the session with the daemon.

use http::{HeaderMap, HeaderName, HeaderValue};
use mainstay_protocol::headers::{PROTOCOL_VERSION, SESSION_ID};

/// The session with the daemon.
#[derive(Debug, Default)]
pub(super) struct Session {
    /// Tells the sessions of one client apart.
    pub(super) generation: u64,
    /// Whether the session is open, as far as is known.
    pub(super) is_open: bool,
    pub(super) id: Option<HeaderValue>,
    pub(super) revision: Option<HeaderValue>,
    pub(super) heard: Heard,
    /// Opened in the client's name, in the place of another.
    pub(super) is_successor: bool,
}

/// How many of the messages that it must hear first a session has heard.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    #[default]
    Nothing,
    /// `initialized`, and so many of the things an earlier session was told.
    Repeated(usize),
    All,
}

// === impl Session ===

impl Session {
    /// What every message of the session carries.
    pub(super) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(2);
        for (name, value) in [(SESSION_ID, &self.id), (PROTOCOL_VERSION, &self.revision)] {
            if let Some(value) = value {
                headers.insert(HeaderName::from_static(name), value.clone());
            }
        }
        headers
    }

    /// Whether there is something to be ended.
    pub(super) fn has_end(&self) -> bool {
        self.is_open && self.id.is_some()
    }
}
