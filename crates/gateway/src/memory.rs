//! Published names outlive the daemon: one small file in the state folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mainstay_session::catalogue::Memory;
use parking_lot::Mutex;

/// Names given out, by endpoint.
#[derive(Debug)]
pub(crate) struct NameStore {
    path: PathBuf,
    by_endpoint: Mutex<BTreeMap<String, Memory>>,
}

impl NameStore {
    /// Reads what is there. A file that can't be read is set aside rather than overwritten.
    pub(crate) fn open(state_dir: &Path) -> Self {
        let path = state_dir.join("names.json");
        let stored = match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|error| {
                tracing::warn!(path = %path.display(), %error, "published names can't be read; set aside");
                let _ = std::fs::rename(&path, path.with_extension("json.unreadable"));
                BTreeMap::new()
            }),
            Err(_) => BTreeMap::new(),
        };
        Self { path, by_endpoint: Mutex::new(stored) }
    }

    /// The names of an endpoint, without those of servers it no longer has.
    pub(crate) fn load(&self, endpoint: &str, configured: impl Fn(&str) -> bool) -> Memory {
        let mut memory = self.by_endpoint.lock().get(endpoint).cloned().unwrap_or_default();
        for names in &mut memory {
            names.retain(&configured);
        }
        memory
    }

    /// Keeps the names of an endpoint; written only when one is new.
    pub(crate) fn save(&self, endpoint: &str, memory: &Memory) {
        let mut all = self.by_endpoint.lock();
        if all.get(endpoint).is_some_and(|stored| same(stored, memory)) {
            return;
        }
        all.insert(endpoint.to_owned(), memory.clone());
        if let Err(error) = write(&self.path, &all) {
            tracing::warn!(path = %self.path.display(), %error, "published names can't be stored");
        }
    }
}

fn same(stored: &Memory, memory: &Memory) -> bool {
    stored.iter().zip(memory).all(|(stored, now)| stored.is_same(now))
}

/// Writes aside and renames, so that a crash leaves the old file or the new one.
fn write(path: &Path, all: &BTreeMap<String, Memory>) -> std::io::Result<()> {
    let aside = path.with_extension("json.new");
    std::fs::write(&aside, serde_json::to_vec(all)?)?;
    std::fs::rename(aside, path)
}
