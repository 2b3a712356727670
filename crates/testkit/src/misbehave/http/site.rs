//! An HTTP server and its sessions.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::sessions::Sessions;
use crate::misbehave::server::Server;

/// An HTTP server: its faults, and its sessions.
pub(super) struct HttpServer {
    pub(super) server: Arc<Server>,
    pub(super) sessions: Sessions,
    /// Every message is answered with a login page.
    pub(super) signed_out: AtomicBool,
}
