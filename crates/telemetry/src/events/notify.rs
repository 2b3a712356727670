//! Events of notifications about servers.

use std::time::Instant;

use mainstay_model::{ChangeKind, Name};
use tracing::{debug, warn};

use super::cut;
use crate::labels::Notified;
use crate::metrics::Metrics;

/// Somebody was told of a change of a server.
#[derive(Debug)]
pub struct NotificationSent<'a> {
    /// The section, such as `notify.1`.
    pub to: &'a str,
    pub server: &'a Name,
    pub event: ChangeKind,
}

/// Somebody could not be told, or not in time. Throttled.
#[derive(Debug)]
pub struct NotificationLost<'a> {
    pub to: &'a str,
    pub server: &'a Name,
    pub event: ChangeKind,
    pub outcome: Notified,
    pub reason: &'a str,
}

// === emit ===

impl NotificationSent<'_> {
    pub fn emit(self, metrics: &Metrics) {
        metrics.notified(Notified::Delivered);
        let Self { to, server, event } = self;
        debug!(target: "mainstay", to, %server, event = event.as_str(), "notification sent");
    }
}

impl NotificationLost<'_> {
    pub fn emit(self, metrics: &Metrics) {
        let Self { to, server, event, outcome, reason } = self;
        metrics.notified(outcome);
        let Some(held_back) = metrics.unnotified_lines().admit(Instant::now()) else { return };
        let reason = cut(reason.as_bytes());
        warn!(
            target: "mainstay", to, %server, event = event.as_str(), reason, held_back,
            "a notification was not delivered"
        );
    }
}
