//! VS Code: `servers` and `inputs` of `.vscode/mcp.json`, or the same below `mcp` in settings.

use super::super::entry::{Context, Fields, Skip};
use super::super::found::Found;
use super::super::text::{Dialect, Input, is_variable, variable_name};
use super::super::tree::find;
use super::collected::{Collected, table};
use super::opencode;
use crate::document::{Node, Value};

pub(super) fn read(root: &Node, all: &mut Collected<'_>) {
    if opencode::is_named(root) {
        return;
    }
    let customizations =
        ["customizations", "vscode"].iter().try_fold(root, |node, key| table(node, key));
    let holders =
        [Some(root), table(root, "mcp"), customizations.and_then(|node| table(node, "mcp"))];
    for holder in holders.into_iter().flatten() {
        if let Some(servers) = table(holder, "servers") {
            each(servers, find(holder, "inputs"), all);
        }
    }
    if let Some(servers) = table(root, "mcp.servers") {
        each(servers, find(root, "mcp.inputs"), all);
    }
}

fn each(servers: &Node, inputs: Option<&Node>, all: &mut Collected<'_>) {
    all.is("VS Code");
    let mut cx = Context::new(all.file, Dialect::Editor);
    cx.inputs = inputs.map(read_inputs).unwrap_or_default();
    all.each(&cx, servers, server);
}

fn server<'a>(cx: &'a Context<'a>, name: &str, node: &'a Node) -> Result<Found, Skip> {
    Fields::new(cx, node)?.server(name)
}

/// Turns each input that the editor asks the user for into a variable of the environment.
fn read_inputs(inputs: &Node) -> Vec<Input> {
    let Value::List(inputs) = &inputs.value else { return Vec::new() };
    let text = |node: &Node, key| match find(node, key) {
        Some(Node { value: Value::Text(text), .. }) => Some(text.clone()),
        _ => None,
    };
    let read = inputs.iter().filter_map(|input| {
        let id = text(input, "id")?;
        let is_password =
            matches!(find(input, "password"), Some(Node { value: Value::Bool(true), .. }));
        let default =
            text(input, "default").filter(|default| !is_password && !default.contains('}'));
        let variable = if is_variable(&id) { id.to_ascii_uppercase() } else { variable_name(&id) };
        Some(Input { id, variable, default })
    });
    read.collect()
}
