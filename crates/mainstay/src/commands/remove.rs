//! `mainstay remove`: removes a server, a group, a service, a volume or an external from the configuration file, which keeps its comments, its
//! order and its format.

use std::path::Path;

use mainstay_config::edit::{RemoveError, Removed, remove};
use mainstay_config::import::{Configured, verify};
use serde_json::json;

use super::change::{Change, invalid};
use super::daemon::with_nearest;
use super::lock::locked_configuration;
use crate::cli::{RemoveArgs, Shared};
use crate::exit::{Exit, Failure};
use crate::output::Output;

pub(super) fn run(shared: &Shared, args: &RemoveArgs, out: &Output) -> Result<Exit, Failure> {
    let found = locked_configuration(shared, args.dry_run)?;
    let (Configured { path, text: Some(old) }, lock) = found else {
        return Err(Failure::new(Exit::Usage, "there is no configuration file")
            .hint("select one with --config FILE"));
    };
    let removed = remove(&path, &old, &args.name).map_err(|error| not_removed(&path, error))?;
    let loaded = verify(&path, Some(&old), &removed.text, &[])
        .map_err(|problems| invalid("removed", &problems))?;
    if removed.kind == "server" && loaded.settings.servers.is_empty() {
        let message = format!("`{}` is the only server of {}", args.name, path.display());
        return Err(Failure::new(Exit::Usage, message)
            .hint("a daemon needs one: add another first, `mainstay add NAME -- COMMAND`"));
    }
    let (new, dry_run) = (&removed.text, args.dry_run);
    let mut change = Change { shared, out, path: &path, old: &old, new, dry_run, lock };
    change.write()?;
    tell(&change, &args.name, &removed);
    Ok(Exit::Done)
}

fn tell(change: &Change<'_>, name: &str, removed: &Removed) {
    let Removed { kind, groups, notifications, secrets, .. } = removed;
    if change.out.json {
        change.json(json!({
            "removed": name, "kind": kind, "groups": groups, "notifications": notifications,
            "unused_secrets": secrets,
        }));
        return;
    }
    change.show(&format!("removed {kind} `{name}` from"));
    if !groups.is_empty() {
        change.line(&format!("it is no longer in these groups: {}", groups.join(", ")));
    }
    if !notifications.is_empty() {
        let sections = notifications.join(", ");
        change.line(&format!("these notifications no longer name it: {sections}"));
    }
    for secret in secrets {
        change.line(&format!("nothing refers to {secret} any more; the file was not deleted"));
    }
    change.tell_daemon(&format!("to stop serving `{name}`"));
}

fn not_removed(path: &Path, error: RemoveError) -> Failure {
    let failure = Failure::new(Exit::Usage, format!("{}: {error}", path.display()));
    match error {
        RemoveError::Broken(problems) => problems.into(),
        RemoveError::Unknown { name, names } => with_nearest(failure, &name, &names),
        RemoveError::Needed { need, .. } => {
            failure.hint(format!("take \"{need}\" out of `needs` there first"))
        }
        RemoveError::LastOfGroup { group, .. } => failure
            .hint(format!("`mainstay remove {group}` removes the group first"))
            .hint("or name another server in it"),
        RemoveError::LastOfNotify { .. } => failure
            .hint("remove that section first, or name another server in it")
            .hint("without `servers`, it would be about all servers"),
        RemoveError::Checked { .. } => failure.hint("remove that section of [[checks]] first"),
        RemoveError::Entangled { .. } => failure.hint("edit the file by hand"),
    }
}
