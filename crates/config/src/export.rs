//! Edits a client's own configuration so that the client uses Mainstay: text in, text out.
//!
//! Everything else in a client's file stays as it is, byte for byte: JSON, TOML and YAML are edited
//! where they stand, never written anew.

mod clients;
mod edit_error;
mod json;
mod settings;
mod target;
mod toml;
mod yaml;

use std::path::{Path, PathBuf};

pub use clients::{CLIENTS, Client, Folders, find};
pub use edit_error::EditError;
pub use settings::settings;
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

impl Client {
    /// A text for people to copy: a whole file with nothing but Mainstay in it.
    pub fn snippet(&self, name: &str, target: &Target) -> String {
        match self.format {
            Format::Json => json::alone(self.table, name, &self.entry(name, target)),
            Format::Toml => toml::alone(self.table, name, &self.entry(name, target)),
            Format::Yaml => yaml::alone(self.table, name, &self.entry(name, target)),
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
        let is_there = self.servers(path, text)?.iter().any(|there| there == name);
        let entry = if is_there { self.runs(target) } else { self.entry(name, target) };
        match self.format {
            Format::Json => json::put(path, text, self.table, name, &entry),
            Format::Toml => toml::put(path, text, self.table, name, &entry),
            Format::Yaml => yaml::put(path, text, self.table, name, &entry),
        }
    }

    /// Removes Mainstay from the text of the client's file. Returns the same text when it is not
    /// there.
    ///
    /// # Errors
    /// When the text can't be read.
    pub fn take_out(&self, path: &Path, text: &str, name: &str) -> Result<String, EditError> {
        match self.format {
            Format::Json => json::take_out(path, text, self.table, name),
            Format::Toml => toml::take_out(path, text, self.table, name),
            Format::Yaml => yaml::take_out(path, text, self.table, name),
        }
    }

    /// Finds the entries for Mainstay in the text of the client's file.
    ///
    /// # Errors
    /// When the text can't be read.
    pub fn mentions(&self, path: &Path, text: &str) -> Result<Mentions, EditError> {
        let is_ours = |name: &String| name == "mainstay" || name.starts_with("mainstay-");
        Ok(Mentions { names: self.servers(path, text)?.into_iter().filter(is_ours).collect() })
    }

    /// The names of all servers in the client's file, in the table that Mainstay is written into.
    ///
    /// # Errors
    /// When the text can't be read.
    pub fn servers(&self, path: &Path, text: &str) -> Result<Vec<String>, EditError> {
        match self.format {
            Format::Json => json::names(path, text, self.table),
            Format::Toml => toml::names(path, text, self.table),
            Format::Yaml => yaml::names(path, text, self.table),
        }
    }

    /// The path of the client's file on this system. None when the client has no file of its own.
    pub fn place(&self, folders: &Folders) -> Option<PathBuf> {
        (self.file)(folders)
    }
}
