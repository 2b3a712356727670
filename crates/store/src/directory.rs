//! A folder of small records for one run of the daemon. They are written often and never synced, because a
//! power cut also ends the processes that they describe.

#![expect(clippy::disallowed_methods, reason = "called on threads that may block")]

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

use crate::file;

/// Names a folder below the state folder, which need not exist. Every method waits for the disk.
#[derive(Debug, Clone)]
pub struct Directory {
    path: PathBuf,
}

/// The largest size of a record, in bytes. No real record comes near it.
const RECORD_BYTES_MAX: u64 = 1 << 20;

// === impl Directory ===

impl Directory {
    pub(crate) fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Returns the subfolder with this name.
    #[must_use]
    pub fn within(&self, name: &str) -> Self {
        Self::at(self.path.join(name))
    }

    /// Creates the folder, readable by its user only.
    ///
    /// # Errors
    /// Returns an error when the folder can't be created.
    pub fn create(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.path)
    }

    /// Returns the names of the entries; none if the folder does not exist.
    ///
    /// # Errors
    /// Returns an error when the folder can't be read.
    pub fn names(&self) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        // Mainstay writes no names that are not UTF-8.
        let names = entries.map(|entry| Ok(entry?.file_name().into_string().ok()));
        names.filter_map(Result::transpose).collect()
    }

    /// Returns a record. `None` if it does not exist or can't be read.
    pub fn get(&self, name: &str) -> Option<Vec<u8>> {
        file::read(&self.path.join(name), RECORD_BYTES_MAX).ok().flatten()
    }

    /// Writes a record, atomically replacing the one with the same name.
    ///
    /// # Errors
    /// Returns an error when the record can't be written.
    pub fn put(&self, name: &str, content: &[u8]) -> io::Result<()> {
        file::replace_unsynced(&self.path.join(name), content)
    }

    /// Removes a record.
    pub fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    /// Removes the folder and its content. Another process may remove it at the same time.
    ///
    /// # Errors
    /// Returns an error when the folder can't be removed.
    pub fn delete(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
