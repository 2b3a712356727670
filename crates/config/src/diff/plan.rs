//! The plan of a change of the configuration, and questions about it.

use mainstay_model::Name;
use serde::Serialize;

/// All differences between two configurations: changes in the order of the new file, then removals
/// in the order of the old one.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Plan {
    pub servers: Vec<Change>,
    /// All servers in the order of the new file, unless new servers were only added at the end. The
    /// order decides which server keeps a name that two servers publish.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order: Option<Vec<Name>>,
    /// Groups of servers. The address of a single server comes and goes with the server.
    pub endpoints: Vec<Change>,
    pub services: Vec<Change>,
    pub volumes: Vec<Change>,
    pub externals: Vec<Change>,
    /// Settings of the daemon itself.
    pub gateway: Vec<SettingChange>,
}

/// A server, endpoint, service, volume or external that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    pub name: Name,
    #[serde(flatten)]
    pub kind: ChangeKind,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "change", rename_all = "snake_case")]
pub enum ChangeKind {
    Added,
    Removed,
    Changed {
        effect: Effect,
        /// The differing keys, as the file names them, sorted. Of a table of values, each key:
        /// `env.TOKEN`.
        keys: Vec<String>,
    },
}

/// What must be restarted for a change to take effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Nothing is restarted.
    InPlace,
    /// The service, or every instance of the server, is restarted.
    Restart,
}

/// A changed setting of the daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SettingChange {
    pub key: String,
    /// Whether the daemon must be restarted for the setting to take effect.
    pub needs_daemon_restart: bool,
}

// === impl Plan ===

impl Plan {
    /// Whether the two configurations say the same.
    pub fn is_empty(&self) -> bool {
        let Self { servers, order, endpoints, services, volumes, externals, gateway } = self;
        let named = [servers, endpoints, services, volumes, externals];
        named.iter().all(|changes| changes.is_empty()) && order.is_none() && gateway.is_empty()
    }

    /// The settings that only a restart of the daemon brings into force.
    pub fn needs_daemon_restart(&self) -> impl Iterator<Item = &SettingChange> {
        self.gateway.iter().filter(|setting| setting.needs_daemon_restart)
    }

    /// The servers after the plan was carried out, in their order; `before` are those before it.
    pub fn servers_after(&self, before: &[Name]) -> Vec<Name> {
        match &self.order {
            Some(order) => order.clone(),
            None => after(before, &self.servers),
        }
    }

    /// The groups after the plan was carried out, in no particular order; `before` are those before
    /// it.
    pub fn endpoints_after(&self, before: &[Name]) -> Vec<Name> {
        after(before, &self.endpoints)
    }
}

fn after(before: &[Name], changes: &[Change]) -> Vec<Name> {
    let is_removed = |name: &Name| {
        changes.iter().any(|it| it.name == *name && matches!(it.kind, ChangeKind::Removed))
    };
    let kept = before.iter().filter(|name| !is_removed(name));
    let added = changes.iter().filter(|it| matches!(it.kind, ChangeKind::Added));
    kept.chain(added.map(|it| &it.name)).cloned().collect()
}
