//! The lock of a file that a command reads, changes and writes: commands that change the same file run one
//! after another, so that none loses what another wrote.

#![expect(clippy::disallowed_methods, reason = "a command of its own, which nobody else waits for")]

use std::fs::File;
use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use mainstay_config::Problems;
use mainstay_config::import::{Configured, configured};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::files;
use crate::cli::Shared;
use crate::exit::{Exit, Failure};

/// How long a command waits for another one that changes the same file.
const WAIT_MAX: Duration = Duration::from_secs(15);
/// How often it tries.
const TRY_EVERY: Duration = Duration::from_millis(15);

/// The right to change a file. It is a lock of the file's folder, because the file itself is replaced by a new
/// one, and because a lock of the folder leaves nothing behind.
#[derive(Debug)]
pub(super) struct FileLock {
    /// Closing it gives the lock back. None: the file system has no locks.
    _folder: Option<File>,
}

/// The configuration file and its text, with the lock to change it. `is_dry_run`: it is only read, and not
/// locked.
pub(super) fn locked_configuration(
    shared: &Shared,
    is_dry_run: bool,
) -> Result<(Configured, Option<FileLock>), Failure> {
    let request = shared.request(None);
    let read = || -> Result<Configured, Problems> { configured(&request) };
    let mut found = read()?;
    if is_dry_run {
        return Ok((found, None));
    }
    loop {
        let lock = FileLock::of(&found.path)?;
        let again = read()?;
        // Another command may have made a file that comes first.
        if again.path == found.path {
            return Ok((again, Some(lock)));
        }
        found = again;
    }
}

// === impl FileLock ===

impl FileLock {
    /// Waits until no other command changes this file, or another file in its folder.
    ///
    /// # Errors
    /// When the folder can't be made or opened, or another command holds the lock for too long.
    pub(super) fn of(path: &Path) -> Result<Self, Failure> {
        Self::within(path, WAIT_MAX)
    }

    fn within(path: &Path, limit: Duration) -> Result<Self, Failure> {
        let failed = |error: io::Error| {
            let message = format!("{} can't be changed: {error}", path.display());
            Failure::new(Exit::Failed, message)
        };
        let folder = files::folder_of(path).map_err(failed)?;
        let folder = File::open(&folder).map_err(failed)?;
        let begun = Instant::now();
        loop {
            match flock(&folder, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Self { _folder: Some(folder) }),
                Err(Errno::WOULDBLOCK | Errno::INTR) if begun.elapsed() < limit => {
                    thread::sleep(TRY_EVERY);
                }
                Err(Errno::WOULDBLOCK | Errno::INTR) => return Err(busy(path, limit)),
                // Some network file systems can't lock a folder.
                Err(Errno::NOTSUP | Errno::NOSYS | Errno::NOLCK | Errno::BADF | Errno::INVAL) => {
                    return Ok(Self { _folder: None });
                }
                Err(error) => return Err(failed(error.into())),
            }
        }
    }
}

fn busy(path: &Path, waited: Duration) -> Failure {
    let message = format!(
        "{} was not changed: another program has had its folder locked for {} s",
        path.display(),
        waited.as_secs()
    );
    Failure::new(Exit::Failed, message)
        .hint("wait until the other command has ended, and run this one again")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::time::Duration;

    use super::FileLock;

    #[test]
    fn a_file_is_changed_by_one_command_at_a_time_and_nothing_is_left_behind() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("new/a.toml"), folder.path().join("link"));
        let lock = FileLock::of(&path).unwrap();
        symlink(&path, &link).unwrap();
        fs::write(&path, "").unwrap();
        for same in [&path, &link] {
            let failure = FileLock::within(same, Duration::from_millis(30)).unwrap_err();
            assert!(failure.message().contains("another program has had"), "{failure:?}");
        }
        FileLock::within(&folder.path().join("other"), Duration::from_millis(30)).unwrap();
        drop(lock);
        FileLock::within(&path, Duration::from_millis(30)).unwrap();
        assert_eq!(fs::read_dir(folder.path().join("new")).unwrap().count(), 1);
    }
}
