//! Reports unknown keys, with the key that was probably meant.

use super::{Reader, elsewhere};
use crate::document::{Entry, key_text};
use crate::keys::TOP_LEVEL;
use crate::nearest::did_you_mean;
use crate::problem::quoted;

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
        let help = elsewhere::of_key(&entry.key, path)
            .map(str::to_owned)
            .or_else(|| of_probes_of_servers(&entry.key, path))
            .or_else(|| belongs_elsewhere(&entry.key))
            .or_else(|| did_you_mean(&entry.key, known.clone()))
            .unwrap_or_else(|| format!("allowed: {}", known.collect::<Vec<_>>().join(", ")));
        self.notes
            .error(at, &key, format!("unknown key {} {place}", quoted(&entry.key)))
            .help(help);
    }
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
    // Checks have the keys of probes.
    let mut others = TOP_LEVEL.iter().filter(|top| top.name != "checks");
    let top = others.find(|top| top.section.key(key).is_some())?;
    Some(format!("`{key}` belongs in [{}]", top.section.title))
}
