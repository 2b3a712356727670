//! Imports MCP servers from the files of other programs: text in, text out.
//!
//! ```text
//!  file ─▶ tree ─▶ formats ─▶ Found ─▶ secrets ─▶ ImportPlan (names, references, TOML) ─▶ verify
//! ```
//! Formats are told apart by what is in a file, never by its name. Values that look like secrets
//! leave a [`ImportPlan`] only through [`SecretToWrite`]; nothing else in it holds one.

mod build;
mod emit;
mod entry;
mod file;
mod foreign;
mod formats;
mod found;
mod given;
mod identity;
mod notation;
mod plan;
mod refer;
mod secrets;
pub(crate) mod shapes;
pub(crate) mod shell;
mod text;
mod tree;
mod verify;
mod yaml;

use std::path::Path;

pub use self::file::{IMPORT_BYTES_MAX, ImportFile};
pub use self::found::{Parsed, Skipped};
pub use self::given::{GivenRun, GivenServer};
pub use self::plan::{Added, Already, ImportPlan, PlanRequest, Renamed, plan};
pub use self::refer::{SecretHome, SecretToWrite, VariableToSet};
pub use self::verify::{Configured, configured, verify};

pub(crate) use self::notation::{position, problem_at};
pub(crate) use self::tree::{JSON_OPTIONS, find};

use crate::document::Node;
use crate::problem::{Place, Problems};

/// Parses the servers in a file.
///
/// # Errors
///
/// When the text has a syntax error, with line and column, or when its format is unknown.
pub fn parse(file: &ImportFile) -> Result<Parsed, Problems> {
    let tree = tree::parse(&file.text).map_err(|error| error.problems(file))?;
    formats::read(file, &tree).ok_or_else(|| {
        let help = "known formats: `mcpServers`, `servers` and `mcp.servers`, `mcp`, `context_servers`, \
                    `extensions`, `[mcp_servers.NAME]`, and `services` of compose files";
        Problems::one(
            Place::File { file: file.path.clone() },
            "it has no servers in a known format".to_owned(),
            Some(help.to_owned()),
        )
    })
}

/// Parses JSON with comments to a value; the order of keys is lost.
///
/// # Errors
/// When it can't be read, with line and column.
pub(crate) fn json_tree(path: &Path, text: &str) -> Result<serde_json::Value, Problems> {
    match tree::json(text) {
        Ok(node) => Ok(node.to_json()),
        Err(broken) => Err(broken.problems_in(path, text)),
    }
}

/// Parses YAML to a tree that keeps the place of every node.
///
/// # Errors
/// When it can't be read, with line and column.
pub(crate) fn yaml_tree(path: &Path, text: &str) -> Result<Node, Problems> {
    yaml::parse(text).map_err(|broken| broken.problems_in(path, text))
}
