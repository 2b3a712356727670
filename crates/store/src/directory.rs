//! A folder of small records that are of one life of the daemon: written often, and not brought to disk,
//! because a power cut ends what they are about.

#![expect(clippy::disallowed_methods, reason = "called on threads that may block")]

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

use crate::file;

/// A folder below the state folder, whether or not it is there. Every method waits for the disk.
#[derive(Debug, Clone)]
pub struct Directory {
    path: PathBuf,
}

/// More than any record has.
const RECORD_BYTES_MAX: u64 = 1 << 20;

// === impl Directory ===

impl Directory {
    pub(crate) fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// The folder with this name in this one.
    #[must_use]
    pub fn within(&self, name: &str) -> Self {
        Self::at(self.path.join(name))
    }

    /// Makes the folder, readable by its user alone.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn create(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.path)
    }

    /// Returns the names of what is in it; none where the folder is not there.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn names(&self) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        // Names that are no text are not ours.
        let names = entries.map(|entry| Ok(entry?.file_name().into_string().ok()));
        names.filter_map(Result::transpose).collect()
    }

    /// Returns a record; none where there is none, or it can't be read.
    pub fn get(&self, name: &str) -> Option<Vec<u8>> {
        file::read(&self.path.join(name), RECORD_BYTES_MAX).ok().flatten()
    }

    /// Puts a record in the place of the one with its name, in one step.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn put(&self, name: &str, content: &[u8]) -> io::Result<()> {
        file::replace_unsynced(&self.path.join(name), content)
    }

    /// # Errors
    /// When it can't be removed.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    /// Removes the folder with all that is in it. Somebody else may be at it too.
    ///
    /// # Errors
    /// When it can't be removed.
    pub fn delete(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
