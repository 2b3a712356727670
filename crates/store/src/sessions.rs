//! Stores the parts of sessions that outlive the daemon.
//!
//! A session id contains everything that is known when the session is opened, so opening a session stores
//! nothing. Only later changes are noted here.

use std::collections::BTreeSet;
use std::fmt::Debug;

use mainstay_session::Serial;

use crate::answer::{Answer, Stored};

/// Stores changes of sessions. Methods that note a change never wait; [`Self::flushed`] and
/// [`Self::stored`] tell when it is safe. Times are seconds since 1970.
pub trait SessionStore: Debug + Send + Sync {
    /// Returns the number for a new session. It is unique among all sessions of all daemons with this
    /// backend. Stores nothing.
    fn next(&self) -> Serial;

    /// Returns the status of a session, including everything that was noted before this call.
    fn status(&self, session: Serial) -> Answer<'_, SessionStatus>;

    /// Notes that these sessions were in use at these times.
    fn used(&self, uses: &[(Serial, u64)]);

    /// Notes the level of the log messages that a session asks for.
    fn level(&self, session: Serial, at: u64, level: &str);

    /// Notes a subscription. `uri` is the JSON text of a URI as the server knows it.
    fn subscribed(&self, session: Serial, at: u64, server: &str, uri: &str);

    fn unsubscribed(&self, session: Serial, server: &str, uri: &str);

    /// Notes the end of a session. No daemon may use the session again, whatever is noted later.
    fn ended(&self, session: Serial, at: u64);

    /// Forgets sessions that no client can return to. May be called often.
    fn prune(&self, now: u64);

    /// Waits until everything that was noted before this call survives a power cut, and returns whether it
    /// does. Returns `false` at once if the store fails, and after one second if the store is slow.
    fn stored(&self) -> Stored<'_>;

    /// Waits until everything that was noted before this call survives the end of this process, even by a
    /// kill, and returns whether it does. Much faster than [`Self::stored`], with the same bounds.
    fn flushed(&self) -> Stored<'_>;
}

/// The changes of a session after it was opened.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SessionChanges {
    /// The last noted time of use, in seconds since 1970.
    pub used_at: u64,
    pub level: Option<Box<str>>,
    /// Names of servers, each with the JSON text of a URI as that server knows it.
    pub subscriptions: BTreeSet<(Box<str>, Box<str>)>,
}

/// The status of a session in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionStatus {
    /// The session has not changed since it was opened, as far as the store knows.
    Unchanged,
    Changed(SessionChanges),
    /// The session has ended and must not be used again.
    Ended,
}
