//! The state folder: one owner for everything in it.
//!
//! ```text
//! STATE/format                what version of the folder this is
//! STATE/lock                  held by the daemon that runs with it
//! STATE/control.sock          the command socket
//! STATE/session.key           seals session ids
//! STATE/token.key             opens the API from another machine
//! STATE/sessions.journal      what became of sessions
//! STATE/names.json            published names
//! STATE/variants.json         what was found out about lists of servers
//! STATE/state.db              audit log, users, approvals, usage
//! STATE/processes/MARK/       what runs, for whoever comes after a daemon that was killed
//! STATE/daemon.log            what a daemon in the background logs
//! STATE/packages.json         what was fetched, into STATE/packages/
//! ```

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::database::Database;
use crate::directory::Directory;
use crate::document::Document;
use crate::embedded::{Embedded, SESSION_KEY};
use crate::journal::Journal;
use crate::keys::{KEY_BYTES, KeyName};
use crate::lock::{Claim, LockError, StateLock};
use crate::newer::Newer;
use crate::store::{Options, Store};
use crate::{Backend, file, formats, journal, keyfile};

/// Owns an open state folder. The folder belongs to this daemon until the value is dropped; nothing is
/// written to it afterwards.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// Whether a journal of sessions existed when the folder was opened.
    had_sessions: bool,
    lock: Arc<StateLock>,
}

/// The reasons why a state folder can't be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another daemon uses the folder.
    #[error(transparent)]
    Held(LockError),
    #[error(transparent)]
    Newer(Newer),
    #[error("can't {step} {}", path.display())]
    Io { step: &'static str, path: PathBuf, source: io::Error },
}

const SOCKET: &str = "control.sock";
const PROCESSES: &str = "processes";
const LOG_FILE: &str = "daemon.log";

// === impl Folder ===

impl Folder {
    /// Creates the folder if it is missing, readable by this user only, and locks it for this process.
    /// Waits for the disk.
    ///
    /// # Errors
    /// Returns an error when another daemon uses the folder, when a newer version has written something in
    /// it (nothing is changed then), and when the disk fails.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let lock = Arc::new(StateLock::acquire(path)?);
        let failed = |step| {
            let path = path.to_owned();
            move |source| OpenError::Io { step, path, source }
        };
        Self::check(path)?;
        let format = path.join(formats::FOLDER);
        let content = format!("{} {}\n", formats::FOLDER_HEADER, formats::FOLDER_FORMAT);
        let found = file::head(&format, content.len() + 1).map_err(failed("look into"))?;
        if found.as_deref() != Some(content.as_bytes()) {
            if found.is_some() {
                let aside =
                    file::copy_aside(&format).map_err(failed("copy the file `format` in"))?;
                tracing::warn!(
                    target: "mainstay", copy = %aside.display(),
                    "the file `format` of the state folder can't be read; it is written again"
                );
            }
            file::replace(&format, &[content.as_bytes()]).map_err(failed("write to"))?;
        }
        let had_sessions =
            file::head(&path.join(journal::FILE), 1).is_ok_and(|head| head.is_some());
        Ok(Self { path: path.to_owned(), had_sessions, lock })
    }

    /// Creates the folder if it is missing, readable by this user only, and nothing in it. Waits for the disk.
    ///
    /// # Errors
    /// Returns an error when that fails.
    pub fn create(path: &Path) -> io::Result<()> {
        Directory::at(path.to_owned()).create()
    }

    /// Returns the path of the log file of a daemon in the background.
    pub fn log_file(state_dir: &Path) -> PathBuf {
        state_dir.join(LOG_FILE)
    }

    /// Checks that this version may write to a state folder, for commands that write without opening it.
    /// Changes nothing. Waits for the disk.
    ///
    /// # Errors
    /// Returns an error when a newer version has written something in the folder, or it can't be read.
    pub fn check(path: &Path) -> Result<(), OpenError> {
        match formats::look(path) {
            Ok(None) => Ok(()),
            Ok(Some(newer)) => Err(OpenError::Newer(newer)),
            Err(source) => Err(OpenError::Io { step: "look into", path: path.to_owned(), source }),
        }
    }

    /// Returns the process id of the daemon that uses a state folder, for commands. None: no daemon uses it.
    /// Waits for the disk.
    ///
    /// # Errors
    /// When that can't be read.
    pub fn daemon(state_dir: &Path) -> io::Result<Option<u32>> {
        StateLock::holder(state_dir)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the path of the command socket.
    pub fn socket(&self) -> PathBuf {
        self.path.join(SOCKET)
    }

    /// Returns the device and inode numbers of what is at the path of the command socket. `None` if nothing
    /// is. Waits for the disk.
    ///
    /// # Errors
    /// Returns an error when the folder was removed or replaced, or can't be examined.
    pub fn socket_identity(&self) -> io::Result<Option<(u64, u64)>> {
        self.claim().check()?;
        file::identity(&self.socket())
    }

    /// Returns a key from a state folder, for commands. `None` if no daemon has created it yet. Waits for
    /// the disk.
    ///
    /// # Errors
    /// Returns an error when the key's file is damaged or can't be read, or when a newer version has
    /// written something in the folder.
    pub fn existing_key(
        state_dir: &Path,
        key: KeyName,
    ) -> Result<Option<[u8; KEY_BYTES]>, OpenError> {
        let path = state_dir.join(key.file());
        let failed = |source| OpenError::Io { step: "read", path: path.clone(), source };
        if let Some(newer) = formats::look(state_dir).map_err(failed)? {
            return Err(OpenError::Newer(newer));
        }
        keyfile::get(&path).map_err(failed)
    }

    /// Returns the folder of process records, for the daemon and for the cleanup after it.
    pub fn processes(state_dir: &Path) -> Directory {
        Directory::at(state_dir.join(PROCESSES))
    }

    /// Opens the file of findings about server lists and returns its content. Waits for the disk for at
    /// most two seconds.
    pub fn variants(&self) -> (Document, Option<Vec<u8>>) {
        Document::open(
            self.path.join(formats::FINDINGS_FILE),
            "findings about lists of servers",
            self.claim(),
        )
    }

    /// Opens all state that outlives the daemon. Waits for the disk. Problems with files or the folder are
    /// logged, and the backend starts with what could be read.
    ///
    /// # Errors
    /// Returns an error when a newer version has written a file.
    pub fn backend(&self, options: Options) -> Result<Backend, Newer> {
        let claim = self.claim();
        if !self.had_sessions {
            self.retire_key();
            // Before the new key, so that a key without a journal means that the journal was removed. A
            // failure is reported by the store, which writes the journal again.
            let _ = Journal::replace(&self.path.join(journal::FILE), b"");
        }
        let database = Arc::new(Database::open(&self.path, claim.clone())?);
        let sessions = Arc::new(Store::open(&self.path, claim.clone(), options));
        Ok(Embedded::open(&self.path, &claim, self.had_sessions, sessions, database).backend())
    }

    /// Sets a session key aside whose journal is gone. Only the journal tells which sessions have ended, so
    /// without it those would live again with the old key. With a new one all sessions of earlier daemons
    /// end.
    fn retire_key(&self) {
        let key = self.path.join(SESSION_KEY);
        if !file::head(&key, 1).is_ok_and(|head| head.is_some()) {
            return;
        }
        match file::set_aside(&key) {
            Ok(aside) => tracing::warn!(
                target: "mainstay", key = %aside.display(),
                "sessions.journal is gone from the state folder, so nothing tells which sessions have ended: \
                 all of them end, and session.key is set aside for a new one"
            ),
            Err(error) => tracing::warn!(
                target: "mainstay", %error,
                "sessions.journal is gone from the state folder, and session.key can't be set aside: sessions \
                 that were ended go on if their clients come back"
            ),
        }
    }

    fn claim(&self) -> Claim {
        StateLock::claim(&self.lock)
    }
}

impl From<LockError> for OpenError {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Held { .. } => Self::Held(error),
            LockError::Io { step, path, source } => Self::Io { step, path, source },
        }
    }
}

#[cfg(test)]
mod tests;
