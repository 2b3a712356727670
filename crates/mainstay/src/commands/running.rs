//! The running daemon, as far as commands that change files have to know it.

#![expect(clippy::disallowed_methods, reason = "a command of its own, which nobody else waits for")]

use std::path::Path;
use std::time::Duration;

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
    let real = |file: &Path| std::fs::canonicalize(file).ok();
    status.config_file.as_ref().is_some_and(|used| {
        let used = Path::new(used);
        used == file || real(used).is_some_and(|used| real(file) == Some(used))
    })
}

/// The command that makes a running daemon take its configuration file again.
pub(super) fn restart(shared: &Shared) -> String {
    let state = Shared { state: shared.state.clone(), ..Shared::default() };
    format!("mainstay stop{} && mainstay up --detach{}", state.repeated(), shared.repeated())
}
