//! The known clients: the places of their files, and how these name a server.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::Target;

/// Keys and values, in the order they are written.
type Members = Vec<(&'static str, Value)>;

/// A client that can be made to use Mainstay.
pub struct Client {
    /// The client's name on the command line.
    pub id: &'static str,
    pub title: &'static str,
    /// Whether the client takes an address; otherwise it can only start a command.
    pub takes_url: bool,
    pub(super) format: Format,
    /// The key in the client's file that holds the servers.
    pub(super) table: &'static str,
    pub(super) file: fn(&Folders) -> Option<PathBuf>,
    /// The members of an entry that connects to an address.
    by_url: fn(&str) -> Members,
    /// The members of an entry that runs a command with arguments.
    by_command: fn(&str, &[String]) -> Members,
    /// Further members of a new entry with this name. Later changes of the user are kept.
    at_first: fn(&str) -> Members,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// JSON, with or without comments.
    Json,
    Toml,
    Yaml,
}

/// Folders of the user that hold the files of clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folders {
    pub home: PathBuf,
    /// The folder for settings of desktop applications.
    pub applications: PathBuf,
    /// The folder for settings of terminal programs.
    pub config: PathBuf,
    /// `CLAUDE_CONFIG_DIR`.
    pub claude: Option<PathBuf>,
    /// `CODEX_HOME`.
    pub codex: Option<PathBuf>,
    /// `COPILOT_HOME`.
    pub copilot: Option<PathBuf>,
}

/// Every known client, in the order in which they are listed.
pub static CLIENTS: [Client; 16] = [
    Client {
        id: "claude-desktop",
        title: "Claude Desktop",
        takes_url: false,
        format: Format::Json,
        table: "mcpServers",
        file: |at| Some(at.applications.join("Claude/claude_desktop_config.json")),
        by_url: |url| vec![("url", json!(url))],
        by_command: command,
        at_first: nothing,
    },
    Client {
        id: "claude-code",
        title: "Claude Code",
        takes_url: true,
        format: Format::Json,
        table: "mcpServers",
        file: |at| Some(at.claude.as_ref().unwrap_or(&at.home).join(".claude.json")),
        by_url: typed_http,
        by_command: typed_stdio,
        at_first: nothing,
    },
    Client {
        id: "cursor",
        title: "Cursor",
        takes_url: true,
        format: Format::Json,
        table: "mcpServers",
        file: |at| Some(at.home.join(".cursor/mcp.json")),
        by_url: |url| vec![("url", json!(url))],
        by_command: command,
        at_first: nothing,
    },
    Client {
        id: "vscode",
        title: "VS Code",
        takes_url: true,
        format: Format::Json,
        table: "servers",
        file: |at| Some(at.applications.join("Code/User/mcp.json")),
        by_url: typed_http,
        by_command: typed_stdio,
        at_first: nothing,
    },
    Client {
        id: "windsurf",
        title: "Windsurf",
        takes_url: true,
        format: Format::Json,
        table: "mcpServers",
        file: |at| Some(at.home.join(".codeium/windsurf/mcp_config.json")),
        by_url: |url| vec![("serverUrl", json!(url))],
        by_command: command,
        at_first: nothing,
    },
    Client {
        id: "zed",
        title: "Zed",
        takes_url: true,
        format: Format::Json,
        table: "context_servers",
        file: |at| Some(at.config.join("zed/settings.json")),
        by_url: |url| vec![("url", json!(url))],
        by_command: command,
        at_first: nothing,
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
        by_url: |url| vec![("url", json!(url))],
        by_command: command,
        at_first: nothing,
    },
    Client {
        id: "gemini",
        title: "Gemini CLI",
        takes_url: true,
        format: Format::Json,
        table: "mcpServers",
        file: |at| Some(at.home.join(".gemini/settings.json")),
        by_url: |url| vec![("httpUrl", json!(url))],
        by_command: command,
        at_first: nothing,
    },
    Client {
        id: "copilot-cli",
        title: "GitHub Copilot CLI",
        takes_url: true,
        format: Format::Json,
        table: "mcpServers",
        file: |at| {
            let copilot = at.copilot.clone().unwrap_or_else(|| at.home.join(".copilot"));
            Some(copilot.join("mcp-config.json"))
        },
        by_url: typed_http,
        by_command: typed_stdio,
        at_first: |_| vec![("tools", json!(["*"]))],
    },
    Client {
        id: "cline",
        title: "Cline",
        takes_url: true,
        format: Format::Json,
        table: "mcpServers",
        file: |at| {
            let storage = at.applications.join("Code/User/globalStorage");
            Some(storage.join("saoudrizwan.claude-dev/settings/cline_mcp_settings.json"))
        },
        by_url: |url| vec![("type", json!("streamableHttp")), ("url", json!(url))],
        by_command: typed_stdio,
        at_first: nothing,
    },
    Client {
        id: "continue",
        title: "Continue",
        takes_url: true,
        format: Format::Json,
        table: "mcpServers",
        // A file of its own, which Continue reads beside its `config.yaml`.
        file: |at| Some(at.home.join(".continue/mcpServers/mainstay.json")),
        by_url: typed_http,
        by_command: command,
        at_first: nothing,
    },
    Client {
        id: "junie",
        title: "JetBrains Junie",
        // Its editor plugins can't connect to addresses.
        takes_url: false,
        format: Format::Json,
        table: "mcpServers",
        file: |at| Some(at.home.join(".junie/mcp/mcp.json")),
        by_url: |url| vec![("url", json!(url))],
        by_command: command,
        at_first: nothing,
    },
    Client {
        id: "lm-studio",
        title: "LM Studio",
        takes_url: true,
        format: Format::Json,
        table: "mcpServers",
        file: |at| Some(at.home.join(".lmstudio/mcp.json")),
        by_url: |url| vec![("url", json!(url))],
        by_command: command,
        at_first: nothing,
    },
    Client {
        id: "goose",
        title: "Goose",
        takes_url: true,
        format: Format::Yaml,
        table: "extensions",
        file: |at| Some(at.home.join(".config/goose/config.yaml")),
        by_url: |url| vec![("type", json!("streamable_http")), ("uri", json!(url))],
        by_command: |program, args| {
            vec![("type", json!("stdio")), ("cmd", json!(program)), ("args", json!(args))]
        },
        at_first: |name| {
            vec![("name", json!(name)), ("description", json!("")), ("enabled", json!(true))]
        },
    },
    Client {
        id: "inspector",
        title: "MCP Inspector",
        takes_url: true,
        format: Format::Json,
        table: "mcpServers",
        file: |at| Some(at.home.join(".mcp-inspector/mcp.json")),
        by_url: |url| vec![("type", json!("streamable-http")), ("url", json!(url))],
        by_command: typed_stdio,
        at_first: nothing,
    },
    Client {
        id: "generic",
        title: "any other client",
        takes_url: true,
        format: Format::Json,
        table: "mcpServers",
        file: |_| None,
        by_url: typed_http,
        by_command: command,
        at_first: nothing,
    },
];

/// The keys that decide what a server is. Those of them that an entry does not write are removed.
pub(super) const RUN_KEYS: [&str; 9] =
    ["type", "url", "serverUrl", "httpUrl", "uri", "command", "cmd", "args", "source"];

/// The client of this name.
pub fn find(id: &str) -> Option<&'static Client> {
    CLIENTS.iter().find(|client| client.id == id)
}

fn typed_http(url: &str) -> Members {
    vec![("type", json!("http")), ("url", json!(url))]
}

fn command(program: &str, args: &[String]) -> Members {
    vec![("command", json!(program)), ("args", json!(args))]
}

fn typed_stdio(program: &str, args: &[String]) -> Members {
    vec![("type", json!("stdio")), ("command", json!(program)), ("args", json!(args))]
}

fn nothing(_: &str) -> Members {
    Vec::new()
}

// === impl Client ===

impl Client {
    /// The members that decide what the entry runs.
    pub(super) fn runs(&self, target: &Target) -> Members {
        match target {
            Target::Url(url) => (self.by_url)(url),
            Target::Command { program, args } => (self.by_command)(program, args),
        }
    }

    /// All members of a new entry.
    pub(super) fn entry(&self, name: &str, target: &Target) -> Members {
        let mut entry = self.runs(target);
        entry.extend((self.at_first)(name));
        entry
    }
}

// === impl Folders ===

impl Folders {
    /// The folders of a user, from the environment and the conventions of the system.
    pub fn new(home: PathBuf, env: impl Fn(&str) -> Option<String>) -> Self {
        let folder = |name: &str| env(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let config = folder("XDG_CONFIG_HOME").unwrap_or_else(|| home.join(".config"));
        let applications = if cfg!(target_os = "macos") {
            home.join("Library/Application Support")
        } else {
            config.clone()
        };
        let (claude, codex) = (folder("CLAUDE_CONFIG_DIR"), folder("CODEX_HOME"));
        let copilot = folder("COPILOT_HOME");
        Self { home, applications, config, claude, codex, copilot }
    }
}
