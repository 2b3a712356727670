//! Events of what is kept over the daemon's end.

use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use tracing::{debug, info, warn};

use super::service::chain;
use crate::correlation::CorrelationId;
use crate::metrics::Metrics;

/// What became of sessions can't be written. Said once until it can be again.
#[derive(Debug)]
pub struct StoreFailing<'a> {
    pub path: &'a Path,
    pub error: &'a (dyn Error + 'static),
    /// Nothing was wrong before.
    pub is_first: bool,
}

/// It can be written again, and everything is.
#[derive(Debug)]
pub struct StoreRecovered<'a> {
    pub path: &'a Path,
    pub after: Duration,
}

/// What an earlier daemon left is not all as it was written.
#[derive(Debug)]
pub struct StoreDamaged<'a> {
    pub path: &'a Path,
    /// Where it can be looked at, if it could be put there.
    pub aside: Option<&'a Path>,
    /// What is wrong with it.
    pub problem: &'a str,
}

/// A session of an earlier daemon goes on in this one.
#[derive(Debug)]
pub struct SessionRestored {
    pub subscriptions: usize,
}

/// A client has ended its session and was told so before that was written: the disk took too long.
/// Throttled.
#[derive(Debug)]
pub struct EndUnwritten<'a> {
    pub request_id: &'a CorrelationId,
    /// How long it was waited for.
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
                "what became of sessions can't be stored; a restart of the daemon would lose it"
            );
        }
    }
}

impl StoreRecovered<'_> {
    pub fn emit(self, _: &Metrics) {
        let (path, after_s) = (self.path.display(), self.after.as_secs());
        info!(target: "mainstay", %path, after_s, "what became of sessions is stored again");
    }
}

impl StoreDamaged<'_> {
    pub fn emit(self, _: &Metrics) {
        let (path, problem) = (self.path.display(), self.problem);
        let aside = self.aside.map(Path::display).map(tracing::field::display);
        warn!(
            target: "mainstay", %path, aside, problem,
            "what was stored of sessions is damaged; what can be read of it is used"
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
            "the end of a session is not written yet; a crash of the daemon now would bring it back"
        );
    }
}
