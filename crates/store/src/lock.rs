//! A lock on the state folder, which limits it to one daemon.

#![expect(clippy::disallowed_methods, reason = "called on threads that may block")]

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;

use crate::file;

/// Holds the lock on a state folder. The kernel releases it when the value is dropped or the process ends.
#[derive(Debug)]
pub(crate) struct StateLock {
    path: PathBuf,
    file: File,
    /// The folder itself, locked as well: the file can be removed while it is locked. `None` where the file
    /// system has no locks on folders.
    _folder: Option<File>,
}

/// Checks that the state folder still belongs to this daemon. Every writer checks before it writes, because
/// a folder that was removed or replaced may belong to another daemon.
#[derive(Debug, Clone)]
pub(crate) enum Claim {
    Lock(Weak<StateLock>),
    /// Permits a test to write to a folder that is not locked.
    #[cfg(test)]
    Unchecked,
}

/// The error of a write to a folder that was removed or replaced.
const LOST: &str =
    "the state folder was removed or replaced; put it back, or restart the daemon to begin anew";

/// The reasons why the state folder could not be locked.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("the state folder {} is in use by another daemon{}", state_dir.display(), named(*pid))]
    Held { state_dir: PathBuf, pid: Option<u32> },
    #[error("can't {step} {}", path.display())]
    Io { step: &'static str, path: PathBuf, source: io::Error },
}

// === impl StateLock ===

impl StateLock {
    /// Locks the folder. Creates it if it is missing, with access for this user only.
    ///
    /// # Errors
    /// Returns [`LockError::Held`] when another daemon uses the folder, or the step that failed.
    pub(crate) fn acquire(state_dir: &Path) -> Result<Self, LockError> {
        let failed = |step, path: &Path| {
            let path = path.to_owned();
            move |source| LockError::Io { step, path, source }
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(state_dir)
            .map_err(failed("make the state folder", state_dir))?;
        let path = state_dir.join("lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            // A link would have its target emptied.
            .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
            .open(&path)
            .map_err(failed("open", &path))?;
        let held = |pid| LockError::Held { state_dir: state_dir.to_owned(), pid };
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(held(read_pid(&mut file))),
            Err(error) => return Err(failed("lock", &path)(error.into())),
        }
        let folder = File::open(state_dir).map_err(failed("open", state_dir))?;
        let folder = match flock(&folder, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Some(folder),
            // Another daemon's lock file was removed.
            Err(Errno::WOULDBLOCK) => return Err(held(None)),
            Err(_) => None,
        };
        write_pid(&mut file).map_err(failed("write", &path))?;
        Ok(Self { path, file, _folder: folder })
    }

    /// Returns the process id of the daemon that holds the lock on a folder. None: nobody holds it.
    ///
    /// # Errors
    /// When the lock can't be read.
    pub(crate) fn holder(state_dir: &Path) -> io::Result<Option<u32>> {
        let mut file = match File::open(state_dir.join("lock")) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let Some(pid) = read_pid(&mut file) else { return Ok(None) };
        // A daemon that was killed leaves its number. The lock that is taken to find that out ends with the
        // file, at once.
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => Ok(None),
            Err(Errno::WOULDBLOCK) => Ok(Some(pid)),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn claim(lock: &Arc<Self>) -> Claim {
        Claim::Lock(Arc::downgrade(lock))
    }
}

// === impl Claim ===

impl Claim {
    /// Returns an error when the lock was released, or the locked file was removed or replaced.
    pub(crate) fn check(&self) -> io::Result<()> {
        match self {
            Self::Lock(lock) => {
                let lock =
                    lock.upgrade().ok_or_else(|| io::Error::other("the folder is closed"))?;
                match file::is_at(&lock.path, &lock.file)? {
                    true => Ok(()),
                    false => Err(io::Error::other(LOST)),
                }
            }
            #[cfg(test)]
            Self::Unchecked => Ok(()),
        }
    }
}

impl Drop for StateLock {
    fn drop(&mut self) {
        // An empty file names no process to later readers. Closing the file releases the lock.
        let _ = self.file.set_len(0);
    }
}

// === impl LockError ===

impl LockError {
    /// Returns the process id of the daemon that holds the folder, if it is known.
    pub fn pid(&self) -> Option<u32> {
        match self {
            Self::Held { pid, .. } => *pid,
            Self::Io { .. } => None,
        }
    }
}

fn named(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(", process {pid}"))
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    // A process id is short. Longer content is not Mainstay's.
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{LockError, StateLock};

    #[test]
    fn the_second_is_told_who_the_first_is() {
        let outside = tempfile::tempdir().unwrap();
        let state = outside.path().join("deep").join("state");
        let first = StateLock::acquire(&state).unwrap();
        let refused = StateLock::acquire(&state).unwrap_err();
        let us = std::process::id();
        assert_eq!(refused.pid(), Some(us));
        assert!(refused.to_string().ends_with(&format!("process {us}")), "{refused}");
        drop(first);
        StateLock::acquire(&state).unwrap();
    }

    #[test]
    fn there_is_no_second_daemon_when_the_lock_file_is_removed() {
        let outside = tempfile::tempdir().unwrap();
        let state = outside.path().join("state");
        let first = StateLock::acquire(&state).unwrap();
        std::fs::remove_file(state.join("lock")).unwrap();
        let refused = StateLock::acquire(&state).unwrap_err();
        assert!(matches!(refused, LockError::Held { pid: None, .. }), "{refused}");
        drop(first);
        StateLock::acquire(&state).unwrap();
    }

    #[test]
    fn the_holder_is_named_until_the_lock_is_released() {
        let outside = tempfile::tempdir().unwrap();
        let state = outside.path().join("state");
        assert_eq!(StateLock::holder(&state).unwrap(), None);
        let lock = StateLock::acquire(&state).unwrap();
        assert_eq!(StateLock::holder(&state).unwrap(), Some(std::process::id()));
        drop(lock);
        assert_eq!(StateLock::holder(&state).unwrap(), None);
        // What a killed daemon leaves.
        std::fs::write(state.join("lock"), "4711\n").unwrap();
        assert_eq!(StateLock::holder(&state).unwrap(), None);
        StateLock::acquire(&state).unwrap();
    }

    #[test]
    fn a_folder_that_was_taken_away_is_not_claimed_until_it_is_back() {
        let outside = tempfile::tempdir().unwrap();
        let [state, elsewhere] = ["state", "elsewhere"].map(|name| outside.path().join(name));
        let lock = Arc::new(StateLock::acquire(&state).unwrap());
        let claim = StateLock::claim(&lock);
        claim.check().unwrap();
        std::fs::rename(&state, &elsewhere).unwrap();
        let lost = claim.check().unwrap_err().to_string();
        assert!(lost.contains("removed or replaced") && lost.contains("restart"), "{lost}");
        let other = StateLock::acquire(&state).unwrap();
        claim.check().unwrap_err();
        drop(other);
        std::fs::remove_dir_all(&state).unwrap();
        std::fs::rename(&elsewhere, &state).unwrap();
        claim.check().unwrap();
        drop(lock);
        claim.check().unwrap_err();
    }

    #[test]
    fn a_folder_that_can_not_be_is_no_other_daemon() {
        let outside = tempfile::tempdir().unwrap();
        let file = outside.path().join("file");
        std::fs::write(&file, "").unwrap();
        let refused = StateLock::acquire(&file.join("state")).unwrap_err();
        assert!(matches!(refused, LockError::Io { .. }) && refused.pid().is_none());
    }
}
