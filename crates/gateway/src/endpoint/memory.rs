//! Published names outlive the daemon: one small file in the state folder.

use std::collections::BTreeMap;
use std::path::Path;

use mainstay_session::catalogue::PublishedNames;
use mainstay_store::Document;
use parking_lot::Mutex;

/// Names given out, and the file they are in. Nothing here waits for the file but [`NameStore::open`] and
/// [`NameStore::close`], which have a deadline.
#[derive(Debug)]
pub(crate) struct NameStore {
    document: Document,
    by_endpoint: Mutex<BTreeMap<String, PublishedNames>>,
}

impl NameStore {
    /// Reads the file. One that can't be read is set aside rather than overwritten.
    pub(crate) fn open(state_dir: &Path) -> Self {
        let (document, found) = Document::open(state_dir.join("names.json"), "published names");
        let stored = found.map(|bytes| serde_json::from_slice(&bytes));
        let by_endpoint = stored.unwrap_or_else(|| Ok(BTreeMap::new())).unwrap_or_else(|error| {
            document.reject(&error);
            BTreeMap::new()
        });
        Self { document, by_endpoint: Mutex::new(by_endpoint) }
    }

    /// Returns the names of an endpoint, without those of servers it no longer has.
    pub(crate) fn load(&self, endpoint: &str, configured: impl Fn(&str) -> bool) -> PublishedNames {
        let known = self.by_endpoint.lock().get(endpoint).cloned();
        let mut memory = known.unwrap_or_default();
        for names in &mut memory {
            names.retain(&configured);
        }
        memory
    }

    /// Keeps the names of an endpoint, and has them written if one is new.
    pub(crate) fn save(&self, endpoint: &str, memory: &PublishedNames) {
        let mut all = self.by_endpoint.lock();
        if all.get(endpoint).is_some_and(|stored| is_same(stored, memory)) {
            return;
        }
        all.insert(endpoint.to_owned(), memory.clone());
        // Maps of text can always be written as JSON.
        if let Ok(text) = serde_json::to_vec(&*all) {
            // Under the lock, so that the last to be set is the last that was saved.
            self.document.set(text);
        }
    }

    /// Waits until all names that were saved are stored. A disk that fails is not waited for, and one
    /// that is slow for a second.
    pub(crate) async fn stored(&self) {
        self.document.stored().await;
    }

    /// Why a restart would forget names, while that is so.
    pub(crate) fn failing(&self) -> Option<String> {
        self.document.failing()
    }

    /// Writes what is left. A disk that hangs is not waited for.
    pub(crate) async fn close(&self) {
        self.document.close().await;
    }
}

fn is_same(stored: &PublishedNames, memory: &PublishedNames) -> bool {
    stored.iter().zip(memory).all(|(stored, now)| stored.is_same(now))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests may block")]
mod tests {
    use mainstay_model::Name;
    use mainstay_model::settings::Prefix;
    use mainstay_protocol::list::ListKind;
    use mainstay_session::catalogue::PublishedNames;

    use super::NameStore;

    fn names(server: &str) -> PublishedNames {
        let mut memory = PublishedNames::default();
        let server = Name::try_new(server).unwrap();
        memory[ListKind::Tools as usize].publish(&server, "echo", Prefix::Always);
        memory
    }

    #[tokio::test]
    async fn names_are_there_for_the_next_daemon() {
        let folder = tempfile::tempdir().unwrap();
        let first = NameStore::open(folder.path());
        first.save("work", &names("a"));
        first.save("play", &names("b"));
        first.close().await;
        let second = NameStore::open(folder.path());
        let known = second.load("work", |server| server == "a");
        assert!(super::is_same(&known, &names("a")));
        let gone = second.load("play", |server| server == "a");
        assert!(super::is_same(&gone, &PublishedNames::default()), "not configured any more");
        assert_eq!((first.failing(), second.failing()), (None, None));
    }

    #[tokio::test]
    async fn a_file_of_something_else_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("names.json");
        std::fs::write(&path, "[1]").unwrap();
        let names = NameStore::open(folder.path());
        names.save("work", &self::names("a"));
        names.close().await;
        let aside = folder.path().join("names.json.unreadable");
        assert_eq!(std::fs::read_to_string(aside).unwrap(), "[1]");
        assert!(std::fs::read_to_string(path).unwrap().contains("work"));
    }
}
