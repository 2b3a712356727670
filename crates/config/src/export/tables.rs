//! Where the servers stand in a client's file.

use std::path::Path;

use serde_json::Value;

use super::clients::{Client, Further};
use crate::import::json_tree;

/// A server in a client's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientServer {
    pub name: String,
    /// The keys of its table, from the top of the file. Empty: the client's usual table.
    pub within: Vec<String>,
}

/// Keys of a second version of OpenCode's table that are no servers.
const NO_SERVERS: [&str; 2] = ["servers", "timeout"];

// === impl ClientServer ===

impl ClientServer {
    /// The server's name, with the folder of the project that it belongs to.
    pub fn shown(&self) -> String {
        match self.within.as_slice() {
            [projects, folder, _] if projects == "projects" => {
                format!("{} (in {folder})", self.name)
            }
            _ => self.name.clone(),
        }
    }
}

// === impl Client ===

impl Client {
    /// The tables that Mainstay may be in: new entries belong to the first.
    pub(super) fn own_tables(&self, text: &str) -> Vec<Vec<String>> {
        let usual = vec![self.table.to_owned()];
        let within = vec![self.table.to_owned(), "servers".to_owned()];
        let is_there = self.further == Further::Within
            && find(text, &within).is_some_and(|servers| !is_server(&servers));
        if is_there { vec![within, usual] } else { vec![usual] }
    }

    /// All tables of servers in the client's file.
    pub(super) fn tables(&self, text: &str) -> Vec<Vec<String>> {
        let mut tables = self.own_tables(text);
        if self.further == Further::Projects {
            let projects = find(text, &["projects".to_owned()]);
            let folders = projects.as_ref().and_then(Value::as_object).into_iter().flatten();
            let folders = folders.filter(|(_, project)| project[self.table].is_object());
            tables.extend(folders.map(|(folder, _)| {
                vec!["projects".to_owned(), folder.clone(), self.table.to_owned()]
            }));
        }
        tables
    }

    /// The server of this name in a table.
    pub(super) fn server_in(&self, table: &[String], name: String) -> ClientServer {
        let is_usual = table == [self.table];
        ClientServer { name, within: if is_usual { Vec::new() } else { table.to_owned() } }
    }

    /// Whether a key of a table is a server.
    pub(super) fn is_server_key(&self, table: &[String], key: &str) -> bool {
        self.further != Further::Within || table.len() > 1 || !NO_SERVERS.contains(&key)
    }
}

/// The value at the end of a chain of keys. None for a text that is not JSON, too.
fn find(text: &str, keys: &[String]) -> Option<Value> {
    let tree = json_tree(Path::new(""), text).ok()?;
    keys.iter().try_fold(tree, |mut value, key| value.get_mut(key).map(Value::take))
}

/// Whether a table is a server itself, as in a file of before with a server called `servers`.
fn is_server(value: &Value) -> bool {
    value["type"].is_string() || value["command"].is_array() || value["url"].is_string()
}
