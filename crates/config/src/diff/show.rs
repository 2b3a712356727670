//! Prints a plan with a line for each change: `+` added, `-` removed, `~` changed.

use std::fmt;

use mainstay_model::Name;

use super::{Change, ChangeKind, Effect, Plan, SettingChange};

impl fmt::Display for Plan {
    /// Writes the plan, each line with a line break at its end; an empty plan is one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return writeln!(f, "nothing changes");
        }
        for change in &self.servers {
            line(f, "server", change)?;
        }
        if let Some(order) = &self.order {
            let names: Vec<_> = order.iter().map(Name::as_str).collect();
            writeln!(f, "~ the order of servers: {}", names.join(", "))?;
        }
        let named = [
            ("endpoint", &self.endpoints),
            ("service", &self.services),
            ("volume", &self.volumes),
            ("external", &self.externals),
        ];
        for (what, changes) in named {
            changes.iter().try_for_each(|change| line(f, what, change))?;
        }
        for SettingChange { key, needs_daemon_restart } in &self.gateway {
            let what = if *needs_daemon_restart {
                "changes when the daemon is restarted"
            } else {
                "changes in place"
            };
            writeln!(f, "~ {key} {what}")?;
        }
        Ok(())
    }
}

fn line(f: &mut fmt::Formatter<'_>, what: &str, Change { name, kind }: &Change) -> fmt::Result {
    match kind {
        ChangeKind::Added => writeln!(f, "+ {what} {name} is added"),
        ChangeKind::Removed => writeln!(f, "- {what} {name} is removed"),
        ChangeKind::Changed { effect, keys } => {
            let how = match effect {
                Effect::InPlace => "changes in place",
                Effect::Restart => "is restarted",
            };
            let keys: Vec<_> = keys.iter().map(|key| format!("{key} changed")).collect();
            writeln!(f, "~ {what} {name} {how}: {}", keys.join(", "))
        }
    }
}
