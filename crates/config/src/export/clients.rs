//! What is known of a client: the places of its files, and how these name a server.

mod known;

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::Target;
pub use known::CLIENTS;

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
    /// Where else in the file there may be servers.
    pub(super) further: Further,
    /// The user's files. A new one is made at the first place.
    files: fn(&Folders) -> Vec<PathBuf>,
    /// The files of a project, below its folder. A new one is made at the first place.
    project: &'static [&'static str],
    /// The members of an entry that connects to an address.
    by_url: fn(&str) -> Members,
    /// The members of an entry that runs a command with arguments.
    by_command: fn(&str, &[String]) -> Members,
    /// Further members of a new entry with this name. Later changes of the user are kept.
    at_first: fn(&str) -> Members,
    /// What the user has to know before the client connects, if anything.
    pub note: Option<&'static str>,
}

/// Tables of servers beside the usual one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Further {
    None,
    /// `servers` in the usual table, which new entries then belong to.
    Within,
    /// The usual table of each folder in `projects`. Mainstay is never put there.
    Projects,
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
    /// `OPENCODE_CONFIG`, a file.
    pub opencode: Option<PathBuf>,
}

/// The keys that decide what a server is. Those of them that an entry does not write are removed.
pub(super) const RUN_KEYS: [&str; 9] =
    ["type", "url", "serverUrl", "httpUrl", "uri", "command", "cmd", "args", "source"];

/// A client without anything unusual, which the list of all clients is made from.
const USUAL: Client = Client {
    id: "",
    title: "",
    takes_url: true,
    format: Format::Json,
    table: "mcpServers",
    further: Further::None,
    files: |_| vec![],
    project: &[],
    by_url: plain_url,
    by_command: command,
    at_first: nothing,
    note: None,
};

/// The client of this name.
pub fn find(id: &str) -> Option<&'static Client> {
    CLIENTS.iter().find(|client| client.id == id)
}

fn plain_url(url: &str) -> Members {
    vec![("url", json!(url))]
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
    /// The user's files that the client reads. A new one is made at the first place. Empty: it has none of
    /// its own.
    pub fn places(&self, folders: &Folders) -> Vec<PathBuf> {
        (self.files)(folders)
    }

    /// The files that the client reads in the folder of a project. Empty: it knows no projects.
    pub fn places_in(&self, project: &Path) -> Vec<PathBuf> {
        self.project.iter().map(|file| project.join(file)).collect()
    }

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
        let (copilot, opencode) = (folder("COPILOT_HOME"), folder("OPENCODE_CONFIG"));
        Self { home, applications, config, claude, codex, copilot, opencode }
    }
}
