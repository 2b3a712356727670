//! The configuration in force: when it was read, whether it has changed since, and how reloads went.

use mainstay_model::Need;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::words;

/// The configuration in force.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Configuration {
    /// The file that the daemon reads, as an absolute path. None: there was none at its start.
    #[schema(required)]
    pub file: Option<String>,
    /// When it was read last and found valid, as RFC 3339.
    pub read_at: String,
    /// Whether the file, or a file with a secret that it refers to, has changed since. Looked at every few
    /// seconds.
    pub is_changed: bool,
    /// Whether what has changed since was read, and found wrong.
    #[serde(default)]
    pub is_wrong: bool,
    /// `manual` or `watch`: `gateway.reload`.
    pub reload: String,
    /// The reload that is under way.
    #[schema(required)]
    pub current: Option<Reload>,
    /// The reload that ended last; with `?reload=NUMBER` that one, once it has ended.
    #[schema(required)]
    pub last: Option<Reload>,
    /// The last reload that had something to change, if `last` had nothing to change or could not be carried out.
    #[schema(required)]
    pub last_change: Option<Reload>,
}

/// A reload: what is to change, and what became of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Reload {
    /// Counted from 1 since the daemon started. 0: nothing was to be changed.
    pub number: u64,
    /// `command`, `signal`, or `change` of a file.
    pub asked_by: String,
    /// When it began, as RFC 3339.
    pub began_at: String,
    /// How long it took, or has taken until now, in milliseconds.
    pub took_ms: u64,
    /// `unchanged`, `applied`, `incomplete` (something kept its settings, or is not ready), `refused` (the
    /// configuration is wrong, and nothing was changed), `unread` (the disk of the configuration did not answer,
    /// and nothing was changed) or `interrupted` (the daemon stopped). None while it is under way.
    #[schema(required)]
    pub outcome: Option<String>,
    /// What is wrong with the configuration, and warnings. Without texts and places for others than the operator.
    pub problems: Vec<ConfigurationProblem>,
    /// The servers, services, volumes and externals that change.
    pub nodes: Vec<ReloadNode>,
    /// The groups of servers that change: `NAME: added`, `NAME: removed`, or the keys that differ, as in
    /// `NAME: servers, prefix`. They change at once.
    pub groups: Vec<String>,
    /// Whether the order of servers changes, which decides who keeps a name that two of them publish.
    pub order: bool,
    /// The settings of the daemon that change at once.
    pub settings: Vec<String>,
    /// The settings of the daemon that wait for its restart.
    pub waits_for_restart: Vec<String>,
}

/// What is known of one reload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AskedReload {
    Ended(Box<Reload>),
    /// It waits, or is being carried out.
    UnderWay,
    /// It was never asked for, or ended too long ago.
    Unknown,
}

/// One node that changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReloadNode {
    #[schema(schema_with = words::need)]
    pub node: Need,
    /// `added`, `removed`, `in_place`, or `restart`: a new instance takes the place of the old one.
    pub change: String,
    /// The keys that differ. Never their values.
    pub keys: Vec<String>,
    /// What is being done. None before and after that.
    #[schema(required)]
    pub doing: Option<String>,
    /// `done`, `held` (the new settings are in force, and it waits for a need or was stopped by hand), `not_ready`
    /// (the new settings are in force), `kept` (the old settings are in force) or `interrupted`. None before the
    /// end.
    #[schema(required)]
    pub outcome: Option<String>,
    /// Why it is not `done`. For the operator only.
    #[schema(required)]
    pub reason: Option<String>,
}

/// Something that is wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConfigurationProblem {
    /// `error` or `warning`.
    pub severity: String,
    /// The key that is wrong. Empty for none.
    pub key: String,
    /// As `mainstay check` prints it, with its place and its line. Empty for others than the operator.
    pub text: String,
}

// === impl Reload ===

impl Reload {
    /// What anybody may see of it.
    #[must_use]
    pub fn briefly(mut self) -> Self {
        self.problems.iter_mut().for_each(|problem| problem.text.clear());
        self.nodes.iter_mut().for_each(|node| node.reason = None);
        self
    }

    /// Whether nothing differs from what is in force.
    pub fn is_empty(&self) -> bool {
        let Self { nodes, groups, settings, waits_for_restart, .. } = self;
        nodes.is_empty()
            && groups.is_empty()
            && settings.is_empty()
            && waits_for_restart.is_empty()
            && !self.order
    }

    /// Whether the configuration is wrong.
    pub fn is_refused(&self) -> bool {
        self.problems.iter().any(|problem| problem.severity == "error") && !self.is_unread()
    }

    /// Whether the configuration could not be read in time.
    pub fn is_unread(&self) -> bool {
        self.outcome.as_deref() == Some("unread")
    }
}
