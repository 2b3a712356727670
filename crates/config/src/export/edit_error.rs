//! Why a client's file stays as it is.

use crate::problem::Problems;

/// Why a client's file can't be edited.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// It can't be read, or holds something else where servers belong.
    #[error("{0}")]
    File(Problems),
}
