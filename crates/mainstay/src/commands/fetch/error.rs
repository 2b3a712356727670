//! Why a fetch failed.

use std::time::Duration;

use super::tool::ToolError;
use crate::packages::record::{Changed, RecordError};

/// Why a package was not fetched.
#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error(transparent)]
    Tool(#[from] ToolError),
    #[error("{name} {version} is not in the registry")]
    NoVersion { name: String, version: String },
    #[error("{0} is not in the registry")]
    NoPackage(String),
    #[error("{0} gave an answer that can't be parsed")]
    Answer(&'static str),
    #[error(transparent)]
    Changed(#[from] Changed),
    #[error(
        "{name} {version} was installed with the digest {found}, which the registry does not have"
    )]
    Digest { name: String, version: String, found: String },
    #[error("{0} has no program, or several and none with its name; name one in the command")]
    NoProgram(String),
    #[error("{package} has no program {program:?}")]
    MissingProgram { package: String, program: String },
    #[error("the folder of packages can't be used")]
    Folder(#[source] std::io::Error),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error("the fetch took longer than {} s, the `fetch_timeout` of the server", .0.as_secs())]
    TooLong(Duration),
}
