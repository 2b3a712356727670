//! Detects the format of a file and reads its servers. Each format is a module.

mod codex;
mod collected;
mod compose;
mod continue_dev;
mod goose;
mod mcp_servers;
mod opencode;
mod vscode;
mod zed;

use self::collected::Collected;
use super::file::ImportFile;
use super::found::Parsed;
use super::notation::Notation;
use super::tree::Tree;

/// Reads everything that is known in a file; none where nothing is.
pub(super) fn read(file: &ImportFile, tree: &Tree) -> Option<Parsed> {
    let parsed =
        Parsed { file: file.path.clone(), format: "", found: Vec::new(), skipped: Vec::new() };
    let mut all = Collected { file, parsed };
    let root = &tree.root;
    match tree.notation {
        Notation::Toml => codex::read(root, &mut all),
        Notation::Json | Notation::Yaml => {
            mcp_servers::read(root, &mut all);
            continue_dev::read(root, &mut all);
            vscode::read(root, &mut all);
            opencode::read(root, &mut all);
            goose::read(root, &mut all);
            zed::read(root, &mut all);
            compose::read(root, &mut all);
        }
    }
    if all.parsed.format.is_empty() {
        mcp_servers::read_bare(root, &mut all);
    }
    Some(all.parsed).filter(|parsed| !parsed.format.is_empty())
}
