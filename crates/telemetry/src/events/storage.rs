//! Events of stored state, which outlives the daemon.

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use tracing::{debug, info, warn};

use super::service::chain;
use crate::correlation::CorrelationId;
use crate::metrics::Metrics;

/// The state of sessions can't be written. Logged once until writing succeeds again.
#[derive(Debug)]
pub struct StoreFailing<'a> {
    pub path: &'a Path,
    pub error: &'a (dyn Error + 'static),
    /// Whether this is the first failure since the last success.
    pub is_first: bool,
}

/// Writing succeeds again, and all state is stored.
#[derive(Debug)]
pub struct StoreRecovered<'a> {
    pub path: &'a Path,
    pub after: Duration,
}

/// The state of an earlier daemon is damaged.
#[derive(Debug)]
pub struct StoreDamaged<'a> {
    pub path: &'a Path,
    /// Where the damaged file was moved to, if that succeeded.
    pub aside: Option<&'a Path>,
    /// The damage.
    pub problem: &'a str,
}

/// A session of an earlier daemon was restored.
#[derive(Debug)]
pub struct SessionRestored {
    pub subscriptions: usize,
}

/// The end of a session was confirmed to the client before it was written, because the disk was too slow.
/// Throttled.
#[derive(Debug)]
pub struct EndUnwritten<'a> {
    pub request_id: &'a CorrelationId,
    /// How long the request waited for the disk.
    pub after: Duration,
}

// === emit ===

impl StoreFailing<'_> {
    pub fn emit(self, metrics: &Metrics) {
        metrics.store_failed();
        if self.is_first {
            let (path, error) = (self.path.display(), chain(self.error));
            warn!(
                target: "mainstay", %path, error,
                "session state can't be saved: a restart would lose it"
            );
        }
    }
}

impl StoreRecovered<'_> {
    pub fn emit(self, _: &Metrics) {
        let (path, after_s) = (self.path.display(), self.after.as_secs());
        info!(target: "mainstay", %path, after_s, "session state is saved again");
    }
}

impl StoreDamaged<'_> {
    pub fn emit(self, _: &Metrics) {
        let (path, problem) = (self.path.display(), self.problem);
        let aside = self.aside.map(Path::display).map(tracing::field::display);
        warn!(
            target: "mainstay", %path, aside, problem,
            "the saved session state is damaged; the intact part is used"
        );
    }
}

impl SessionRestored {
    pub fn emit(self, metrics: &Metrics) {
        metrics.session_restored();
        debug!(target: "mainstay", subscriptions = self.subscriptions, "session restored");
    }
}

impl EndUnwritten<'_> {
    pub fn emit(self, metrics: &Metrics) {
        let Some(held_back) = metrics.unwritten_lines().admit(Instant::now()) else { return };
        let request_id = self.request_id;
        let after_ms = u64::try_from(self.after.as_millis()).unwrap_or(u64::MAX);
        warn!(
            target: "mainstay", %request_id, after_ms, held_back,
            "the end of a session is not stored yet; a crash of the daemon now would restore the session"
        );
    }
}
