//! OpenCode and others like it: servers right below `mcp`, variables in single braces.

use super::super::entry::{Context, Fields, Skip};
use super::super::found::Found;
use super::super::text::Dialect;
use super::super::tree::{find, is_table};
use super::collected::{Collected, table};
use crate::document::{Node, Value};

/// Keys below `mcp` that are not servers.
const NO_SERVERS: [&str; 3] = ["servers", "timeout", "inputs"];

/// Whether a file is OpenCode's, by its schema or by the way that its servers are written.
pub(super) fn is_named(root: &Node) -> bool {
    let text = |node: &Node, key| match find(node, key) {
        Some(Node { value: Value::Text(text), .. }) => Some(text.clone()),
        _ => None,
    };
    let is_own = |node: &Node| matches!(text(node, "type").as_deref(), Some("local" | "remote"));
    let servers = table(root, "mcp").and_then(|mcp| table(mcp, "servers"));
    text(root, "$schema").is_some_and(|at| at.contains("opencode"))
        || servers.is_some_and(|servers| servers.entries().iter().any(|entry| is_own(&entry.node)))
}

pub(super) fn read(root: &Node, all: &mut Collected<'_>) {
    let Some(servers) = table(root, "mcp") else { return };
    let is_server = |node: &Node| {
        is_table(node) && ["type", "command", "url"].iter().any(|key| find(node, key).is_some())
    };
    let direct = || servers.entries().iter().filter(|entry| !NO_SERVERS.contains(&&*entry.key));
    if direct().any(|entry| is_server(&entry.node)) {
        all.is("OpenCode");
        let cx = Context::new(all.file, Dialect::Braces);
        for entry in direct() {
            all.one(&entry.key, server(&cx, &entry.key, &entry.node));
        }
    }
    // Since the second version, servers are one level deeper, where editors have theirs. It reads both.
    if let Some(deeper) = table(servers, "servers").filter(|_| is_named(root)) {
        all.is("OpenCode");
        let mut cx = Context::new(all.file, Dialect::Braces);
        cx.within = ["mcp", "servers"].map(str::to_owned).to_vec();
        all.each(&cx, deeper, server);
    }
}

fn server<'a>(cx: &'a Context<'a>, name: &str, node: &'a Node) -> Result<Found, Skip> {
    Fields::new(cx, node)?.server(name)
}
