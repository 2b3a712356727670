//! The guard: a process that outlives the daemon and then ends the daemon's processes.
//!
//! The daemon holds one end of a pipe and the guard reads the other. However the daemon dies, the
//! kernel closes the pipe. The guard then ends the processes that it finds by record, mark and label.

use std::ffi::OsString;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use mainstay_supervisor::backoff::Backoff;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::records::{Folder, Mark};
use super::registry::{Claim, Kind, Starting};
use super::sweep::sweep;

/// How to start the guard: a program that calls [`guard_main`] with the same state folder.
#[derive(Debug, Clone)]
pub struct GuardCommand {
    pub program: PathBuf,
    pub args: Vec<OsString>,
}

/// A running guard. Closing its input is the signal it waits for.
pub(super) struct Guard {
    child: Child,
    claim: Claim,
    stdin: ChildStdin,
}

/// Longest time for the end of a guard that has nothing to do.
const GOODBYE: Duration = Duration::from_secs(5);

/// A guard that ran at least this long did not fail by itself; the next one is started at once.
const HEALTHY: Duration = Duration::from_secs(60);

/// Runs the guard: waits for the end of its input, sweeps, ends.
///
/// The guard has a session of its own and ignores HUP, INT and TERM, so that it is not ended
/// together with the daemon. It needs no runtime and no space on the disk.
pub fn guard_main(state_dir: &Path) -> ExitCode {
    // Failure means that it leads a group already, which is as good against a terminal's signals.
    let _ = rustix::process::setsid();
    let ignored = Arc::new(AtomicBool::new(false));
    for signal in [1, 2, 15] {
        // The handler sets a flag that is not read.
        if let Err(error) = signal_hook::flag::register(signal, Arc::clone(&ignored)) {
            say(&format!("can't ignore signal {signal}: {error}"));
        }
    }
    let mut orders = String::new();
    if let Err(error) = io::stdin().read_to_string(&mut orders) {
        say(&format!("can't wait for the end of the daemon: {error}"));
        return ExitCode::FAILURE;
    }
    let Some(mark) = Mark::parse(orders.trim()) else {
        say("standard input does not name the daemon to guard");
        return ExitCode::FAILURE;
    };
    // Sweeps even when the folder is gone: the daemon may have removed it, or a user.
    match sweep(&Folder::at(state_dir, mark)) {
        Ok(swept) if swept.is_empty() => ExitCode::SUCCESS,
        Ok(swept) => {
            let left = swept.iter().filter(|one| !one.ended).count();
            say(&format!("the daemon died; ended {} processes it left", swept.len() - left));
            if left == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            say(&format!("can't remove the records of the dead daemon: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Writes to the standard error that the daemon had, which may be closed.
fn say(text: &str) {
    let _ = writeln!(io::stderr(), "mainstay guard: {text}");
}

/// Keeps a guard running until `closing` is cancelled, then dismisses the guard.
pub(super) async fn keep(
    mut guard: Guard,
    command: GuardCommand,
    mark: Mark,
    closing: CancellationToken,
) {
    let mut deaths = 0;
    loop {
        let begun = tokio::time::Instant::now();
        tokio::select! {
            () = closing.cancelled() => return guard.dismiss().await,
            status = guard.child.wait() => {
                let status = status.map_or_else(|error| error.to_string(), |s| s.to_string());
                tracing::warn!(%status, "the guard died; starting another");
            }
        }
        deaths = if begun.elapsed() >= HEALTHY { 0 } else { deaths + 1 };
        guard = loop {
            if deaths > 1 {
                tokio::select! {
                    () = closing.cancelled() => return,
                    () = tokio::time::sleep(Backoff::default().wait(deaths - 2)) => {}
                }
            }
            match Guard::start(&command, &mark).await {
                Ok(guard) => break guard,
                Err(error) => tracing::error!(%error, "can't start a guard"),
            }
            deaths += 1;
        };
    }
}

// === impl Guard ===

impl Guard {
    pub(super) async fn start(command: &GuardCommand, mark: &Mark) -> io::Result<Self> {
        let starting = Starting::begin();
        let mut child = Command::new(&command.program)
            .args(&command.args)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()?;
        let missing = || io::Error::other("the guard has no input");
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).ok_or_else(missing)?;
        let claim = Claim::new(pid, Kind::Guard);
        drop(starting);
        let mut stdin = child.stdin.take().ok_or_else(missing)?;
        stdin.write_all(format!("{}\n", mark.as_str()).as_bytes()).await?;
        Ok(Self { child, claim, stdin })
    }

    /// Closes the guard's input and waits until the guard, finding no records, has ended.
    async fn dismiss(self) {
        let Self { mut child, claim, stdin } = self;
        drop(stdin);
        if timeout(GOODBYE, child.wait()).await.is_err() {
            tracing::warn!("the guard did not end in time");
        }
        drop(claim);
    }
}
