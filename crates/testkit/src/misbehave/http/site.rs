//! One HTTP server.

use std::sync::Arc;

use super::sessions::Sessions;
use crate::misbehave::server::Server;

/// One HTTP server: what it does, and the sessions it knows.
pub(super) struct HttpServer {
    pub(super) server: Arc<Server>,
    pub(super) sessions: Sessions,
}
