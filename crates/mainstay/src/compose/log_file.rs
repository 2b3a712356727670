//! The log file of a daemon in the background. Standard error is that file, so that everything that the process
//! says is in it, and standard output as well once the daemon serves.
//!
//! The file is bounded: when it has 8 MiB it becomes `daemon.log.1`, in the place of an older one.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use mainstay_store::Folder;
use rustix::fs::{Mode, OFlags, rename, stat};
use rustix::stdio::{dup2_stderr, dup2_stdout};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

/// The size at which a file is put aside. One daemon writes a few kilobytes a day at the usual level.
const BYTES_MAX: i64 = 8 << 20;
/// How often the size is looked at. In this time a daemon at its loudest writes some megabytes.
const LOOK: Duration = Duration::from_secs(5);

/// The log file of this process.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    /// The standard error that the process was started with, until the daemon serves: whoever started it
    /// reads there why it does not.
    first_stderr: Option<OwnedFd>,
}

// === impl LogFile ===

impl LogFile {
    /// Makes the log file standard error. Creates the state folder if it is missing. Waits for the disk.
    ///
    /// # Errors
    /// When the file can't be opened.
    pub(super) fn take_over(state_dir: &Path) -> io::Result<Self> {
        Folder::create(state_dir)?;
        let path = Folder::log_file(state_dir);
        let file = open(&path)?;
        let first_stderr = Some(io::stderr().as_fd().try_clone_to_owned()?);
        dup2_stderr(&file)?;
        Ok(Self { path, first_stderr })
    }

    pub(super) fn path(&self) -> PathBuf {
        self.path.clone()
    }

    /// Makes the log file standard output as well. Whoever started the process sees from the end of both
    /// streams that the daemon serves.
    ///
    /// # Errors
    /// When the file can't be opened again.
    pub(super) fn let_go(&mut self) -> io::Result<()> {
        let file = open(&self.path)?;
        dup2_stdout(&file)?;
        self.first_stderr = None;
        Ok(())
    }

    /// Gives standard error back for the reason why the daemon does not serve. Without effect once it has
    /// served.
    pub(super) fn give_back(&mut self) {
        if let Some(first) = self.first_stderr.take() {
            // On failure the reason is in the log file.
            let _ = dup2_stderr(first);
        }
    }
}

/// Keeps the log file within its bounds, and opens it again on USR1 and HUP, for programs that put logs aside
/// themselves. Never returns.
pub(super) async fn keep(path: PathBuf) {
    let Ok(mut asked) = signal(SignalKind::user_defined1()) else { return };
    let Ok(mut reloaded) = signal(SignalKind::hangup()) else { return };
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let is_asked = tokio::select! {
            _ = asked.recv() => true,
            _ = reloaded.recv() => true,
            _ = looks.tick() => false,
        };
        let own = path.clone();
        let kept = tokio::task::spawn_blocking(move || keep_once(&own, is_asked, BYTES_MAX)).await;
        if let Ok(Err(error)) = kept {
            tracing::warn!(target: "mainstay", %error, "the log file can't be opened again");
        }
    }
}

/// Puts a file of this size aside, and opens a new one. `reopen`: opens the file again in any case.
fn keep_once(path: &Path, reopen: bool, bytes_max: i64) -> io::Result<()> {
    let is_full = stat(path).is_ok_and(|file| file.st_size >= bytes_max);
    if !is_full && !reopen {
        return Ok(());
    }
    if is_full {
        rename(path, aside(path))?;
    }
    let file = open(path)?;
    dup2_stdout(&file)?;
    dup2_stderr(&file)?;
    Ok(())
}

fn aside(path: &Path) -> PathBuf {
    let mut aside = OsString::from(path);
    aside.push(".1");
    aside.into()
}

fn open(path: &Path) -> io::Result<OwnedFd> {
    // A link would have another file written to.
    let flags =
        OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR)?)
}
