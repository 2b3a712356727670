//! Edits the configuration file itself: text in, text out. Comments, order and formatting stay.

mod lines;
mod removal;
#[cfg(test)]
mod tests;

use std::path::Path;

pub use removal::{RemoveError, Removed, remove};

use crate::document::{Node, parse_file};
use crate::import::problem_at;
use crate::keys::TOP_LEVEL;
use crate::problem::Problems;

/// What a new file begins with.
pub const FIRST_LINE: &str = "# Mainstay's configuration. `mainstay check` says what is wrong with it, and where.\n\
                              # `mainstay schema` and docs/configuration.md describe its keys.\n\n";

/// What has this name already, as a noun such as `server`. All tables with names share them.
///
/// # Errors
/// When the text is not TOML.
pub fn taken(path: &Path, text: &str, name: &str) -> Result<Option<&'static str>, Problems> {
    let root = tree(path, text)?;
    let named = TOP_LEVEL.iter().filter(|top| top.named);
    let mut holders = named.filter(|top| {
        let tables = root.entries().iter().filter(|entry| entry.key == top.name);
        tables.flat_map(|table| table.node.entries()).any(|entry| entry.key == name)
    });
    Ok(holders.next().map(|top| if top.name == "endpoints" { "group" } else { top.noun() }))
}

fn tree(path: &Path, text: &str) -> Result<Node, Problems> {
    let (root, errors) = parse_file(text);
    match errors.first() {
        None => Ok(root),
        Some(error) => {
            let message = format!("this is not valid TOML: {}", error.message);
            Err(problem_at(path, text, &error.span, message))
        }
    }
}
