//! What commands that ask the daemon print with `--json`, where that is no answer of the API as it is.
//!
//! `mainstay status` prints a [`DaemonStatus`](super::status::DaemonStatus), a
//! [`Server`](super::servers::Server), a [`Service`](super::services::Service) or a
//! [`Node`](super::graph::Node), `mainstay graph` a [`Graph`](super::graph::Graph), `mainstay call` the result of the tool as the server sent it,
//! `mainstay tools SERVER TOOL` the tool as the server lists it,
//! `mainstay verify` a [`VerifyReport`], `mainstay log-level` an [`ActionDone`].

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::actions::ActionDone;
use super::verify::VerifyReport;

/// What `mainstay tools --json` prints.
#[derive(Debug, Serialize, ToSchema)]
pub struct ToolsPrinted {
    pub servers: Vec<ServerTools>,
}

/// The tools of one server.
#[derive(Debug, Serialize, ToSchema)]
pub struct ServerTools {
    pub name: String,
    /// As the server lists them.
    #[schema(value_type = Vec<Object>)]
    pub tools: Vec<Box<RawValue>>,
    /// Why the list ends before its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub cut: Option<String>,
    /// Why there are none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub error: Option<String>,
}

/// What `mainstay tools --merged --json` prints.
#[derive(Debug, Serialize, ToSchema)]
pub struct MergedToolsPrinted {
    /// `/mcp`.
    pub endpoint: String,
    /// Under the names that clients see.
    #[schema(value_type = Vec<Object>)]
    pub tools: Vec<Box<RawValue>>,
    /// Servers whose tools are not in the list.
    pub missing: Vec<MissingServer>,
    /// Servers whose tools are in the list, and that clients of some revisions don't see.
    pub partly: Vec<MissingServer>,
}

/// A server whose tools are not in a list, or not all of them.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
pub struct MissingServer {
    pub server: String,
    /// The state of the server.
    pub state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub why: Option<String>,
    /// The list of which only a part is missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub list: Option<String>,
    /// The missing items, as far as they are known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<String>,
}

/// What `mainstay token --json` prints.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenPrinted {
    /// `admin` or `read`.
    pub name: &'static str,
    pub token: String,
}

/// What `mainstay stop --json` prints.
#[derive(Debug, Serialize, ToSchema)]
pub struct StopPrinted {
    /// Whether only a description was asked for.
    pub dry_run: bool,
    /// Whether the daemon has ended. False with `dry_run`.
    pub stopped: bool,
    /// What was done or would be done, as a sentence.
    pub message: String,
    /// Calls that were in flight when the daemon was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub calls: Option<usize>,
    /// The longest wait of the daemon for calls in flight, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub drain_timeout_ms: Option<u64>,
    /// Milliseconds from the request to the end of the daemon.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub took_ms: Option<u64>,
}

/// What `mainstay up --detach --json` and `mainstay up --wait --json` print.
#[derive(Debug, Serialize, ToSchema)]
pub struct UpPrinted {
    /// The number of the daemon's process.
    pub pid: u32,
    /// Whether this command has started the daemon. False: it ran already.
    pub started: bool,
    /// With `--wait`: that everything is ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub ready: Option<bool>,
    /// The log file of daemons in the background.
    pub log_file: String,
}

/// What `mainstay start`, `mainstay stop NAME` and `mainstay restart` print with `--json`.
#[derive(Debug, Serialize, ToSchema)]
pub struct NodesPrinted {
    /// In the order of the command line.
    pub nodes: Vec<NodePrinted>,
    /// Only for `mainstay restart`: what came of the checks afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub verified: Option<VerifyReport>,
}

/// What became of one server or service.
#[derive(Debug, Serialize, ToSchema)]
pub struct NodePrinted {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub done: Option<ActionDone>,
    /// Why it was not done.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    pub error: Option<String>,
}

/// What every command prints with `--json` when it fails.
#[derive(Debug, Serialize, ToSchema)]
pub struct FailurePrinted {
    pub error: FailureText,
}

/// Why a command failed.
#[derive(Debug, Serialize, ToSchema)]
pub struct FailureText {
    pub message: String,
    /// What to do about it.
    pub hints: Vec<String>,
    /// What a program may want beside the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object, required = false)]
    pub details: Option<serde_json::Value>,
}
