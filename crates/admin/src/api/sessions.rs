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
