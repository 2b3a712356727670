//! What outlives the daemon of sessions.
//!
//! A session id carries all that the session began with, so opening a session stores nothing. What
//! changes later is noted here.

use std::collections::BTreeSet;
use std::fmt::Debug;

use mainstay_session::Serial;

use crate::answer::{Answer, Stored};

/// Keeps what became of sessions. Methods that note something never wait; [`Self::written`] and
/// [`Self::stored`] say when it survives. Times are seconds since 1970.
pub trait SessionStore: Debug + Send + Sync {
    /// Returns the number of a session that is being opened. No two sessions of any daemon with this
    /// backend have the same one. Nothing is stored.
    fn next(&self) -> Serial;

    /// Returns what is known of a session, after everything that was noted here before.
    fn known(&self, of: Serial) -> Answer<'_, Known>;

    /// Notes that these sessions were in use at these times.
    fn used(&self, uses: &[(Serial, u64)]);

    /// Notes the level of log messages that a session asks for.
    fn level(&self, of: Serial, at: u64, level: &str);

    /// Notes a subscription. `uri` is the JSON text of a URI as the server knows it.
    fn subscribed(&self, of: Serial, at: u64, server: &str, uri: &str);

    fn unsubscribed(&self, of: Serial, server: &str, uri: &str);

    /// Notes the end of a session. No daemon may use it again, whatever is noted after this.
    fn ended(&self, of: Serial, at: u64);

    /// Forgets what nobody can come back for. May be called often.
    fn prune(&self, now: u64);

    /// Waits until everything that was noted before this call survives a power cut; returns whether it
    /// does. A store that fails is not waited for, and one that is slow for a second.
    fn stored(&self) -> Stored<'_>;

    /// Waits until everything that was noted before this call survives the end of this daemon, however it
    /// ends; returns whether it does. Much quicker than [`Self::stored`], and bounded in the same way.
    fn written(&self) -> Stored<'_>;
}

/// What a session has beside what it began with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept {
    /// When it was in use last, as far as was noted; seconds since 1970.
    pub used_at: u64,
    pub level: Option<Box<str>>,
    /// Names of servers, with the JSON text of URIs as these servers know them.
    pub subscriptions: BTreeSet<(Box<str>, Box<str>)>,
}

/// What is known of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// Nothing became of it after it was opened.
    Nothing,
    Kept(Kept),
    /// It must not be used again.
    Ended,
}
