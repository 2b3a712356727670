//! Changes of the condition of servers and of the daemon. The events of instances say in the log what
//! happened; these say what it means, are stored, and are told to people.

use std::time::SystemTime;

use mainstay_model::{Condition, InstanceId, Name};

use crate::changes::Change;
use crate::metrics::Metrics;

/// The condition of a server changed.
#[derive(Debug)]
pub struct ServerChanged<'a> {
    pub server: &'a Name,
    /// The instance because of which it changed.
    pub instance: InstanceId,
    pub from: Condition,
    pub to: Condition,
    /// The reason for the operator.
    pub reason: Option<String>,
    /// The reason without what only the operator may know.
    pub brief_reason: Option<String>,
}

/// The daemon started, drains, or stopped.
#[derive(Debug)]
pub struct DaemonChanged {
    pub from: Condition,
    pub to: Condition,
    pub reason: Option<String>,
}

/// A reload of the configuration ended, for the daemon or for one of its parts.
#[derive(Debug)]
pub struct ConfigurationReloaded<'a> {
    /// The server, service, volume or external. None: the whole reload.
    pub of: Option<&'a Name>,
    /// Whether the new settings are in force.
    pub is_in_force: bool,
    /// What was changed, or why it was not, for the operator.
    pub reason: String,
    /// The same without what only the operator may know.
    pub brief_reason: String,
}

// === emit ===

impl ServerChanged<'_> {
    pub fn emit(self, metrics: &Metrics) {
        let Self { server, instance, from, to, reason, brief_reason } = self;
        let (server, instance) = (Some(server.clone()), Some(instance));
        let at = SystemTime::now();
        let change = Change { at, server, instance, from, to, reason, brief_reason };
        metrics.changes().make_known(&change);
    }
}

impl DaemonChanged {
    pub fn emit(self, metrics: &Metrics) {
        let Self { from, to, reason } = self;
        let (server, instance, brief_reason) = (None, None, reason.clone());
        let at = SystemTime::now();
        let change = Change { at, server, instance, from, to, reason, brief_reason };
        metrics.changes().make_known(&change);
    }
}

impl ConfigurationReloaded<'_> {
    pub fn emit(self, metrics: &Metrics) {
        let Self { of, is_in_force, reason, brief_reason } = self;
        let to = if is_in_force { Condition::Reloaded } else { Condition::NotReloaded };
        let from = if of.is_none() { Condition::Running } else { to };
        let (at, server) = (SystemTime::now(), of.cloned());
        let (reason, brief_reason) = (Some(reason), Some(brief_reason));
        let change = Change { at, server, instance: None, from, to, reason, brief_reason };
        metrics.changes().make_known(&change);
    }
}
