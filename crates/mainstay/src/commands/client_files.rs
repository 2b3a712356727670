//! The files of MCP clients on this machine.

#![expect(clippy::disallowed_methods, reason = "a command of its own, which nobody else waits for")]

use std::cmp::Reverse;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use mainstay_config::export::{Client, Folders};
use mainstay_config::import::IMPORT_BYTES_MAX;

use crate::exit::{Exit, Failure};

/// The folders of this user. None without a home folder.
pub(super) fn folders() -> Option<Folders> {
    let home = std::env::home_dir().filter(|home| home.is_absolute())?;
    Some(Folders::new(home, |name| std::env::var(name).ok()))
}

/// The files of a client in the working folder, unless they are the user's own. Empty: it knows no projects.
pub(super) fn of_project(client: &Client) -> Vec<PathBuf> {
    let own: Vec<_> = folders().map(|folders| client.places(&folders)).unwrap_or_default();
    let here = std::env::current_dir().unwrap_or_default();
    let is_own = |file: &PathBuf| own.contains(&here.join(file));
    client.places_in(Path::new("")).into_iter().filter(|file| !is_own(file)).collect()
}

/// The files among these that exist and name servers.
pub(super) fn with_servers(client: &Client, places: &[PathBuf]) -> Vec<PathBuf> {
    places.iter().filter(|file| rank(client, file) > Rank::There).cloned().collect()
}

/// The file to edit, of all that the client reads: the one with Mainstay, else one with servers, else one that
/// exists, else the first.
pub(super) fn chosen(client: &Client, places: &[PathBuf]) -> Option<PathBuf> {
    places.iter().min_by_key(|file| Reverse(rank(client, file))).cloned()
}

/// How fit a file is to be edited.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Missing,
    There,
    Servers,
    Mainstay,
}

fn rank(client: &Client, file: &Path) -> Rank {
    let text = match read(file) {
        Ok(Some(text)) => text,
        Ok(None) => return Rank::Missing,
        Err(_) => return Rank::There,
    };
    let has_mainstay = client.mentions(file, &text).is_ok_and(|found| !found.names.is_empty());
    let has_servers = client.servers(file, &text).is_ok_and(|servers| !servers.is_empty());
    match (has_mainstay, has_servers) {
        (true, _) => Rank::Mainstay,
        (false, true) => Rank::Servers,
        (false, false) => Rank::There,
    }
}

/// Reads a client's file. None when there is none.
pub(super) fn read(file: &Path) -> Result<Option<String>, Failure> {
    let cant = |why: String| {
        Failure::new(Exit::Failed, format!("{} can't be read: {why}", file.display()))
    };
    match std::fs::metadata(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(cant(error.to_string())),
        Ok(meta) if !meta.is_file() => return Err(cant("it is not a regular file".to_owned())),
        Ok(meta) if meta.len() > IMPORT_BYTES_MAX => {
            return Err(cant("it is too large".to_owned()));
        }
        Ok(_) => {}
    }
    // The standard library's error does not quote the file's text.
    std::fs::read_to_string(file).map(Some).map_err(|error| cant(error.to_string()))
}
