//! Edits a client's own configuration so that the client uses Mainstay: text in, text out.
//!
//! Everything else in a client's file stays as it is, byte for byte: JSON, TOML and YAML are edited
//! where they stand, never written anew.

mod clients;
mod edit_error;
mod json;
mod settings;
mod tables;
mod target;
mod toml;
mod yaml;

use std::path::Path;

pub use clients::{CLIENTS, Client, Folders, find};
pub use edit_error::EditError;
pub use settings::settings;
pub use tables::ClientServer;
pub use target::{Target, TargetError, url};

use clients::Format;

/// The entry of Mainstay in a client's file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Mentions {
    /// Servers of the client that are Mainstay, by name.
    pub names: Vec<String>,
}

/// The name a client knows Mainstay by: `mainstay`, or `mainstay-NAME` for one server or group.
pub fn entry_name(endpoint: Option<&str>) -> String {
    endpoint.map_or("mainstay".to_owned(), |endpoint| format!("mainstay-{endpoint}"))
}

/// A byte order mark, which some editors of Windows write and JSON must not have (RFC 8259, section 8.1), and the
/// text behind it.
fn without_mark(text: &str) -> (&str, &str) {
    const MARK: &str = "\u{feff}";
    match text.strip_prefix(MARK) {
        Some(rest) => (MARK, rest),
        None => ("", text),
    }
}

impl Client {
    /// A text for people to copy: a whole file with nothing but Mainstay in it.
    pub fn snippet(&self, name: &str, target: &Target) -> String {
        let entry = self.entry(name, target);
        match self.format {
            Format::Json => json::alone(&[self.table.to_owned()], name, &entry),
            Format::Toml => toml::alone(self.table, name, &entry),
            Format::Yaml => yaml::alone(self.table, name, &entry),
        }
    }

    /// Adds Mainstay to the text of the client's file. Returns the same text when it is there
    /// already.
    ///
    /// # Errors
    ///
    /// When the text can't be parsed, or something else is in the place of the servers.
    pub fn put(
        &self,
        path: &Path,
        text: &str,
        name: &str,
        target: &Target,
    ) -> Result<String, EditError> {
        let (mark, text) = without_mark(text);
        let there = self.own_table_with(path, text, name)?;
        let entry = if there.is_some() { self.runs(target) } else { self.entry(name, target) };
        let after = match self.format {
            Format::Json => {
                let table = there.or_else(|| self.own_tables(text).into_iter().next());
                json::put(path, text, &table.unwrap_or_default(), name, &entry)
            }
            Format::Toml => toml::put(path, text, self.table, name, &entry),
            Format::Yaml => yaml::put(path, text, self.table, name, &entry),
        }?;
        Ok(format!("{mark}{after}"))
    }

    /// Removes Mainstay from the text of the client's file. Returns the same text when it is not
    /// there.
    ///
    /// # Errors
    /// When the text can't be read.
    pub fn take_out(&self, path: &Path, text: &str, name: &str) -> Result<String, EditError> {
        match self.own_table_with(path, without_mark(text).1, name)? {
            Some(table) => self.remove(path, text, &self.server_in(&table, name.to_owned())),
            None => Ok(text.to_owned()),
        }
    }

    /// Removes a server from the text of the client's file. Returns the same text when it is not there.
    ///
    /// # Errors
    /// When the text can't be read.
    pub fn remove(
        &self,
        path: &Path,
        text: &str,
        server: &ClientServer,
    ) -> Result<String, EditError> {
        let ClientServer { name, within } = server;
        let (mark, text) = without_mark(text);
        let after = match self.format {
            Format::Json if within.is_empty() => {
                json::take_out(path, text, &[self.table.to_owned()], name)
            }
            Format::Json => json::take_out(path, text, within, name),
            Format::Toml => toml::take_out(path, text, self.table, name),
            Format::Yaml => yaml::take_out(path, text, self.table, name),
        }?;
        Ok(format!("{mark}{after}"))
    }

    /// Finds the entries for Mainstay in the text of the client's file.
    ///
    /// # Errors
    /// When the text can't be read.
    pub fn mentions(&self, path: &Path, text: &str) -> Result<Mentions, EditError> {
        let (_, text) = without_mark(text);
        let is_ours = |name: &String| name == "mainstay" || name.starts_with("mainstay-");
        let mut names = Vec::new();
        for table in self.own_tables(text) {
            names.extend(self.names(path, text, &table)?.into_iter().filter(is_ours));
        }
        Ok(Mentions { names })
    }

    /// All servers in the client's file.
    ///
    /// # Errors
    /// When the text can't be read.
    pub fn servers(&self, path: &Path, text: &str) -> Result<Vec<ClientServer>, EditError> {
        let (_, text) = without_mark(text);
        let mut servers = Vec::new();
        for table in self.tables(text) {
            let names = self.names(path, text, &table)?.into_iter();
            servers.extend(names.map(|name| self.server_in(&table, name)));
        }
        Ok(servers)
    }

    /// The table of Mainstay's entry. None if the file does not have it.
    fn own_table_with(
        &self,
        path: &Path,
        text: &str,
        name: &str,
    ) -> Result<Option<Vec<String>>, EditError> {
        for table in self.own_tables(text) {
            if self.names(path, text, &table)?.iter().any(|there| there == name) {
                return Ok(Some(table));
            }
        }
        Ok(None)
    }

    /// The names of the servers in one table.
    fn names(&self, path: &Path, text: &str, table: &[String]) -> Result<Vec<String>, EditError> {
        let mut names = match self.format {
            Format::Json => json::names(path, text, table),
            Format::Toml => toml::names(path, text, self.table),
            Format::Yaml => yaml::names(path, text, self.table),
        }?;
        names.retain(|name| self.is_server_key(table, name));
        Ok(names)
    }
}
