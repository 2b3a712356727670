//! Names, and which servers are there already.

use std::collections::BTreeMap;
use std::path::Path;

use mainstay_model::name::NAME_LENGTH_MAX;

use super::found::{Found, Run};
use super::text::Text;
use super::tree::{find, is_table};
use crate::document::{Node, Value};

/// The names that a configuration uses.
#[derive(Default)]
pub(super) struct Existing {
    /// The command or address of each server. None for endpoints, which share the names.
    pub(super) names: BTreeMap<String, Option<Vec<String>>>,
}

/// The valid name that is closest to the name in a file.
pub(super) fn valid_name(raw: &str) -> String {
    let mut name = String::new();
    for c in raw.chars() {
        if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') {
            name.push(c);
        } else if !name.ends_with('-') {
            name.push('-');
        }
    }
    let begun = name.trim_start_matches(['-', '_']);
    let cut = &begun[..begun.len().min(NAME_LENGTH_MAX)];
    let name = cut.trim_end_matches(['-', '_']);
    if name.is_empty() { "server".to_owned() } else { name.to_owned() }
}

/// The name itself, then `name-2`, `name-3` and so on.
pub(super) fn candidates(name: &str) -> impl Iterator<Item = String> + use<> {
    let name = valid_name(name);
    (1..).map(move |number: u32| {
        if number == 1 {
            return name.clone();
        }
        let tail = format!("-{number}");
        let room = NAME_LENGTH_MAX - tail.len();
        let head = name[..name.len().min(room)].trim_end_matches(['-', '_']);
        format!("{head}{tail}")
    })
}

/// Whether a server is Mainstay itself, as written by an export: it would call itself for ever. An entry with
/// the name and the address of one counts, too, since the port of a daemon may have changed meanwhile.
pub(super) fn is_ourselves(found: &Found, own: &[String]) -> bool {
    let words: Vec<_> = match &found.run {
        Run::Command(words) => words.iter().filter_map(Text::as_literal).collect(),
        Run::Url(url) => url.as_literal().into_iter().collect(),
    };
    let is_shim = match words.as_slice() {
        [program, first, rest @ ..] => {
            Path::new(program).file_name().is_some_and(|name| name == "mainstay")
                && first == "connect"
                && !rest.iter().any(|word| word.starts_with("--url"))
        }
        _ => false,
    };
    let is_named = found.name == "mainstay" || found.name.starts_with("mainstay-");
    let is_exported = || is_named && words.iter().any(|word| is_local_endpoint(word));
    let is_own = |own: &String| words.iter().any(|word| is_below(word, own));
    is_shim || own.iter().any(is_own) || is_exported()
}

/// Whether an address is that of an endpoint of a daemon on this machine.
fn is_local_endpoint(address: &str) -> bool {
    let Some(rest) = address.strip_prefix("http://") else { return false };
    let Some((host, path)) = rest.split_once('/') else { return false };
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    let is_loopback = ["127.0.0.1", "localhost", "[::1]"].contains(&host);
    is_loopback && (path == "mcp" || path.starts_with("mcp/"))
}

/// Whether an address is that of the daemon, or of one of its endpoints.
fn is_below(address: &str, own: &str) -> bool {
    let address = address.replacen("://localhost", "://127.0.0.1", 1);
    let own = own.replacen("://localhost", "://127.0.0.1", 1);
    address.strip_prefix(&own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

// === impl Existing ===

impl Existing {
    pub(super) fn read(root: &Node) -> Self {
        let mut names = BTreeMap::new();
        for endpoint in find(root, "endpoints").map(Node::entries).unwrap_or_default() {
            names.insert(endpoint.key.clone(), None);
        }
        let servers = find(root, "servers");
        for server in servers.map(Node::entries).unwrap_or_default() {
            names.insert(server.key.clone(), Some(runtime(&server.node)));
        }
        Self { names }
    }
}

/// The words of a command, or an address alone.
fn runtime(server: &Node) -> Vec<String> {
    let text = |node: &Node| match &node.value {
        Value::Text(text) => Some(text.clone()),
        _ => None,
    };
    if !is_table(server) {
        return Vec::new();
    }
    match find(server, "command").map(|node| &node.value) {
        Some(Value::List(words)) => words.iter().filter_map(text).collect(),
        _ => find(server, "url").and_then(text).into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use mainstay_model::Name;

    use super::{candidates, valid_name};

    #[test]
    fn names_become_valid() {
        for (raw, expected) in [
            ("weather", "weather"),
            ("My Server!", "My-Server"),
            ("@org/pkg", "org-pkg"),
            ("_x", "x"),
            ("日本", "server"),
            ("", "server"),
            ("a  b", "a-b"),
        ] {
            assert_eq!(valid_name(raw), expected, "{raw}");
        }
        let long = "x".repeat(60);
        for candidate in candidates(&long).take(12) {
            assert!(Name::try_new(&candidate).is_ok(), "{candidate}");
        }
        assert_eq!(candidates("a").nth(2).unwrap(), "a-3");
    }
}
