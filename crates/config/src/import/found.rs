//! Servers as the files of other programs describe them.

use std::path::PathBuf;
use std::time::Duration;

use super::text::Text;

/// The servers of a file. It may hold secrets, so it has no `Debug`.
pub struct Parsed {
    pub file: PathBuf,
    /// The format of the file, for people.
    pub format: &'static str,
    pub(crate) found: Vec<Found>,
    pub(crate) skipped: Vec<Skipped>,
}

/// A server as its file describes it. It may hold secrets, so it has no `Debug`.
pub(crate) struct Found {
    pub(crate) name: String,
    /// The keys of its table, from the top of the file. Empty: the usual table of the format.
    pub(crate) within: Vec<String>,
    pub(crate) run: Run,
    pub(crate) env: Vec<(String, Text)>,
    pub(crate) headers: Vec<(String, Text)>,
    pub(crate) cwd: Option<Text>,
    pub(crate) required: bool,
    pub(crate) start_timeout: Option<Duration>,
    /// Parts of the server that can't be imported, and why.
    pub(crate) notes: Vec<String>,
}

pub(crate) enum Run {
    /// The program and its arguments; never empty.
    Command(Vec<Text>),
    Url(Text),
}

/// A server that can't be imported.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Skipped {
    /// The server's name in its file.
    pub name: String,
    pub file: PathBuf,
    pub reason: String,
}
