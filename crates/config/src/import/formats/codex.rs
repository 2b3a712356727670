//! Codex: `[mcp_servers.NAME]` of its `config.toml`.

use std::time::Duration;

use super::super::entry::{Context, Fields, Skip};
use super::super::found::Found;
use super::super::text::{Dialect, Text};
use super::collected::{Collected, table};
use crate::document::Node;

pub(super) fn read(root: &Node, all: &mut Collected<'_>) {
    if let Some(servers) = table(root, "mcp_servers") {
        all.is("Codex");
        let cx = Context::new(all.file, Dialect::Plain);
        all.each(&cx, servers, server);
    }
}

fn server<'a>(cx: &'a Context<'a>, name: &str, node: &'a Node) -> Result<Found, Skip> {
    let mut fields = Fields::new(cx, node)?;
    let token = fields.text("bearer_token_env_var")?;
    let plain = fields.map("http_headers")?;
    let from_env = fields.map("env_http_headers")?;
    let required = fields.flag("required")?.unwrap_or_default();
    let start = match fields.duration("startup_timeout_sec", Duration::from_secs(1))? {
        Some(start) => Some(start),
        None => fields.duration("startup_timeout_ms", Duration::from_millis(1))?,
    };
    let mut found = fields.server(name)?;
    if let Some(token) = token {
        let mut value = Text::literal("Bearer ");
        value.push_variable(&token, None);
        found.headers.push(("Authorization".to_owned(), value));
    }
    let plain = plain.into_iter().map(|(key, value)| (key, Text::literal(value)));
    let from_env = from_env.into_iter().map(|(key, name)| (key, Text::variable(&name)));
    found.headers.extend(plain.chain(from_env));
    found.required = required;
    // The configuration accepts 100 ms to one hour.
    found.start_timeout =
        start.map(|start| start.clamp(Duration::from_millis(100), Duration::from_secs(3600)));
    Ok(found)
}
