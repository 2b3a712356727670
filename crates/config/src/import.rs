//! What other programs know about MCP servers, as servers of ours: text in, text out.
//!
//! ```text
//!  file ─▶ tree ─▶ formats ─▶ Found ─▶ secrets ─▶ Plan (names, references, TOML) ─▶ verify
//! ```
//! Formats are told apart by what is in a file, never by its name. Values that look like secrets
//! leave a [`Plan`] only through [`SecretToWrite`]; nothing else in it holds one.

mod build;
mod emit;
mod entry;
mod foreign;
mod formats;
mod identity;
mod plan;
mod refer;
mod secrets;
mod shapes;
pub(crate) mod shell;
mod text;
mod tree;
mod verify;
mod yaml;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub use plan::{
    Added, Already, Plan, PlanRequest, Renamed, SecretHome, SecretToWrite, VariableToSet, plan,
};
pub use verify::{Configured, configured, verify};

pub(crate) use tree::{JSON_OPTIONS, find, problem_at};

use crate::disk::read_text;
use crate::document::Node;
use crate::problem::{Place, Problems};
use text::Text;

/// Assistants keep their history in the same file as their servers; more is some other file.
pub const IMPORT_BYTES_MAX: u64 = 64 << 20;

/// A file that has been read. It may hold secrets, so it has no `Debug`.
pub struct ImportFile {
    /// As it is shown.
    pub path: PathBuf,
    /// In full.
    pub folder: PathBuf,
    /// The folder of the project that the file belongs to; none: it is the user's.
    pub workspace: Option<PathBuf>,
    name: String,
    text: String,
}

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

// === impl ImportFile ===

impl ImportFile {
    /// A file of this text; `path` as it is shown, `full` to find what belongs to it.
    pub fn new(path: &Path, full: &Path, home: Option<&Path>, text: &str) -> Self {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text).to_owned();
        let folder = full.parent().unwrap_or(Path::new("/")).to_owned();
        let workspace = workspace_of(full, &folder, home);
        let name = full.file_name().map(|name| name.to_string_lossy().into_owned());
        Self { path: path.to_owned(), folder, workspace, name: name.unwrap_or_default(), text }
    }

    pub(crate) fn name(&self) -> String {
        self.name.clone()
    }

    /// Reads a file of this machine.
    ///
    /// # Errors
    /// When it can't be read, is no UTF-8, or is larger than [`IMPORT_BYTES_MAX`].
    pub fn read(path: &Path, home: Option<&Path>) -> Result<Self, Problems> {
        let shown = || Place::File { file: path.to_owned() };
        let text = read_text(path, IMPORT_BYTES_MAX)
            .map_err(|error| Problems::one(shown(), format!("can't read it: {error}"), None))?;
        let full = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        Ok(Self::new(path, &full, home, &text))
    }
}

/// Reads what a file says about servers.
///
/// # Errors
/// When the text can't be read as what it looks like, with line and column, and when nothing in it
/// is known.
pub fn parse(file: &ImportFile) -> Result<Parsed, Problems> {
    let tree = tree::parse(&file.text).map_err(|error| error.problems(file))?;
    formats::read(file, &tree).ok_or_else(|| {
        let help = "known are `mcpServers`, `servers` and `mcp.servers`, `mcp`, `context_servers`, \
                    `extensions`, `[mcp_servers.NAME]`, and `services` of compose files";
        Problems::one(
            Place::File { file: file.path.clone() },
            "it names no servers in any way that is known".to_owned(),
            Some(help.to_owned()),
        )
    })
}

/// JSON with comments, as a value; the order of its keys is lost.
///
/// # Errors
/// When it can't be read, with line and column.
pub(crate) fn json_tree(path: &Path, text: &str) -> Result<serde_json::Value, Problems> {
    match tree::json(text) {
        Ok(node) => Ok(node.to_json()),
        Err(broken) => Err(broken.problems_in(path, text)),
    }
}

/// YAML, as a tree that knows where everything stands.
///
/// # Errors
/// When it can't be read, with line and column.
pub(crate) fn yaml_tree(path: &Path, text: &str) -> Result<Node, Problems> {
    yaml::parse(text).map_err(|broken| broken.problems_in(path, text))
}

/// Files in a folder such as `.vscode` belong to the project around it, except in the home folder,
/// where they are the user's. The same goes for files that projects keep in their own folder.
fn workspace_of(full: &Path, folder: &Path, home: Option<&Path>) -> Option<PathBuf> {
    const FOLDERS: [&str; 8] =
        [".vscode", ".cursor", ".gemini", ".codex", ".zed", ".windsurf", ".roo", ".devcontainer"];
    const FILES: [&str; 6] = [
        ".mcp.json",
        "mcp.json",
        "compose.yaml",
        "compose.yml",
        "docker-compose.yaml",
        "docker-compose.yml",
    ];
    let name = |path: &Path| path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
    let around = if name(folder).is_some_and(|name| FOLDERS.contains(&&*name)) {
        folder.parent()
    } else if name(full).is_some_and(|name| FILES.contains(&&*name)) {
        Some(folder)
    } else {
        None
    };
    around.filter(|around| Some(*around) != home).map(Path::to_owned)
}
