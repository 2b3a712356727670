//! Probes: what a server, a service or an external must answer to be ready, and how often it is asked.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::{ProcessSpec, as_millis};
use crate::Redacted;

/// A probe, and what its results lead to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProbeSpec {
    pub check: ProbeCheck,
    /// The time between two checks while the target is ready.
    #[serde(serialize_with = "as_millis")]
    pub period: Duration,
    /// The time between two checks while the target is not ready.
    #[serde(serialize_with = "as_millis")]
    pub waiting_period: Duration,
    /// The time limit for one check.
    #[serde(serialize_with = "as_millis")]
    pub timeout: Duration,
    /// This many failures in a row make a ready target unhealthy.
    pub fall: u32,
    /// This many successes in a row make the target ready.
    pub rise: u32,
}

/// How a probe checks its target.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ProbeCheck {
    /// The server answers a ping of MCP. Servers only.
    Ping,
    /// A tool call that succeeds. Servers only.
    Tool(ToolCheck),
    /// A GET with an expected answer.
    Http(HttpCheck),
    /// The address, as `HOST:PORT`, accepts a connection.
    Tcp(String),
    /// A command that exits with code 0.
    Command(ProcessSpec),
    /// A line of the output of the current run contains this text. Servers and services only.
    Log(String),
    /// The URL of a Redis that answers PING.
    Redis(Redacted<String>),
    /// A PostgreSQL that answers a query.
    Postgres(PostgresCheck),
}

/// A tool call, and what its result must contain.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ToolCheck {
    pub tool: String,
    /// The arguments, as the text of a JSON object.
    pub args: String,
    /// A text content of the result contains this. Empty: anything but an error.
    pub contains: String,
}

/// A GET, and what its answer must be.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct HttpCheck {
    /// The URL: scheme `http` or `https`, with a host. It may hold keys.
    pub url: Redacted<String>,
    /// The URL as it is written in the configuration, without references replaced.
    pub written: String,
    /// The expected status code. `None`: 200 to 299.
    pub status: Option<u16>,
    /// The body contains this text.
    pub contains: Option<String>,
    /// Members of the JSON body, by their path with dots (`checks.db`), and the values that each may have,
    /// as JSON texts: `"green"`, `true`, `3`.
    pub json: Vec<(String, Vec<String>)>,
}

/// A query to PostgreSQL.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PostgresCheck {
    pub url: Redacted<String>,
    pub query: String,
}

/// Which paths of an HTTP server Mainstay passes through, and to which address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PagesSpec {
    /// The address that requests are sent to: scheme and authority, such as `http://127.0.0.1:9100`.
    pub target: String,
    /// Allowed paths: `/health` is one path, `/web-ui/*` is everything below `/web-ui/`.
    pub paths: Vec<String>,
    /// Allowed methods, in capitals.
    pub methods: Vec<String>,
}

/// A path with data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VolumeSpec {
    pub name: crate::Name,
    pub path: PathBuf,
}

// === impl ProbeCheck ===

impl ProbeCheck {
    /// The key that declares it.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Ping => "ping",
            Self::Tool(_) => "tool",
            Self::Http(_) => "http",
            Self::Tcp(_) => "tcp",
            Self::Command(_) => "command",
            Self::Log(_) => "log",
            Self::Redis(_) => "redis",
            Self::Postgres(_) => "postgres",
        }
    }
}

// === impl ProbeSpec ===

impl ProbeSpec {
    /// A probe with the default times: every 5 s while waiting, every 30 s when healthy, 5 s for a check.
    pub fn new(check: ProbeCheck) -> Self {
        Self {
            check,
            period: Duration::from_secs(30),
            waiting_period: Duration::from_secs(5),
            timeout: Duration::from_secs(5),
            fall: 3,
            rise: 1,
        }
    }
}
