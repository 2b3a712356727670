//! How loud servers log, for whom.

use std::sync::Arc;

use mainstay_pool::{Permit, Pool};
use mainstay_protocol::Generation;
use tokio::time::Instant;

use crate::gateway::Gateway;

/// RFC 5424 severities as MCP names them, the most verbose first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum LogLevel {
    Debug,
    Info,
    Notice,
    Warning,
    Error,
    Critical,
    Alert,
    Emergency,
}

/// Whether a server can be told how loud to log.
pub(crate) fn has_levels(pool: &Pool) -> bool {
    pool.facts(Generation::Legacy).is_some_and(|facts| facts.capabilities.logging)
}

/// Tells a server that a client wants this level. A server that is shared logs as the most
/// talkative of its clients wants; the others' share is left out here.
pub(crate) async fn tell(gateway: &Gateway, pool: &Arc<Pool>, level: LogLevel) {
    let Some(base) = pool.base(Generation::Legacy) else { return };
    let json = level.to_json();
    let now = base.log_level().and_then(|now| LogLevel::parse(&now));
    if now.is_none_or(|now| level < now)
        && base.set_log_level(&json)
        && let Some(permit) = pool.reach(&base)
    {
        let params = format!(r#"{{"level":{json}}}"#);
        let ask = permit.ask("logging/setLevel", Some(&params));
        let answer = tokio::time::timeout(gateway.settings.limits.call, ask).await;
        if let Ok(Ok(Err(error))) = answer {
            tracing::debug!(server = %pool.spec.name, error, "server refuses a log level");
        }
    }
}

/// An instance lent to one session logs as that session wants it.
pub(crate) async fn tell_own(level: Option<LogLevel>, permit: &Permit, deadline: Instant) {
    if let Some(level) = level
        && permit.facts().capabilities.logging
        && permit.instance().set_log_level(&level.to_json())
    {
        let params = format!(r#"{{"level":{}}}"#, level.to_json());
        let ask = permit.ask("logging/setLevel", Some(&params));
        let _ = tokio::time::timeout_at(deadline, ask).await;
    }
}

// === impl LogLevel ===

impl LogLevel {
    /// By its name, with or without the quotes of JSON.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Some(match text.trim_matches('"') {
            "debug" => Self::Debug,
            "info" => Self::Info,
            "notice" => Self::Notice,
            "warning" => Self::Warning,
            "error" => Self::Error,
            "critical" => Self::Critical,
            "alert" => Self::Alert,
            "emergency" => Self::Emergency,
            _ => return None,
        })
    }

    /// The JSON text of its name.
    pub(crate) fn to_json(self) -> String {
        format!("\"{}\"", format!("{self:?}").to_ascii_lowercase())
    }
}
