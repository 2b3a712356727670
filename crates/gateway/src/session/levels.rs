//! How loud servers log, for whom.
//!
//! The instance of a server that clients share logs at the lowest level that one of them wants. Who wants
//! what is counted, so that it becomes quieter, too, when a client changes its mind or goes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use mainstay_model::ServerId;
use mainstay_pool::{Permit, Pool};
use mainstay_protocol::Era;
use mainstay_session::{LogLevel, WantedLevels};
use mainstay_upstream::SessionNo;
use parking_lot::Mutex;
use tokio::time::Instant;

/// What clients want of each server.
#[derive(Debug, Default)]
pub(crate) struct LogLevels {
    servers: Mutex<HashMap<ServerId, Arc<ServerLevels>>>,
}

/// What clients want of one server.
#[derive(Debug, Default)]
pub(crate) struct ServerLevels {
    wanted: Mutex<WantedLevels<SessionNo>>,
    /// Held while the server is told, so that the last thing it hears is what is wanted last.
    sending: tokio::sync::Mutex<()>,
}

/// What a server is told when nobody wants a level any more. Clients that never say get messages from
/// here on (`Session::wants_log`); which level a server had before it was told any can't be asked.
const LEVEL_FOR_NOBODY: LogLevel = LogLevel::Info;

/// Whether a server can be told how loud to log.
pub(crate) fn supports_logging(pool: &Pool) -> bool {
    pool.facts(Era::Legacy).is_some_and(|facts| facts.capabilities.logging)
}

/// An instance lent to one session logs as that session wants it.
pub(crate) async fn set_instance_level(
    level: Option<LogLevel>,
    permit: &Permit,
    deadline: Instant,
) {
    if let Some(level) = level
        && permit.facts().capabilities.logging
        && permit.instance().set_log_level(&level.to_json())
    {
        let params = format!(r#"{{"level":{}}}"#, level.to_json());
        let ask = permit.ask("logging/setLevel", Some(&params));
        let _ = tokio::time::timeout_at(deadline, ask).await;
    }
}

// === impl LogLevels ===

impl LogLevels {
    pub(crate) fn for_server(&self, server: ServerId) -> Arc<ServerLevels> {
        self.servers.lock().entry(server).or_default().clone()
    }

    /// All servers that a client has ever set a level of.
    pub(crate) fn all(&self) -> Vec<(ServerId, Arc<ServerLevels>)> {
        self.servers.lock().iter().map(|(server, levels)| (*server, levels.clone())).collect()
    }

    /// Forgets a server that is gone.
    pub(crate) fn forget_server(&self, server: ServerId) {
        self.servers.lock().remove(&server);
    }
}

// === impl ServerLevels ===

impl ServerLevels {
    /// Notes the level that a session wants from now on.
    pub(crate) fn set(&self, owner: SessionNo, level: LogLevel) {
        self.wanted.lock().set(owner, level);
    }

    /// Forgets the level that a session wanted; whether the lowest wanted level is another now.
    pub(crate) fn remove(&self, owner: SessionNo) -> bool {
        let mut wanted = self.wanted.lock();
        let before = wanted.lowest();
        wanted.remove(&owner) && wanted.lowest() != before
    }

    /// Tells the server at which level to log, unless it knows; waits at most `within` for its answer.
    pub(crate) async fn send_lowest(self: Arc<Self>, pool: Arc<Pool>, within: Duration) {
        let _turn = self.sending.lock().await;
        let Some(base) = pool.base(Era::Legacy).filter(|_| supports_logging(&pool)) else {
            return;
        };
        let told = base.log_level();
        let wanted = self.wanted.lock().lowest();
        // A server that was never told anything logs as it likes.
        let Some(level) = wanted.or(told.is_some().then_some(LEVEL_FOR_NOBODY)) else { return };
        let json = level.to_json();
        // One that is away is told in its next life.
        if base.set_log_level(&json)
            && let Some(permit) = pool.permit_for(&base)
        {
            let params = format!(r#"{{"level":{json}}}"#);
            let ask = permit.ask("logging/setLevel", Some(&params));
            if let Ok(Ok(Err(error))) = tokio::time::timeout(within, ask).await {
                tracing::debug!(server = %pool.spec.name, %error, "server refuses a log level");
            }
        }
    }
}
