//! Sessions of clients.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How many sessions there are, and what they do.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct Sessions {
    /// Sessions that have neither ended nor expired.
    pub active: usize,
    /// The most there may be.
    pub max: usize,
    /// Calls in flight, of all sessions.
    pub calls: usize,
    /// Clients of 2026-07-28 that listen. They have no session, and there may be as many as sessions.
    #[serde(default)]
    #[schema(required)]
    pub listens: usize,
    /// Streams that sessions keep open for messages that belong to no request.
    #[serde(default)]
    #[schema(required)]
    pub streams: usize,
    /// Why session changes or published names can't be stored at the moment. A restart of the daemon
    /// would lose them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub unstored: Option<String>,
}

/// All sessions of clients: the members of [`Sessions`], and the list.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct SessionList {
    /// Sessions that have neither ended nor expired.
    pub active: usize,
    /// The most there may be.
    pub max: usize,
    /// Calls in flight, of all sessions.
    pub calls: usize,
    /// Clients of 2026-07-28 that listen. They have no session.
    pub listens: usize,
    /// Streams that sessions keep open for messages that belong to no request.
    pub streams: usize,
    /// Why session changes or published names can't be stored at the moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub unstored: Option<String>,
    /// One object for each session, oldest first.
    pub active_sessions: Vec<Session>,
}

/// A session of a client.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// The number of the session, unique while the daemon runs. The id that its client sends is a
    /// credential, and is not shown.
    pub number: u64,
    /// Where it was opened: `/mcp` or `/mcp/{name}`.
    pub endpoint: String,
    /// The revision of the protocol that its client speaks.
    pub revision: String,
    /// Whose session it is: `anonymous` without login.
    pub user: String,
    /// Milliseconds since it was opened, or restored after a restart of the daemon.
    pub age_ms: u64,
    /// Milliseconds since the last request or answer.
    pub idle_ms: u64,
    /// Calls in flight.
    pub calls: usize,
    /// Open streams for messages that belong to no request.
    pub streams: usize,
}
