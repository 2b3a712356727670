//! Goose: `extensions` of its `config.yaml`.

use super::super::entry::{Context, Fields, Skip};
use super::super::found::{Found, Run};
use super::super::text::{Dialect, Text};
use super::super::tree::find;
use super::collected::{Collected, table};
use crate::document::{Node, Value};

pub(super) fn read(root: &Node, all: &mut Collected<'_>) {
    if let Some(extensions) = table(root, "extensions") {
        all.is("Goose");
        let cx = Context::new(all.file, Dialect::Editor);
        all.each(&cx, extensions, extension);
    }
}

fn extension<'a>(cx: &'a Context<'a>, name: &str, node: &'a Node) -> Result<Found, Skip> {
    let mut fields = Fields::new(cx, node)?;
    fields.refuse_disabled()?;
    let kind = find(node, "type").map(|node| &node.value);
    if !matches!(kind, Some(Value::Text(kind)) if ["stdio", "sse", "streamable_http"].contains(&&**kind))
    {
        return Err(Skip("it is a part of Goose itself".to_owned()));
    }
    for key in ["name", "display_name", "description", "bundled"] {
        fields.get(key);
    }
    // Their values are in the keyring of Goose.
    let kept = fields.list("env_keys")?;
    let mut found = fields.server(name)?;
    let kept = kept.into_iter().filter(|_| matches!(found.run, Run::Command(_)));
    for key in kept.collect::<Vec<_>>() {
        if found.env.iter().all(|(there, _)| *there != key) {
            let value = Text::variable(&key);
            found.env.push((key, value));
        }
    }
    Ok(found)
}
