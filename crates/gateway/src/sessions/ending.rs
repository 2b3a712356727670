//! Ends sessions.

use std::sync::Arc;
use std::time::Instant;

use mainstay_model::MemoryKind;
use mainstay_telemetry::events::SessionExpired;

use super::{Sessions, levels, subscribe};
use crate::session::questions::QUESTION_GRACE;
use crate::session::{Session, placement, room};

impl Sessions {
    /// Ends a session and what servers hold for it. Returns whether it was in the table.
    pub(crate) fn end(&self, session: &Arc<Session>) -> bool {
        // The end is stored first, because a request that does not find the session in the table asks the
        // store next.
        if let Some(serial) = session.serial() {
            self.store.ended(serial, self.serving.clock.unix_seconds());
        }
        let was_there = self.table.remove(session);
        subscribe::unsubscribe_all(self, session, session.cut_off().into_iter().collect());
        if session.log_level().is_some() {
            levels::forget(self, session.number);
        }
        let endpoint = self.directory.endpoint(session.endpoint);
        if let Some(endpoint) = &endpoint {
            endpoint.state.audience.remove(session);
        }
        let pools = endpoint
            .map_or_else(|| self.directory.pools(), |endpoint| endpoint.pools().cloned().collect());
        for pool in pools {
            pool.end_sharing(&placement::own_sharing(session.number));
        }
        was_there
    }

    /// Ends sessions that have been idle for too long.
    pub(crate) fn expire(&self) {
        let idle_max = self.serving.settings().limits.session_idle;
        let expired = self.table.expired(Instant::now(), idle_max);
        let count = expired.iter().filter(|session| self.end(session)).count() as u64;
        if count > 0 {
            SessionExpired { count, idle_max }.emit(&self.serving.metrics);
        }
    }

    /// Refuses questions outside of calls that were sent to clients which are gone. Questions of calls
    /// are looked after by their calls.
    pub(crate) fn refuse_unheard_questions(&self) {
        if self.serving.budget.of(MemoryKind::Questions).used_bytes == 0 {
            return;
        }
        let now = Instant::now();
        for session in self.table.all() {
            session.refuse_unheard_questions(now, QUESTION_GRACE);
        }
    }

    /// Drops events that are kept for clients that may return, if they hold too much.
    pub(crate) fn make_room(&self) {
        room::make_room(&self.replay, self.replay.bytes_max(), || self.table.all());
    }

    /// Drops kept events of clients that have not returned for a while, if the events take much memory,
    /// and nearly all of what is kept if the memory is needed for something else.
    pub(crate) fn make_room_in_time(&self) {
        room::let_go_of_left(&self.replay, Instant::now(), || self.table.all());
        let bytes_max = self.replay.bytes_max();
        let scarce = self.replay.is_memory_scarce();
        let bytes_max = if scarce { bytes_max / 8 } else { bytes_max };
        room::make_room(&self.replay, bytes_max, || self.table.all());
    }
}
