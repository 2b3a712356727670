//! How loud servers log, for whom.

use std::sync::Arc;

use mainstay_pool::Pool;
use mainstay_protocol::Generation;
use mainstay_upstream::handshake;

use crate::gateway::Gateway;
use crate::session::LogLevel;

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
        && let Some(live) = base.live()
    {
        let params = format!(r#"{{"level":{json}}}"#);
        let ask = handshake::ask(&live.link, "logging/setLevel", Some(&params));
        let answer = tokio::time::timeout(gateway.settings.limits.call, ask).await;
        if let Ok(Ok(Err(error))) = answer {
            tracing::debug!(server = %pool.spec.name, error, "server refuses a log level");
        }
    }
}
