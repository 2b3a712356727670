//! `mcpServers`: Claude Desktop, Claude Code, Cursor, Windsurf, Cline, LM Studio, Gemini CLI, Qwen Code and many
//! more.

use std::path::PathBuf;

use super::super::entry::{Context, Fields, Skip};
use super::super::found::Found;
use super::super::text::Dialect;
use super::super::tree::{find, is_table};
use super::collected::{Collected, table};
use crate::document::Node;

pub(super) fn read(root: &Node, all: &mut Collected<'_>) {
    // Amp has it among the settings of an editor.
    for key in ["mcpServers", "amp.mcpServers"] {
        if let Some(servers) = table(root, key) {
            all.is("mcpServers");
            each(servers, None, Vec::new(), all);
        }
    }
    // Claude Code keeps the servers of a project under the project's folder.
    for project in table(root, "projects").map(Node::entries).unwrap_or_default() {
        let Some(servers) = table(&project.node, "mcpServers") else { continue };
        all.is("mcpServers");
        let within = ["projects", &project.key, "mcpServers"].map(str::to_owned);
        each(servers, Some(PathBuf::from(&project.key)), within.to_vec(), all);
    }
}

/// Reads a table of servers at the top of the file, as plugins have it.
pub(super) fn read_bare(root: &Node, all: &mut Collected<'_>) {
    let is_server = |node: &Node| {
        is_table(node)
            && ["command", "url", "httpUrl", "serverUrl"]
                .iter()
                .any(|key| find(node, key).is_some())
    };
    let entries = root.entries();
    if !entries.is_empty() && entries.iter().all(|entry| is_server(&entry.node)) {
        all.is("a table of servers");
        each(root, None, Vec::new(), all);
    }
}

fn each(servers: &Node, project: Option<PathBuf>, within: Vec<String>, all: &mut Collected<'_>) {
    let mut cx = Context::new(all.file, Dialect::Editor);
    cx.within = within;
    cx.folder = project.or(cx.folder);
    all.each(&cx, servers, server);
}

fn server<'a>(cx: &'a Context<'a>, name: &str, node: &'a Node) -> Result<Found, Skip> {
    Fields::new(cx, node)?.server(name)
}
