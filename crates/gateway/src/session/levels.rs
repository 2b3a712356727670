//! Log levels that clients want of servers.
//!
//! The instance that clients share logs at the lowest level that one of them wants. The wanted
//! levels are counted, so that the server also logs less again when a client changes its level or
//! leaves.

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

/// Wanted log levels of all servers.
#[derive(Debug, Default)]
pub(crate) struct LogLevels {
    servers: Mutex<HashMap<ServerId, Arc<ServerLevels>>>,
}

/// Wanted log levels of one server.
#[derive(Debug, Default)]
pub(crate) struct ServerLevels {
    wanted: Mutex<WantedLevels<SessionNo>>,
    /// Held while a level is sent, so that the server receives the latest one last.
    sending: tokio::sync::Mutex<()>,
}

/// Level that a server is set to when no client wants one any more. Clients without a level of
/// their own get messages from it upwards (`Session::wants_log`). The level that a server began
/// with can't be asked for.
const LEVEL_FOR_NOBODY: LogLevel = LogLevel::Info;

/// Whether a server supports `logging/setLevel`.
pub(crate) fn supports_logging(pool: &Pool) -> bool {
    pool.facts(Era::Legacy).is_some_and(|facts| facts.capabilities.logging)
}

/// Sets the log level of an instance that is lent to one session.
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

    /// Returns the servers for which a client has ever set a level.
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

    /// Returns the sessions that asked for log messages of this level.
    pub(crate) fn wanting(&self, level: Option<LogLevel>) -> Vec<SessionNo> {
        self.wanted.lock().wanting(level).copied().collect()
    }

    /// Whether a session wants log messages of this level.
    pub(crate) fn wants(&self, owner: SessionNo, level: Option<LogLevel>) -> bool {
        self.wanted.lock().wants(&owner, level)
    }

    /// Returns the number of sessions that have set a level.
    pub(crate) fn owners(&self) -> usize {
        self.wanted.lock().owners()
    }

    /// Removes the level of a session. Returns whether the lowest wanted level has changed.
    pub(crate) fn remove(&self, owner: SessionNo) -> bool {
        let mut wanted = self.wanted.lock();
        let before = wanted.lowest();
        wanted.remove(&owner) && wanted.lowest() != before
    }

    /// Sends the lowest wanted level to the server, unless it has it already. Waits at most
    /// `within` for the answer.
    pub(crate) async fn send_lowest(self: Arc<Self>, pool: Arc<Pool>, within: Duration) {
        let _turn = self.sending.lock().await;
        let Some(base) = pool.base(Era::Legacy).filter(|_| supports_logging(&pool)) else {
            return;
        };
        let told = base.log_level();
        let wanted = self.wanted.lock().lowest();
        // A server that was never given a level chooses its own.
        let Some(level) = wanted.or(told.is_some().then_some(LEVEL_FOR_NOBODY)) else { return };
        let json = level.to_json();
        // An instance that is down is given the level when it runs again.
        if base.set_log_level(&json)
            && let Some(permit) = pool.permit_for(&base)
        {
            let params = format!(r#"{{"level":{json}}}"#);
            let ask = permit.ask("logging/setLevel", Some(&params));
            if let Ok(Ok(Err(error))) = tokio::time::timeout(within, ask).await {
                tracing::debug!(server = %pool.name, %error, "server refuses a log level");
            }
        }
    }
}
