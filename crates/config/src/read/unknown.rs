//! Reports unknown keys, with the key that was probably meant.

use super::Reader;
use crate::document::{Entry, key_text};
use crate::keys::TOP_LEVEL;
use crate::nearest::did_you_mean;
use crate::problem::quoted;

/// Keys of clients' files, which people bring along.
const OF_CLIENTS: [(&str, &str); 9] = [
    ("args", "put arguments into `command`, after the program: command = [\"npx\", \"-y\", \"…\"]"),
    ("type", FOUND_OUT),
    ("transport", FOUND_OUT),
    ("serverUrl", "write `url`"),
    ("httpUrl", "write `url`"),
    ("timeout", "write `start_timeout`; for the deadline of calls, `call_timeout` in [gateway]"),
    ("tool_timeout_sec", "the deadline of calls is `call_timeout` in [gateway], for all servers"),
    ("startup_timeout_sec", "write `start_timeout = \"30s\"`"),
    ("disabled", "to disable a server, remove it from the file"),
];

const FOUND_OUT: &str =
    "remove it: `command` or `url` decides, and the transport at a `url` is detected";

impl Reader<'_> {
    pub(super) fn note_unknown<'k>(
        &mut self,
        entry: &Entry,
        path: &str,
        place: &str,
        known: impl Iterator<Item = &'k str> + Clone,
    ) {
        let at = &entry.key_at;
        let key = if path.is_empty() {
            key_text(&entry.key)
        } else {
            format!("{path}.{}", key_text(&entry.key))
        };
        let help = of_clients(&entry.key, path)
            .or_else(|| of_probes_of_servers(&entry.key, path))
            .or_else(|| belongs_elsewhere(&entry.key))
            .or_else(|| did_you_mean(&entry.key, known.clone()))
            .unwrap_or_else(|| format!("allowed: {}", known.collect::<Vec<_>>().join(", ")));
        self.notes
            .error(at, &key, format!("unknown key {} {place}", quoted(&entry.key)))
            .help(help);
    }
}

fn of_clients(key: &str, path: &str) -> Option<String> {
    let is_of_server = path.starts_with("servers.") && path.matches('.').count() == 1;
    let (_, help) = OF_CLIENTS.iter().find(|(known, _)| is_of_server && *known == key)?;
    Some((*help).to_owned())
}

/// A check that only some probes have.
fn of_probes_of_servers(key: &str, path: &str) -> Option<String> {
    let is_probe = path.starts_with("externals.")
        || (path.starts_with("services.") && path.ends_with(".probe"));
    let help = match key {
        "ping" | "tool" | "args" => "only servers speak MCP: it belongs in [servers.NAME.probe]",
        "log" => "Mainstay has no output of what it does not run",
        _ => return None,
    };
    is_probe.then(|| help.to_owned())
}

/// A key that is right, but not here.
fn belongs_elsewhere(key: &str) -> Option<String> {
    let top = TOP_LEVEL.iter().find(|top| top.section.key(key).is_some())?;
    Some(format!("`{key}` belongs in [{}]", top.section.title))
}
