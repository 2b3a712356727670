//! The formats, one file each, and which of them a file is in.

mod codex;
mod compose;
mod continue_dev;
mod goose;
mod mcp_servers;
mod opencode;
mod vscode;
mod zed;

use super::entry::{Context, Skip};
use super::tree::{Notation, Tree, find, is_table};
use super::{Found, ImportFile, Parsed, Skipped};
use crate::document::Node;

/// The servers of one file while they are collected.
struct Collected<'a> {
    file: &'a ImportFile,
    parsed: Parsed,
}

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

/// The table of this key, where it is one.
fn table<'a>(node: &'a Node, key: &str) -> Option<&'a Node> {
    find(node, key).filter(|node| is_table(node))
}

// === impl Collected ===

impl Collected<'_> {
    fn is(&mut self, format: &'static str) {
        if self.parsed.format.is_empty() {
            self.parsed.format = format;
        }
    }

    /// Reads each server of a table.
    fn each<'a>(
        &mut self,
        cx: &'a Context<'a>,
        servers: &'a Node,
        read: impl Fn(&'a Context<'a>, &str, &'a Node) -> Result<Found, Skip>,
    ) {
        for entry in servers.entries() {
            self.one(&entry.key, read(cx, &entry.key, &entry.node));
        }
    }

    fn one(&mut self, name: &str, read: Result<Found, Skip>) {
        match read {
            Ok(found) => self.parsed.found.push(found),
            Err(Skip(reason)) => self.skip(name, reason),
        }
    }

    fn skip(&mut self, name: &str, reason: String) {
        let file = self.file.path.clone();
        self.parsed.skipped.push(Skipped { name: name.to_owned(), file, reason });
    }
}
