//! The clients that are known: where their file is, and what in it names a server.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::Target;

/// A client that can be made to use Mainstay.
pub struct Client {
    /// As it is typed.
    pub id: &'static str,
    pub title: &'static str,
    /// It takes an address; otherwise it can only start a command.
    pub takes_url: bool,
    pub(super) format: Format,
    /// The key of its file that holds the servers.
    pub(super) table: &'static str,
    pub(super) file: fn(&Folders) -> Option<PathBuf>,
    /// What stands for an address.
    by_url: fn(&str) -> Value,
    /// What stands beside `command` and `args`.
    with_command: fn() -> Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// With or without comments.
    Json,
    Toml,
}

/// Folders of the user that clients keep their files in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folders {
    pub home: PathBuf,
    /// Where applications with a window keep their settings.
    pub applications: PathBuf,
    /// Where programs of a terminal keep theirs.
    pub config: PathBuf,
    /// `CLAUDE_CONFIG_DIR`.
    pub claude: Option<PathBuf>,
    /// `CODEX_HOME`.
    pub codex: Option<PathBuf>,
}

/// Every known client, in the order in which they are listed.
pub static CLIENTS: [Client; 10] = [
    Client {
        id: "claude-desktop",
        title: "Claude Desktop",
        takes_url: false,
        format: Format::Json,
        table: "mcpServers",
        file: |at| Some(at.applications.join("Claude/claude_desktop_config.json")),
        by_url: |url| json!({ "url": url }),
        with_command: nothing,
    },
    Client {
        id: "claude-code",
        title: "Claude Code",
        takes_url: true,
        format: Format::Json,
        table: "mcpServers",
        file: |at| Some(at.claude.as_ref().unwrap_or(&at.home).join(".claude.json")),
        by_url: typed_http,
        with_command: typed_stdio,
    },
    Client {
        id: "cursor",
        title: "Cursor",
        takes_url: true,
        format: Format::Json,
        table: "mcpServers",
        file: |at| Some(at.home.join(".cursor/mcp.json")),
        by_url: |url| json!({ "url": url }),
        with_command: nothing,
    },
    Client {
        id: "vscode",
        title: "VS Code",
        takes_url: true,
        format: Format::Json,
        table: "servers",
        file: |at| Some(at.applications.join("Code/User/mcp.json")),
        by_url: typed_http,
        with_command: typed_stdio,
    },
    Client {
        id: "windsurf",
        title: "Windsurf",
        takes_url: true,
        format: Format::Json,
        table: "mcpServers",
        file: |at| Some(at.home.join(".codeium/windsurf/mcp_config.json")),
        by_url: |url| json!({ "serverUrl": url }),
        with_command: nothing,
    },
    Client {
        id: "zed",
        title: "Zed",
        takes_url: true,
        format: Format::Json,
        table: "context_servers",
        file: |at| Some(at.config.join("zed/settings.json")),
        by_url: |url| json!({ "url": url }),
        with_command: nothing,
    },
    Client {
        id: "codex",
        title: "Codex",
        takes_url: true,
        format: Format::Toml,
        table: "mcp_servers",
        file: |at| {
            let codex = at.codex.clone().unwrap_or_else(|| at.home.join(".codex"));
            Some(codex.join("config.toml"))
        },
        by_url: |url| json!({ "url": url }),
        with_command: nothing,
    },
    Client {
        id: "gemini",
        title: "Gemini CLI",
        takes_url: true,
        format: Format::Json,
        table: "mcpServers",
        file: |at| Some(at.home.join(".gemini/settings.json")),
        by_url: |url| json!({ "httpUrl": url }),
        with_command: nothing,
    },
    Client {
        id: "inspector",
        title: "MCP Inspector",
        takes_url: true,
        format: Format::Json,
        table: "mcpServers",
        file: |at| Some(at.home.join(".mcp-inspector/mcp.json")),
        by_url: |url| json!({ "type": "streamable-http", "url": url }),
        with_command: typed_stdio,
    },
    Client {
        id: "generic",
        title: "any other client",
        takes_url: true,
        format: Format::Json,
        table: "mcpServers",
        file: |_| None,
        by_url: typed_http,
        with_command: nothing,
    },
];

/// The keys that say what a server is: of these, those that are not written are taken away.
pub(super) const RUN_KEYS: [&str; 7] =
    ["type", "url", "serverUrl", "httpUrl", "command", "args", "source"];

/// The client of this name.
pub fn find(id: &str) -> Option<&'static Client> {
    CLIENTS.iter().find(|client| client.id == id)
}

fn typed_http(url: &str) -> Value {
    json!({ "type": "http", "url": url })
}

fn typed_stdio() -> Value {
    json!({ "type": "stdio" })
}

fn nothing() -> Value {
    json!({})
}

// === impl Client ===

impl Client {
    /// The keys of the entry, in the order they are written.
    pub(super) fn entry(&self, target: &Target) -> Vec<(String, Value)> {
        let object = match target {
            Target::Url(url) => (self.by_url)(url),
            Target::Command { .. } => (self.with_command)(),
        };
        let mut entry: Vec<_> = match object {
            Value::Object(members) => members.into_iter().collect(),
            _ => Vec::new(),
        };
        if let Target::Command { program, args } = target {
            entry.push(("command".to_owned(), json!(program)));
            entry.push(("args".to_owned(), json!(args)));
        }
        entry
    }
}

// === impl Folders ===

impl Folders {
    /// The folders of a user, as the environment and the system have them.
    pub fn new(home: PathBuf, env: impl Fn(&str) -> Option<String>) -> Self {
        let folder = |name: &str| env(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let config = folder("XDG_CONFIG_HOME").unwrap_or_else(|| home.join(".config"));
        let applications = if cfg!(target_os = "macos") {
            home.join("Library/Application Support")
        } else {
            config.clone()
        };
        let (claude, codex) = (folder("CLAUDE_CONFIG_DIR"), folder("CODEX_HOME"));
        Self { home, applications, config, claude, codex }
    }
}
