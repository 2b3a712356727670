//! `packages.json`: the record of fetched packages.

use std::path::{Path, PathBuf};

use crate::folder::OpenError;
use crate::newer::Newer;
use crate::{file, formats};

/// Reads and replaces the record of packages. Commands replace it, whether or not a daemon runs; a daemon
/// reads it when it starts. This crate knows only the format field of its content.
#[derive(Debug, Clone)]
pub struct PackagesFile {
    path: PathBuf,
}

/// The largest size of the file, in bytes: enough for thousands of packages.
const BYTES_MAX: u64 = 64 << 20;

// === impl PackagesFile ===

impl PackagesFile {
    /// Names the file in a state folder, which need not exist.
    #[must_use]
    pub fn of(state_dir: &Path) -> Self {
        Self { path: state_dir.join(formats::PACKAGES_FILE) }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the content. `None` if there is no file. Waits for the disk.
    ///
    /// # Errors
    /// Returns an error when the file can't be read, or when a newer version has written it.
    pub fn read(&self) -> Result<Option<Vec<u8>>, OpenError> {
        let content =
            file::read(&self.path, BYTES_MAX).map_err(|source| self.failed("read", source))?;
        let found = content.as_deref().and_then(formats::of_packages).unwrap_or_default();
        if found > formats::PACKAGES {
            let (path, known) = (self.path.clone(), formats::PACKAGES);
            return Err(OpenError::Newer(Newer { path, found, known }));
        }
        Ok(content)
    }

    /// Replaces the file atomically. Everyone may read it, because it contains no secret, and another user
    /// than the daemon's may write it. Waits for the disk.
    ///
    /// # Errors
    /// Returns an error when the file can't be written.
    pub fn replace(&self, content: &[u8]) -> Result<(), OpenError> {
        file::replace_readable(&self.path, content).map_err(|source| self.failed("write", source))
    }

    fn failed(&self, step: &'static str, source: std::io::Error) -> OpenError {
        OpenError::Io { step, path: self.path.clone(), source }
    }
}
