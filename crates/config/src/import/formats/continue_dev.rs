//! Continue: `mcpServers` of its YAML files, which is a list there.

use super::super::entry::{Context, Fields, Skip};
use super::super::found::Found;
use super::super::text::Dialect;
use super::super::tree::{find, is_table};
use super::collected::Collected;
use crate::document::{Node, Value};

pub(super) fn read(root: &Node, all: &mut Collected<'_>) {
    let Some(Node { value: Value::List(servers), .. }) = find(root, "mcpServers") else { return };
    all.is("Continue");
    let cx = Context::new(all.file, Dialect::Editor);
    for node in servers {
        let name = match find(node, "name") {
            Some(Node { value: Value::Text(name), .. }) => name.as_str(),
            _ => "server",
        };
        all.one(name, server(&cx, name, node));
    }
}

fn server<'a>(cx: &'a Context<'a>, name: &str, node: &'a Node) -> Result<Found, Skip> {
    let mut fields = Fields::new(cx, node)?;
    if find(node, "uses").is_some() {
        return Err(Skip("`uses` refers to a definition elsewhere".to_owned()));
    }
    fields.get("name");
    let options = fields.get("requestOptions").filter(|options| is_table(options));
    let headers = match options {
        Some(options) => Fields::new(cx, options)?.map("headers")?,
        None => Vec::new(),
    };
    let mut found = fields.server(name)?;
    for (key, raw) in headers {
        found.headers.push((key, cx.text(&raw, &[])?));
    }
    let other = |key: &&str| *key != "headers";
    let keys = options.map(Node::entries).unwrap_or_default().iter().map(|entry| &*entry.key);
    if keys.clone().any(|key| other(&key)) {
        found.notes.push("only `headers` of `requestOptions` is imported".to_owned());
    }
    Ok(found)
}
