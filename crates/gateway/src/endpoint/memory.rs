//! Published names outlive the daemon: one small file in the state folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mainstay_session::catalogue::Memory;
use parking_lot::Mutex;

/// Names given out, and the file they are in.
#[derive(Debug)]
pub(crate) struct NameStore {
    path: PathBuf,
    names: Mutex<Names>,
}

#[derive(Debug)]
struct Names {
    by_endpoint: BTreeMap<String, Memory>,
    /// Why the file lacks some of them, while that is so.
    failing: Option<String>,
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
        Self { path, names: Mutex::new(Names { by_endpoint: stored, failing: None }) }
    }

    /// The names of an endpoint, without those of servers it no longer has.
    pub(crate) fn load(&self, endpoint: &str, configured: impl Fn(&str) -> bool) -> Memory {
        let known = self.names.lock().by_endpoint.get(endpoint).cloned();
        let mut memory = known.unwrap_or_default();
        for names in &mut memory {
            names.retain(&configured);
        }
        memory
    }

    /// Keeps the names of an endpoint; written only when one is new.
    pub(crate) fn save(&self, endpoint: &str, memory: &Memory) {
        let mut names = self.names.lock();
        if names.by_endpoint.get(endpoint).is_some_and(|stored| same(stored, memory)) {
            return;
        }
        names.by_endpoint.insert(endpoint.to_owned(), memory.clone());
        self.store(&mut names);
    }

    /// Writes again what could not be written.
    pub(crate) fn retry(&self) {
        let mut names = self.names.lock();
        if names.failing.is_some() {
            self.store(&mut names);
        }
    }

    /// Why a restart would forget names, while that is so.
    pub(crate) fn failing(&self) -> Option<String> {
        self.names.lock().failing.clone()
    }

    fn store(&self, names: &mut Names) {
        let path = self.path.display();
        match write(&self.path, &names.by_endpoint) {
            Ok(()) if names.failing.take().is_some() => {
                tracing::info!(%path, "published names are stored again");
            }
            Ok(()) => {}
            Err(error) => {
                if names.failing.is_none() {
                    tracing::warn!(%path, %error, "published names can't be stored");
                }
                names.failing = Some(format!("{path}: {error}"));
            }
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

#[cfg(test)]
mod tests {
    use super::NameStore;

    #[test]
    fn what_can_not_be_written_is_written_later() {
        let folder = tempfile::tempdir().unwrap();
        // A folder in the way of the file: also a superuser can't write it.
        let in_the_way = folder.path().join("names.json.new");
        std::fs::create_dir(&in_the_way).unwrap();
        let names = NameStore::open(folder.path());
        assert_eq!(names.failing(), None);
        names.save("work", &Default::default());
        assert!(names.failing().unwrap().contains("names.json: "));
        names.retry();
        assert!(names.failing().is_some());
        std::fs::remove_dir(&in_the_way).unwrap();
        names.retry();
        assert_eq!(names.failing(), None);
        let stored = std::fs::read_to_string(folder.path().join("names.json")).unwrap();
        assert!(stored.contains("work"), "{stored}");
    }
}
