//! Stand-ins for variables and secrets that are not available.
//!
//! The user who adds a server to a configuration, or asks for its address, may not have the
//! variables and secrets that only the daemon has.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use mainstay_model::program_file::ProgramFault;

use crate::disk::{Disk, RealDisk, SecretFile};
use crate::expand::is_variable;

/// A value that is valid as a host, a port and a part of a path.
const WORD: &str = "1";
/// Values for keys that want an address.
const ADDRESSES: [(&str, &str); 6] = [
    ("url", "http://1"),
    ("http", "http://1"),
    ("target", "http://1"),
    ("tcp", "1:1"),
    ("redis", "redis://1"),
    ("postgres", "postgres://1"),
];

/// A disk on which every secret can be read.
pub(crate) struct EverySecret;

/// A variable that a configuration refers to.
struct Mention<'a> {
    name: &'a str,
    /// The place of the reference in the text.
    at: usize,
    /// Whether the configuration holds without the variable.
    has_default: bool,
}

/// Sets every variable that a configuration needs and the environment lacks.
pub(crate) fn stand_in(text: &str, env: &mut BTreeMap<String, String>) {
    for Mention { name, at, .. } in mentions(text).filter(|mention| !mention.has_default) {
        let before = text[..at].trim_end_matches(['"', '\'']).trim_end();
        let key = before.strip_suffix('=').map(str::trim_end).unwrap_or_default();
        let address = ADDRESSES.into_iter().find(|(name, _)| key.ends_with(name));
        let value = address.map_or(WORD, |(_, address)| address);
        env.entry(name.to_owned()).or_insert_with(|| value.to_owned());
    }
}

/// The names of all variables that the text of a configuration refers to. Lines that are comments, such
/// as the examples of a new file, are left out.
pub fn variables(text: &str) -> BTreeSet<String> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    lines.flat_map(mentions).map(|mention| mention.name.to_owned()).collect()
}

fn mentions(text: &str) -> impl Iterator<Item = Mention<'_>> {
    let begins = ["${", "secret:env:"].into_iter();
    let places = begins.flat_map(move |begin| {
        text.match_indices(begin).map(move |(at, _)| (at, &text[at + begin.len()..]))
    });
    places.filter_map(|(at, rest)| {
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        let (name, behind) = rest.split_at(end.unwrap_or(rest.len()));
        is_variable(name).then_some(Mention { name, at, has_default: behind.starts_with(":-") })
    })
}

// === impl EverySecret ===

impl Disk for EverySecret {
    fn is_program(&self, path: &Path) -> bool {
        RealDisk.is_program(path)
    }

    fn program_fault(&self, path: &Path, folders: &str) -> Option<ProgramFault> {
        RealDisk.program_fault(path, folders)
    }

    fn is_folder(&self, path: &Path) -> bool {
        RealDisk.is_folder(path)
    }

    fn secret(&self, _: &Path) -> io::Result<SecretFile> {
        Ok(SecretFile { text: WORD.to_owned(), is_open_to_others: false })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{stand_in, variables};

    #[test]
    fn every_variable_is_named_once() {
        let found = variables("a = \"${B}${A:-x}${B}\" # $C ${} \"secret:env:D\"");
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["A", "B", "D"]);
        let found = variables("  # a = \"${A}\"\nb = \"${B}\"\n");
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["B"]);
    }

    #[test]
    fn what_is_needed_is_set() {
        let mut env = BTreeMap::from([("SET".to_owned(), "mine".to_owned())]);
        let text = "url = \"${BASE}/mcp\"\nenv = { A = \"${SET}${B}\", C = 'secret:env:C', D = '${D:-x}' }";
        stand_in(text, &mut env);
        let found: Vec<_> = env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(found, ["B=1", "BASE=http://1", "C=1", "SET=mine"]);
    }
}
