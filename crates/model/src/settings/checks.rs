//! Checks that `mainstay verify` makes: what must hold when the stack works.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;

use super::probe::ProbeCheck;
use super::{Lack, as_millis};
use crate::Name;

/// A `[[checks]]` section: one check, made when somebody asks for it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CheckSpec {
    /// Its place in the file, counted from 1.
    pub number: usize,
    /// Unique among the checks: as it is written, or made of what is checked, such as `search/find`.
    pub name: String,
    pub kind: CheckKind,
    /// The time limit, from its start to its result.
    #[serde(serialize_with = "as_millis")]
    pub timeout: Duration,
    /// What its configuration refers to and the daemon does not have. The check fails while there is anything
    /// here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lacks: Vec<Lack>,
}

/// What is checked, and how.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CheckKind {
    /// A tool call, made as clients make it.
    Call(CallCheck),
    /// The names of the tools that a server lists.
    Tools(ToolsCheck),
    /// An address or a command, without a server in between.
    Target(TargetCheck),
}

/// A tool call, and what must come back. Everything that is set must hold.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CallCheck {
    pub server: Name,
    pub tool: String,
    /// The arguments, as the text of a JSON object.
    pub args: String,
    /// Whether the tool must fail: answer with `isError`, or with an error.
    pub is_error: bool,
    /// A text of the result contains this.
    pub contains: Option<String>,
    /// The text of the result is this, but for white space around it.
    pub equals: Option<String>,
    /// Members of the result's JSON, by their path with dots, and the JSON texts that each may be.
    pub json: Vec<(String, Vec<String>)>,
}

/// The tools of a server, as a set of names.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ToolsCheck {
    pub server: Name,
    pub names: BTreeSet<String>,
    /// Whether there may be no others.
    pub is_exact: bool,
}

/// An address or a command that is checked as probes do it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TargetCheck {
    /// The server, service or external that the check says something about.
    pub of: Option<Name>,
    /// [`Http`](ProbeCheck::Http), [`Tcp`](ProbeCheck::Tcp), [`Command`](ProbeCheck::Command),
    /// [`Redis`](ProbeCheck::Redis) or [`Postgres`](ProbeCheck::Postgres).
    pub check: ProbeCheck,
    /// What a command must write to its standard output.
    pub output: Option<String>,
}

// === impl CheckSpec ===

impl CheckSpec {
    /// The server, service or external that it says something about.
    pub fn of(&self) -> Option<&Name> {
        match &self.kind {
            CheckKind::Call(call) => Some(&call.server),
            CheckKind::Tools(tools) => Some(&tools.server),
            CheckKind::Target(target) => target.of.as_ref(),
        }
    }
}

// === impl CheckKind ===

impl CheckKind {
    /// The key that declares it, and its word in results.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Call(_) => "call",
            Self::Tools(_) => "tools",
            Self::Target(target) => target.check.word(),
        }
    }
}
