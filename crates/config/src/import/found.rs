//! What files of other programs say about servers.

use std::path::PathBuf;
use std::time::Duration;

use super::text::Text;

/// What a file says. It may hold secrets, so it has no `Debug`.
pub struct Parsed {
    pub file: PathBuf,
    /// What kind of file it is, for people.
    pub format: &'static str,
    pub(crate) found: Vec<Found>,
    pub(crate) skipped: Vec<Skipped>,
}

/// A server as its file has it. It may hold secrets, so it has no `Debug`.
pub(crate) struct Found {
    pub(crate) name: String,
    pub(crate) run: Run,
    pub(crate) env: Vec<(String, Text)>,
    pub(crate) headers: Vec<(String, Text)>,
    pub(crate) cwd: Option<Text>,
    pub(crate) required: bool,
    pub(crate) start_timeout: Option<Duration>,
    /// What of it can't be carried over, and why.
    pub(crate) notes: Vec<String>,
}

pub(crate) enum Run {
    /// The program and its arguments; never empty.
    Command(Vec<Text>),
    Url(Text),
}

/// A server that can't be carried over.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Skipped {
    /// As its file calls it.
    pub name: String,
    pub file: PathBuf,
    pub reason: String,
}
