//! Reads one server of a file, with the leniency that the file's own program has.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::file::ImportFile;
use super::foreign;
use super::found::{Found, Run};
use super::notation::position;
use super::text::{Dialect, Input, Scope, Text};
use super::tree::is_table;
use crate::document::{At, Entry, Node, Value};
use crate::problem::quoted;

/// What all servers of a file share.
pub(super) struct Context<'a> {
    pub(super) file: &'a ImportFile,
    pub(super) dialect: Dialect,
    pub(super) inputs: Vec<Input>,
    /// The keys of the table, from the top of the file. Empty: the usual table of the format.
    pub(super) within: Vec<String>,
    /// The working folder of the file's programs, unless the file names one.
    pub(super) folder: Option<PathBuf>,
}

/// Why a server can't be imported.
#[derive(Debug)]
pub(super) struct Skip(pub(super) String);

/// The keys of a server, and which of them were read.
pub(super) struct Fields<'a> {
    pub(super) cx: &'a Context<'a>,
    node: &'a Node,
    used: BTreeSet<&'static str>,
}

/// Keys that have an effect and no counterpart, and what to do instead.
const DROPPED: [(&[&str], &str); 6] = [
    (&["autoApprove", "alwaysAllow", "trust"], "clients ask for approval themselves"),
    (
        &[
            "disabledTools",
            "enabledTools",
            "includeTools",
            "excludeTools",
            "enabled_tools",
            "disabled_tools",
            "available_tools",
            "tools",
        ],
        "all tools of a server are offered",
    ),
    (
        &["timeout", "tool_timeout_sec", "request_timeout"],
        "the deadline of calls is `call_timeout`, of the server or in a rule for tools",
    ),
    (&["envFile", "env_file"], "the file is not read; copy its variables into `env`"),
    (
        &["oauth", "auth", "oauth_resource", "authProviderType", "headersHelper"],
        "Mainstay can't log in with OAuth; set a header `Authorization`",
    ),
    (&["env_vars"], "a server has the environment of the daemon"),
];

// === impl Context ===

impl<'a> Context<'a> {
    pub(super) fn new(file: &'a ImportFile, dialect: Dialect) -> Self {
        let folder = file.workspace.clone();
        Self { file, dialect, inputs: Vec::new(), within: Vec::new(), folder }
    }

    pub(super) fn text(&self, raw: &str, own: &[String]) -> Result<Text, Skip> {
        let workspace = self.folder.as_deref().or(self.file.workspace.as_deref());
        let scope = Scope { dialect: self.dialect, workspace, own, inputs: &self.inputs };
        Text::parse(raw, scope).map_err(Skip)
    }

    fn texts(&self, pairs: Vec<(String, String)>) -> Result<Vec<(String, Text)>, Skip> {
        pairs.into_iter().map(|(key, raw)| Ok((key, self.text(&raw, &[])?))).collect()
    }
}

// === impl Fields ===

impl<'a> Fields<'a> {
    pub(super) fn new(cx: &'a Context<'a>, node: &'a Node) -> Result<Self, Skip> {
        let fields = Self { cx, node, used: BTreeSet::new() };
        if is_table(node) { Ok(fields) } else { Err(fields.wrong(node, "a table")) }
    }

    pub(super) fn get(&mut self, key: &'static str) -> Option<&'a Node> {
        self.used.insert(key);
        super::tree::find(self.node, key)
    }

    pub(super) fn text(&mut self, key: &'static str) -> Result<Option<String>, Skip> {
        let Some(node) = self.get(key) else { return Ok(None) };
        match &node.value {
            Value::Text(text) if text.is_empty() => Ok(None),
            Value::Text(text) => Ok(Some(text.clone())),
            _ => Err(self.wrong(node, "a text")),
        }
    }

    pub(super) fn flag(&mut self, key: &'static str) -> Result<Option<bool>, Skip> {
        let Some(node) = self.get(key) else { return Ok(None) };
        match &node.value {
            Value::Bool(truth) => Ok(Some(*truth)),
            _ => Err(self.wrong(node, "true or false")),
        }
    }

    pub(super) fn list(&mut self, key: &'static str) -> Result<Vec<String>, Skip> {
        let Some(node) = self.get(key) else { return Ok(Vec::new()) };
        let Value::List(items) = &node.value else { return Err(self.wrong(node, "a list")) };
        let texts =
            items.iter().map(|item| self.scalar(item).ok_or_else(|| self.wrong(item, "a text")));
        texts.collect()
    }

    /// A table of texts; numbers count as text.
    pub(super) fn map(&mut self, key: &'static str) -> Result<Vec<(String, String)>, Skip> {
        let Some(node) = self.get(key) else { return Ok(Vec::new()) };
        if !is_table(node) {
            return Err(self.wrong(node, "a table"));
        }
        let pairs = node.entries().iter().map(|Entry { key, node, .. }| {
            let value = self.scalar(node).ok_or_else(|| self.wrong(node, "a text"))?;
            Ok((key.clone(), value))
        });
        pairs.collect()
    }

    pub(super) fn duration(
        &mut self,
        key: &'static str,
        unit: Duration,
    ) -> Result<Option<Duration>, Skip> {
        let Some(node) = self.get(key) else { return Ok(None) };
        let number = self.scalar(node).and_then(|text| text.parse::<f64>().ok());
        let duration =
            number.and_then(|number| Duration::try_from_secs_f64(number * unit.as_secs_f64()).ok());
        duration.map(Some).ok_or_else(|| self.wrong(node, "a number"))
    }

    /// The text of a value that is neither a list nor a table, as written.
    pub(super) fn scalar(&self, node: &Node) -> Option<String> {
        match (&node.value, &node.at) {
            (Value::Text(text), _) => Some(text.clone()),
            (Value::Integer(_) | Value::Float(_) | Value::Bool(_), At::File(span)) => {
                self.cx.file.text.get(span.clone()).map(|text| text.trim().to_owned())
            }
            _ => None,
        }
    }

    pub(super) fn wrong(&self, node: &Node, expected: &str) -> Skip {
        let (line, column) = match &node.at {
            At::File(span) => position(&self.cx.file.text, span.start),
            _ => (1, 1),
        };
        Skip(format!(
            "line {line}, column {column}: expected {expected}, found {}",
            node.type_name()
        ))
    }

    /// The keys that are not imported, with the reason.
    pub(super) fn left_over(&self) -> Vec<String> {
        let keys = self.node.entries().iter().map(|entry| &*entry.key);
        keys.filter(|key| !self.used.contains(key) && !self.is_nothing(key))
            .map(|key| {
                let known = DROPPED.iter().find(|(keys, _)| keys.contains(&key));
                let reason = known.map_or("it has no equivalent", |(_, reason)| reason);
                format!("{} is left out: {reason}", quoted(key))
            })
            .collect()
    }

    /// Whether a value changes nothing: an empty list, and `tools: ["*"]`.
    fn is_nothing(&self, key: &str) -> bool {
        let Some(Node { value: Value::List(items), .. }) = super::tree::find(self.node, key) else {
            return false;
        };
        match items.as_slice() {
            [] => true,
            [Node { value: Value::Text(all), .. }] => key == "tools" && all == "*",
            _ => false,
        }
    }

    /// Refuses disabled servers, whichever key disables them.
    pub(super) fn refuse_disabled(&mut self) -> Result<(), Skip> {
        if self.flag("disabled")? == Some(true) || self.flag("enabled")? == Some(false) {
            return Err(Skip("its file disables it".to_owned()));
        }
        Ok(())
    }

    /// Reads the keys that nearly every program has.
    pub(super) fn server(mut self, name: &str) -> Result<Found, Skip> {
        self.refuse_disabled()?;
        let kind = self.text("type")?.or(self.text("transport")?);
        let url = self.address()?;
        let mut words = self.words()?;
        let (env, headers) = (self.env()?, self.map("headers")?);
        let cwd = self.text("cwd")?;
        let mut notes = Vec::new();
        let is_command = is_command(kind.as_deref(), words.is_empty(), url.as_ref())?;
        let run = if is_command {
            foreign::at_home(&mut words, &mut notes).map_err(Skip)?;
            let own: Vec<_> = env.iter().map(|(key, _)| key.clone()).collect();
            let words = words.iter().map(|word| self.cx.text(word, &own));
            Run::Command(words.collect::<Result<_, _>>()?)
        } else {
            // HTTP+SSE is detected when the server is first reached.
            Run::Url(self.cx.text(&url.unwrap_or_default(), &[])?)
        };
        if is_command && !headers.is_empty() {
            notes.push("`headers` is left out: a command has none".to_owned());
        }
        if !is_command && !env.is_empty() {
            notes.push("`env` is left out: an address has none".to_owned());
        }
        notes.extend(self.left_over());
        let mut found = Found {
            name: name.to_owned(),
            within: self.cx.within.clone(),
            env: if is_command { self.cx.texts(env)? } else { Vec::new() },
            headers: if is_command { Vec::new() } else { self.cx.texts(headers)? },
            cwd: None,
            run,
            required: false,
            start_timeout: None,
            notes,
        };
        if is_command {
            self.place(&mut found, cwd.as_deref())?;
        }
        Ok(found)
    }

    /// The program and its arguments. None when there is no program.
    fn words(&mut self) -> Result<Vec<String>, Skip> {
        let key = if self.get("cmd").is_some() { "cmd" } else { "command" };
        let mut words: Vec<String> = match self.get(key) {
            Some(Node { value: Value::List(_), .. }) => self.list(key)?,
            _ => self.text(key)?.into_iter().collect(),
        };
        let args = self.list("args")?;
        if !words.is_empty() {
            words.extend(args);
        }
        Ok(words)
    }

    fn env(&mut self) -> Result<Vec<(String, String)>, Skip> {
        let mut env = self.map("env")?;
        for key in ["envs", "environment"] {
            env.extend(self.map(key)?);
        }
        Ok(env)
    }

    /// The address; where there are two, that of streamable HTTP.
    fn address(&mut self) -> Result<Option<String>, Skip> {
        let http = self.text("httpUrl")?;
        let url = self.text("url")?;
        let server = self.text("serverUrl")?.or(self.text("uri")?);
        Ok(http.or(url).or(server))
    }

    /// Sets the folder in which the file's own program would have run the command.
    fn place(&self, found: &mut Found, cwd: Option<&str>) -> Result<(), Skip> {
        let around = self.cx.folder.as_deref();
        let folder = match cwd {
            Some(cwd) => Some(self.cx.text(&joined(around, cwd), &[])?),
            None => around.map(|around| Text::literal(around.to_string_lossy())),
        };
        if let Run::Command(words) = &mut found.run
            && let Some(program) = words.first_mut()
            && let Some(path) = program.as_literal()
            && path.contains('/')
            && !path.starts_with(['/', '~'])
        {
            match folder.as_ref().and_then(Text::as_literal) {
                Some(folder) => *program = Text::literal(joined(Some(Path::new(&folder)), &path)),
                None => found.notes.push(
                    "its program has a relative path, which counts from the folder of mainstay.toml".to_owned(),
                ),
            }
        }
        if folder.as_ref().is_some_and(|folder| {
            !folder.first_literal().starts_with(['/', '~']) && folder.as_literal().is_some()
        }) {
            found.notes.push(
                "its `cwd` is relative, and counts from the folder of mainstay.toml".to_owned(),
            );
        }
        found.cwd = folder;
        Ok(())
    }
}

fn joined(folder: Option<&Path>, path: &str) -> String {
    match folder {
        Some(folder) if !path.starts_with(['/', '~', '$']) => {
            let whole: PathBuf = folder.join(path).components().collect();
            whole.to_string_lossy().into_owned()
        }
        _ => path.to_owned(),
    }
}

fn is_command(kind: Option<&str>, has_no_words: bool, url: Option<&String>) -> Result<bool, Skip> {
    let kind = kind.map(|kind| kind.to_ascii_lowercase().replace(['-', '_'], ""));
    let wants_command = match kind.as_deref() {
        None => !has_no_words && url.is_none(),
        Some("stdio" | "local") => true,
        Some("http" | "streamablehttp" | "remote" | "sse") => false,
        Some("ws" | "websocket") => {
            return Err(Skip("it uses a WebSocket, which Mainstay does not support".to_owned()));
        }
        Some(_) => return Err(Skip("its `type` is unknown".to_owned())),
    };
    match (kind, has_no_words, url) {
        (None, true, None) => Err(Skip("it has neither a command nor an address".to_owned())),
        (None, false, Some(_)) => Err(Skip("it has both a command and an address".to_owned())),
        (_, true, _) if wants_command => Err(Skip("its command is missing".to_owned())),
        (_, _, None) if !wants_command => Err(Skip("its address is missing".to_owned())),
        _ => Ok(wants_command),
    }
}
