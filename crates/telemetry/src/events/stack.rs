//! Events of services and externals.

use std::time::{Duration, SystemTime};

use mainstay_model::status::InstanceState;
use mainstay_model::{Condition, InstanceId, Name};
use tracing::{error, info, warn};

use super::instance::{lines, millis};
use crate::changes::Change;
use crate::metrics::Metrics;

/// The condition of a service or an external changed.
#[derive(Debug)]
pub struct NodeChanged<'a> {
    pub name: &'a Name,
    /// None for an external.
    pub instance: Option<InstanceId>,
    pub from: Condition,
    pub to: Condition,
    /// The reason for the operator.
    pub reason: Option<String>,
    /// The reason without what only the operator may know.
    pub brief_reason: Option<String>,
}

/// The process of a service was started.
#[derive(Debug)]
pub struct ServiceStarted<'a> {
    pub service: &'a Name,
    pub pid: u32,
    /// Whether this is a restart after a loss.
    pub again: bool,
}

/// A service is ready: its process runs, and its probe passed.
#[derive(Debug)]
pub struct ServiceReady<'a> {
    pub service: &'a Name,
    /// The time since the start.
    pub took: Duration,
}

/// A service ended, hangs, or is unhealthy.
#[derive(Debug)]
pub struct ServiceEnded<'a> {
    pub service: &'a Name,
    /// The state that it is in now.
    pub state: InstanceState,
    pub reason: &'a str,
    /// The first and the last lines that it wrote. None if they are as they were the last time.
    pub last_output: Option<&'a str>,
    /// The time until the restart. None: immediately, or never.
    pub retry_in: Option<Duration>,
}

/// An external was reached again, or is not reached any more.
#[derive(Debug)]
pub struct ExternalSeen<'a> {
    pub external: &'a Name,
    pub is_ready: bool,
    pub reason: Option<&'a str>,
}

// === emit ===

impl NodeChanged<'_> {
    pub fn emit(self, metrics: &Metrics) {
        let Self { name, instance, from, to, reason, brief_reason } = self;
        let (server, at) = (Some(name.clone()), SystemTime::now());
        let change = Change { at, server, instance, from, to, reason, brief_reason };
        metrics.changes().make_known(&change);
    }
}

impl ServiceStarted<'_> {
    pub fn emit(self, _: &Metrics) {
        let Self { service, pid, again } = self;
        info!(target: "mainstay", %service, pid, again, "service started");
    }
}

impl ServiceReady<'_> {
    pub fn emit(self, _: &Metrics) {
        let took_ms = millis(self.took);
        info!(target: "mainstay", service = %self.service, took_ms, "service ready");
    }
}

impl ServiceEnded<'_> {
    pub fn emit(self, _: &Metrics) {
        let Self { service, state, reason, last_output, retry_in } = self;
        let (retry_in_ms, last_output) = (retry_in.map(millis), last_output.map(lines));
        let state = state.as_str();
        match state {
            "done" | "stopped" => {
                info!(target: "mainstay", %service, state, reason, "service ended");
            }
            "crash-looping" | "failed" => error!(
                target: "mainstay",
                %service, state, reason, last_output, retry_in_ms, "service failed"
            ),
            _ => warn!(
                target: "mainstay",
                %service, state, reason, last_output, retry_in_ms, "service lost"
            ),
        }
    }
}

impl ExternalSeen<'_> {
    pub fn emit(self, _: &Metrics) {
        let Self { external, is_ready, reason } = self;
        match is_ready {
            true => info!(target: "mainstay", %external, "external is ready"),
            false => warn!(target: "mainstay", %external, reason, "external is not ready"),
        }
    }
}

/// A time as people say it: in milliseconds within a second, and in seconds, minutes or hours beyond.
pub fn rounded(time: Duration) -> String {
    match time.as_secs() {
        0 => format!("{} ms", time.as_millis()),
        seconds @ 1..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::rounded;

    #[test]
    fn times_are_short() {
        let said = [40, 999, 1000, 119_000, 120_000, 7_199_000, 7_200_000, 90_000_000];
        let said = said.map(|ms| rounded(Duration::from_millis(ms)));
        assert_eq!(said, ["40 ms", "999 ms", "1 s", "119 s", "2 min", "119 min", "2 h", "25 h"]);
    }
}
