//! `packages.json`: the record of packages that were fetched.

use std::path::{Path, PathBuf};

use crate::folder::OpenError;
use crate::newer::Newer;
use crate::{file, formats};

/// The file. Whoever fetches packages replaces it, whether or not a daemon runs; a daemon reads it when it
/// starts. What is in it is known to whoever writes it, but for its format.
#[derive(Debug, Clone)]
pub struct PackagesFile {
    path: PathBuf,
}

/// More than thousands of packages need.
const BYTES_MAX: u64 = 64 << 20;

// === impl PackagesFile ===

impl PackagesFile {
    /// The file of a state folder, whether or not it is there.
    #[must_use]
    pub fn of(state_dir: &Path) -> Self {
        Self { path: state_dir.join(formats::PACKAGES_FILE) }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the content; none where there is no file. Waits for the disk.
    ///
    /// # Errors
    /// When it can't be read, and when a newer version has written it.
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

    /// Replaces the file in one step. It holds no secret, and its writer may be another user than the one
    /// the daemon runs as, so everybody may read it. Waits for the disk.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn replace(&self, content: &[u8]) -> Result<(), OpenError> {
        file::replace_readable(&self.path, content).map_err(|source| self.failed("write", source))
    }

    fn failed(&self, step: &'static str, source: std::io::Error) -> OpenError {
        OpenError::Io { step, path: self.path.clone(), source }
    }
}
