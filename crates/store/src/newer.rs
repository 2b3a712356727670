//! The error for a file of a newer version.

use std::fmt;
use std::path::PathBuf;

/// Reports a file that a newer version of the daemon wrote, in a format that this version does not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Newer {
    pub path: PathBuf,
    /// The format of the file.
    pub found: u64,
    /// The newest format that this version reads.
    pub known: u64,
}

// === impl Newer ===

impl fmt::Display for Newer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, found, known } = self;
        write!(
            f,
            "{} has format {found}, and this version of Mainstay reads formats up to {known}: a newer \
             version has written it",
            path.display()
        )
    }
}

impl std::error::Error for Newer {}
