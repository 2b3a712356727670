//! The running daemon, as far as commands that change files have to know it.

#![expect(clippy::disallowed_methods, reason = "a command of its own, which nobody else waits for")]

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use mainstay_admin::api::status::DaemonStatus;

use super::daemon;
use crate::cli::Shared;
use crate::exit::{Exit, Failure};

/// Deadline for the status: a daemon that hangs must not keep anybody from changing a file.
const ASK_WITHIN: Duration = Duration::from_secs(2);

/// The daemon of the state folder. None if there is none, or if it doesn't answer in time.
pub(super) fn running(shared: &Shared) -> Option<DaemonStatus> {
    let client = daemon::client(shared).ok()?.with_deadline(ASK_WITHIN);
    let status = daemon::block_on(async {
        client.status().await.map_err(|_| Failure::new(Exit::NoDaemon, ""))
    });
    status.ok()
}

/// Whether the daemon was started with this configuration file.
pub(super) fn uses(status: &DaemonStatus, file: &Path) -> bool {
    status.config_file.as_deref().is_some_and(|used| is_same(Path::new(used), file))
}

/// Whether two paths lead to the same file, also if it is not there any more.
pub(super) fn is_same(one: &Path, other: &Path) -> bool {
    let full = |file: &Path| std::path::absolute(file).ok();
    let real = |file: &Path| {
        let gone = || Some(full(file)?.parent()?.canonicalize().ok()?.join(file.file_name()?));
        file.canonicalize().ok().or_else(gone)
    };
    (full(one).is_some() && full(one) == full(other))
        || real(one).is_some_and(|one| real(other) == Some(one))
}

/// The configuration file of a daemon, if it has changed since the daemon read it, or tried to.
pub(super) fn newer_file(status: &DaemonStatus) -> Option<&str> {
    let file = status.config_file.as_deref()?;
    let changed = Path::new(file).metadata().and_then(|file| file.modified()).ok()?;
    // The daemon looks at its file every few seconds, and may not have seen the newest change.
    let configuration = &status.configuration;
    let read_at = configuration.read_at.parse::<Timestamp>().ok()?;
    let refused = configuration.last.as_ref().filter(|last| last.is_refused());
    let refused_at = refused.and_then(|last| last.began_at.parse().ok());
    let tried_at = refused_at.map_or(read_at, |refused_at| read_at.max(refused_at));
    let is_newer = Timestamp::try_from(changed).is_ok_and(|changed| changed > tried_at);
    (is_newer || (configuration.is_changed && !configuration.is_wrong)).then_some(file)
}

/// Says that the daemon runs with an older state of its file, if that is so.
pub(super) fn note_newer_file(status: &DaemonStatus, shared: &Shared) -> Option<String> {
    let file = newer_file(status)?;
    let reload = reload(shared);
    Some(format!("note: {file} has changed since the daemon read it: {reload}"))
}

/// The command that makes a running daemon read its configuration file again.
pub(super) fn reload(shared: &Shared) -> String {
    let state = Shared { state: shared.state.clone(), ..Shared::default() };
    format!("mainstay reload{}", state.repeated())
}

/// The command that restarts the daemon.
pub(super) fn restart(shared: &Shared) -> String {
    let state = Shared { state: shared.state.clone(), ..Shared::default() };
    format!("mainstay stop{} && mainstay up --detach{}", state.repeated(), shared.repeated())
}
