//! What becomes of changes of the condition of servers: they are stored.

use std::sync::Arc;
use std::time::UNIX_EPOCH;

use mainstay_model::Condition;
use mainstay_store::{Event, EventLog, EventsAsked, EventsOf};
use mainstay_telemetry::events::DaemonChanged;
use mainstay_telemetry::{Change, Metrics};

/// Stores every change from now on.
pub(super) fn store(metrics: &Metrics, log: &Arc<dyn EventLog>) {
    let log = log.clone();
    metrics.changes().observe(Box::new(move |change| log.record(event(change))));
}

/// Makes known that the daemon serves, and whether the one before it ended by itself.
pub(super) async fn started(metrics: &Metrics, log: &Arc<dyn EventLog>) {
    let asked = EventsAsked { of: EventsOf::Daemon, limit: 1, ..EventsAsked::default() };
    let before = log.page(asked).await.ok().and_then(|mut page| page.events.pop());
    let was_lost = before.is_some_and(|before| before.event.to != Condition::Stopped.as_str());
    let pid = std::process::id();
    let mut reason = format!("version {}, process {pid}", env!("CARGO_PKG_VERSION"));
    if was_lost {
        reason.push_str("; the daemon before it was killed, or the machine went down");
    }
    let (from, to) = (Condition::Stopped, Condition::Running);
    DaemonChanged { from, to, reason: Some(reason) }.emit(metrics);
}

fn event(change: &Change) -> Event {
    let since = change.at.duration_since(UNIX_EPOCH).unwrap_or_default();
    Event {
        at_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
        server: change.server.as_ref().map(ToString::to_string),
        instance: change.instance.map(|id| id.0),
        from: change.from.as_str().to_owned(),
        to: change.to.as_str().to_owned(),
        reason: change.reason.clone(),
        brief_reason: change.brief_reason.clone(),
    }
}
