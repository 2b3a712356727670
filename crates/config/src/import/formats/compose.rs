//! Compose files: the services among others that are MCP servers.

use super::super::entry::{Context, Fields, Skip};
use super::super::found::{Found, Run};
use super::super::text::{Dialect, Text};
use super::collected::{Collected, table};
use crate::document::{Node, Value};

mod ports;
mod signs;

/// The names compose looks for.
const USUAL: [&str; 4] =
    ["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"];

/// The labels of a service.
#[derive(Default)]
struct Labels {
    is_server: bool,
    url: Option<String>,
    /// Whether the service is reached over HTTP, at its published port.
    is_http: bool,
    path: Option<String>,
}

pub(super) fn read(root: &Node, all: &mut Collected<'_>) {
    let Some(services) = table(root, "services") else { return };
    all.is("compose");
    let mut cx = Context::new(all.file, Dialect::Compose);
    cx.folder = Some(all.file.folder.clone());
    all.each(&cx, services, service);
}

fn service<'a>(cx: &'a Context<'a>, name: &str, node: &'a Node) -> Result<Found, Skip> {
    let mut fields = Fields::new(cx, node)?;
    let pairs = pairs(&mut fields, "labels")?;
    let labels = Labels::read(&pairs);
    if name.starts_with('-') {
        return Err(Skip("compose would take its name for a flag".to_owned()));
    }
    // Beside a terminal it is there for people.
    let is_open =
        fields.flag("stdin_open")?.unwrap_or_default() && !fields.flag("tty")?.unwrap_or_default();
    if let Some(url) = labels.address(&mut fields)? {
        return remote(cx, name, &url);
    }
    let mut words = words(&mut fields, "entrypoint")?;
    words.extend(self::words(&mut fields, "command")?);
    if let Some(program) = signs::placeholder(&words) {
        return Err(Skip(format!("it only runs `{program}`, which is no MCP server")));
    }
    let image = fields.text("image")?;
    let mut named = words.iter().chain(&image).map(String::as_str).collect::<Vec<_>>();
    if is_open {
        named.push(name);
    }
    let speaks_of_mcp = named.iter().any(|word| word.to_ascii_lowercase().contains("mcp"));
    let ports = fields.get("ports").map(|node| &node.value);
    let publishes = matches!(ports, Some(Value::List(ports)) if !ports.is_empty());
    let is_named = labels.is_server || speaks_of_mcp;
    // Development servers of web applications want an open input, too.
    if is_open && (is_named || !publishes) {
        return Ok(container(cx, name));
    }
    if !is_named {
        return Err(Skip(
            "nothing says that it is an MCP server; a label `mcp: \"true\"` does".to_owned(),
        ));
    }
    if publishes {
        return Err(Skip(
            "it publishes a port: add the label `mcp.transport: http` if it is reached there, or `stdin_open: true` if it is not"
                .to_owned(),
        ));
    }
    if !labels.is_server && signs::serves_http(node, &pairs, &words) {
        return Err(Skip(
            "it seems to serve HTTP: publish its port and add a label `mcp.transport: http`, or \
             `stdin_open: true` if it speaks on standard input and output"
                .to_owned(),
        ));
    }
    Ok(container(cx, name))
}

/// Imports a service that speaks on standard input and output: compose starts its container.
fn container(cx: &Context<'_>, name: &str) -> Found {
    let file = cx.file.name();
    let mut words = vec!["docker", "compose"];
    // The names that compose looks for bring their overrides with them.
    if !USUAL.contains(&&*file) {
        words.extend(["-f", &file]);
    }
    words.extend(["run", "--rm", "-T", name]);
    Found {
        name: name.to_owned(),
        within: Vec::new(),
        run: Run::Command(words.into_iter().map(Text::literal).collect()),
        env: Vec::new(),
        headers: Vec::new(),
        cwd: Some(Text::literal(cx.file.folder.to_string_lossy())),
        required: false,
        start_timeout: None,
        notes: vec!["compose still runs it, with the settings of its file".to_owned()],
    }
}

fn remote<'a>(cx: &'a Context<'a>, name: &str, url: &str) -> Result<Found, Skip> {
    Ok(Found {
        name: name.to_owned(),
        within: Vec::new(),
        run: Run::Url(cx.text(url, &[])?),
        env: Vec::new(),
        headers: Vec::new(),
        cwd: None,
        required: false,
        start_timeout: None,
        notes: vec!["compose still runs it; only its address is imported".to_owned()],
    })
}

/// A list of words, or one text that is split as a shell would.
fn words(fields: &mut Fields<'_>, key: &'static str) -> Result<Vec<String>, Skip> {
    match fields.get(key) {
        Some(Node { value: Value::Text(text), .. }) => super::super::shell::split(text)
            .ok_or_else(|| Skip(format!("`{key}` has a quote that is never closed"))),
        _ => fields.list(key),
    }
}

/// A table, or a list of `KEY=VALUE`; a key without a value takes that of the environment.
fn pairs(fields: &mut Fields<'_>, key: &'static str) -> Result<Vec<(String, String)>, Skip> {
    let Some(Node { value: Value::List(_), .. }) = fields.get(key) else { return fields.map(key) };
    let pairs = fields.list(key)?.into_iter().map(|item| match item.split_once('=') {
        Some((key, value)) => (key.to_owned(), value.to_owned()),
        None => (item.clone(), format!("${{{item}}}")),
    });
    Ok(pairs.collect())
}

// === impl Labels ===

impl Labels {
    fn read(pairs: &[(String, String)]) -> Self {
        let mut labels = Self::default();
        for (key, value) in pairs {
            let key = key.to_ascii_lowercase();
            let is_ours = key == "mcp"
                || key.starts_with("mcp.")
                || key.starts_with("mainstay")
                || key.contains("modelcontextprotocol");
            if !is_ours || matches!(&*value.to_ascii_lowercase(), "false" | "no" | "0") {
                continue;
            }
            labels.is_server = true;
            match key.rsplit('.').next() {
                Some("url") => labels.url = Some(value.clone()),
                Some("path") => labels.path = Some(value.clone()),
                Some("transport" | "type") => {
                    labels.is_http = value.to_ascii_lowercase().contains("http");
                }
                _ => {}
            }
        }
        labels
    }

    /// The address of a service that is reached over HTTP.
    fn address(&self, fields: &mut Fields<'_>) -> Result<Option<String>, Skip> {
        if let Some(url) = &self.url {
            return Ok(Some(url.clone()));
        }
        if !self.is_http {
            return Ok(None);
        }
        let published = fields.get("ports").and_then(ports::first_published);
        let Some(authority) = published else {
            return Err(Skip(
                "it is reached over HTTP, but publishes no known port of this machine".to_owned(),
            ));
        };
        let path = self.path.as_deref().unwrap_or("/mcp").trim_start_matches('/');
        Ok(Some(format!("http://{authority}/{path}")))
    }
}
