//! OpenCode and others like it: servers right below `mcp`, variables in single braces.

use super::super::entry::{Context, Fields, Skip};
use super::super::found::Found;
use super::super::text::Dialect;
use super::super::tree::{find, is_table};
use super::collected::{Collected, table};
use crate::document::{Node, Value};

/// Whether a file names OpenCode's schema.
pub(super) fn is_named(root: &Node) -> bool {
    matches!(find(root, "$schema"), Some(Node { value: Value::Text(at), .. }) if at.contains("opencode"))
}

pub(super) fn read(root: &Node, all: &mut Collected<'_>) {
    let Some(servers) = table(root, "mcp") else { return };
    // Since the second version, servers are one level deeper, where editors have theirs.
    let deeper = table(servers, "servers").filter(|_| is_named(root));
    let servers = deeper.unwrap_or(servers);
    let is_server = |node: &Node| {
        is_table(node) && ["type", "command", "url"].iter().any(|key| find(node, key).is_some())
    };
    let entries = servers.entries();
    if !entries.is_empty() && entries.iter().all(|entry| is_server(&entry.node)) {
        all.is("OpenCode");
        let cx = Context::new(all.file, Dialect::Braces);
        all.each(&cx, servers, server);
    }
}

fn server<'a>(cx: &'a Context<'a>, name: &str, node: &'a Node) -> Result<Found, Skip> {
    Fields::new(cx, node)?.server(name)
}
