//! Zed: `context_servers`.

use super::super::entry::{Context, Fields, Skip};
use super::super::found::Found;
use super::super::text::Dialect;
use super::super::tree::{find, is_table};
use super::collected::{Collected, table};
use crate::document::{Node, Value};

pub(super) fn read(root: &Node, all: &mut Collected<'_>) {
    if let Some(servers) = table(root, "context_servers") {
        all.is("Zed");
        let cx = Context::new(all.file, Dialect::Editor);
        all.each(&cx, servers, server);
    }
}

fn server<'a>(cx: &'a Context<'a>, name: &str, node: &'a Node) -> Result<Found, Skip> {
    let mut fields = Fields::new(cx, node)?;
    fields.refuse_disabled()?;
    fields.text("source")?;
    let command = find(node, "command");
    let is_extension = matches!(
        find(node, "source"),
        Some(Node { value: Value::Text(source), .. }) if source == "extension"
    );
    if is_extension || command.is_none() && find(node, "url").is_none() {
        return Err(Skip("it belongs to an extension, which only Zed can start".to_owned()));
    }
    // Until 2025, the command was a table.
    let Some(command) = command.filter(|command| is_table(command)) else {
        return fields.server(name);
    };
    let as_today = Node {
        at: command.at.clone(),
        value: Value::Table(
            command
                .entries()
                .iter()
                .cloned()
                .map(|mut entry| {
                    if entry.key == "path" {
                        entry.key = "command".to_owned();
                    }
                    entry
                })
                .collect(),
        ),
    };
    let mut found = {
        let fields = Fields::new(cx, &as_today)?;
        fields.server(name)?
    };
    if find(node, "settings").is_some() {
        found.notes.push("`settings` is left out: it has no equivalent".to_owned());
    }
    Ok(found)
}
