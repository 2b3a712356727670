//! The text of another program's file.

use std::path::{Path, PathBuf};

use crate::disk::read_text;
use crate::problem::{Place, Problems};

/// Largest file that is imported: assistants keep their history in the same file as their servers.
pub const IMPORT_BYTES_MAX: u64 = 64 << 20;

/// A file that has been read. It may hold secrets, so it has no `Debug`.
pub struct ImportFile {
    /// The path for messages.
    pub path: PathBuf,
    /// The absolute path.
    pub folder: PathBuf,
    /// The folder of the project that the file belongs to; none: it is the user's.
    pub workspace: Option<PathBuf>,
    name: String,
    pub(super) text: String,
}

// === impl ImportFile ===

impl ImportFile {
    /// Creates a file from its text. `path` is shown to users, and `full` locates files beside it.
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
    /// When it can't be read, is not UTF-8, or is larger than [`IMPORT_BYTES_MAX`].
    pub fn read(path: &Path, home: Option<&Path>) -> Result<Self, Problems> {
        let shown = || Place::File { file: path.to_owned() };
        let text = read_text(path, IMPORT_BYTES_MAX)
            .map_err(|error| Problems::one(shown(), format!("can't read it: {error}"), None))?;
        let full = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        Ok(Self::new(path, &full, home, &text))
    }
}

/// The folder of the project that a file belongs to: files in a folder such as `.vscode`, and files
/// that projects keep in their own folder. None for the user's own files in the home folder.
fn workspace_of(full: &Path, folder: &Path, home: Option<&Path>) -> Option<PathBuf> {
    const FOLDERS: [&str; 10] = [
        ".vscode",
        ".cursor",
        ".gemini",
        ".codex",
        ".zed",
        ".windsurf",
        ".roo",
        ".devcontainer",
        ".qwen",
        ".opencode",
    ];
    const FILES: [&str; 8] = [
        ".mcp.json",
        "mcp.json",
        "opencode.json",
        "opencode.jsonc",
        "compose.yaml",
        "compose.yml",
        "docker-compose.yaml",
        "docker-compose.yml",
    ];
    let name = |path: &Path| path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
    let around = if name(folder).is_some_and(|name| FOLDERS.contains(&&*name)) {
        folder.parent()
    } else if folder.ends_with(".config/opencode") {
        // The user's own, with the name that it has in projects.
        None
    } else if name(full).is_some_and(|name| FILES.contains(&&*name)) {
        Some(folder)
    } else {
        None
    };
    around.filter(|around| Some(*around) != home).map(Path::to_owned)
}
