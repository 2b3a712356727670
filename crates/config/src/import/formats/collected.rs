//! The servers that the formats read from one file.

use super::super::entry::{Context, Skip};
use super::super::file::ImportFile;
use super::super::found::{Found, Parsed, Skipped};
use super::super::tree::{find, is_table};
use crate::document::Node;

/// The servers read from one file so far.
pub(super) struct Collected<'a> {
    pub(super) file: &'a ImportFile,
    pub(super) parsed: Parsed,
}

/// The value of `key`, if it is a table.
pub(super) fn table<'a>(node: &'a Node, key: &str) -> Option<&'a Node> {
    find(node, key).filter(|node| is_table(node))
}

// === impl Collected ===

impl Collected<'_> {
    pub(super) fn is(&mut self, format: &'static str) {
        if self.parsed.format.is_empty() {
            self.parsed.format = format;
        }
    }

    /// Reads each server of a table.
    pub(super) fn each<'a>(
        &mut self,
        cx: &'a Context<'a>,
        servers: &'a Node,
        read: impl Fn(&'a Context<'a>, &str, &'a Node) -> Result<Found, Skip>,
    ) {
        for entry in servers.entries() {
            self.one(&entry.key, read(cx, &entry.key, &entry.node));
        }
    }

    pub(super) fn one(&mut self, name: &str, read: Result<Found, Skip>) {
        match read {
            Ok(found) => self.parsed.found.push(found),
            Err(Skip(reason)) => self.skip(name, reason),
        }
    }

    pub(super) fn skip(&mut self, name: &str, reason: String) {
        let file = self.file.path.clone();
        self.parsed.skipped.push(Skipped { name: name.to_owned(), file, reason });
    }
}
