//! The error of an edit of a client's file.

use crate::problem::Problems;

/// Why a client's file can't be edited.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// The file can't be parsed, or has something other than a table where servers belong.
    #[error("{0}")]
    File(Problems),
}
