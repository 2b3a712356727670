//! Stores the state of sessions for the next daemon.

use std::time::{Duration, Instant};

use mainstay_model::ServerId;
use mainstay_session::LogLevel;
use mainstay_telemetry::CorrelationId;
use mainstay_telemetry::events::EndUnwritten;

use super::Sessions;
use crate::session::Session;

/// Shortest interval between two stored uses of a session. After a restart a session may seem idle
/// for that much longer than it was.
const USE_NOTED_EVERY: Duration = Duration::from_secs(60);

impl Sessions {
    /// Stores when sessions were last used. `exactly`: to the second, instead of at intervals.
    pub(crate) fn store_uses(&self, exactly: bool) {
        let now = Instant::now();
        let now_seconds = self.serving.clock.unix_seconds();
        let interval =
            USE_NOTED_EVERY.min(self.serving.settings().limits.session_idle / 8).as_secs();
        let interval = if exactly { 1 } else { interval.max(1) };
        let sessions = self.table.all();
        let uses = sessions.iter().filter_map(|session| {
            let used_at = now_seconds.saturating_sub(session.idle_for(now).as_secs());
            Some((session.note_use(used_at, interval)?, used_at))
        });
        let uses: Vec<_> = uses.collect();
        self.store.used(&uses);
        self.store.prune(now_seconds);
    }

    /// Stores the log level of a session. Waits for the disk, so that a confirmed level survives a
    /// crash.
    pub(crate) async fn store_level(&self, session: &Session, level: LogLevel) {
        if let Some(serial) = session.serial() {
            self.store.level(serial, self.serving.clock.unix_seconds(), &level.to_json());
            self.store.stored().await;
        }
    }

    /// Waits until the end of a session is written, so that a crash of the daemon can't undo what
    /// its client was told. Does not wait for the disk, which takes a hundred times as long: only a
    /// power cut could undo it, and only that client could use the session.
    pub(crate) async fn store_end(&self, session: &Session, request_id: &CorrelationId) {
        let begun = Instant::now();
        // A disk that fails is logged already.
        if session.serial().is_some()
            && !self.store.flushed().await
            && self.upkeep.state().failing.is_none()
        {
            EndUnwritten { request_id, after: begun.elapsed() }.emit(&self.serving.metrics);
        }
    }

    /// Stores that a subscription was added or removed, and waits for the disk.
    pub(crate) async fn store_subscription(
        &self,
        session: &Session,
        server: ServerId,
        uri: &str,
        subscribed: bool,
    ) {
        let Some(serial) = session.serial() else { return };
        let Some(pool) = self.directory.pool(server) else { return };
        let name = pool.name.as_str();
        if subscribed {
            self.store.subscribed(serial, self.serving.clock.unix_seconds(), name, uri);
        } else {
            self.store.unsubscribed(serial, name, uri);
        }
        self.store.stored().await;
    }
}
