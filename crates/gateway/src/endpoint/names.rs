//! Published names of all endpoints.

use std::sync::Arc;

use mainstay_session::catalogue::PublishedNames;
use mainstay_store::{NameStore, NamesByEndpoint};
use parking_lot::Mutex;

/// Assigned names, and the store that keeps them for the next daemon.
#[derive(Debug)]
pub(crate) struct NameRegistry {
    store: Arc<dyn NameStore>,
    /// Whether the names of earlier daemons were read. What was not read is not replaced either.
    is_loaded: bool,
    by_endpoint: Mutex<NamesByEndpoint>,
}

impl NameRegistry {
    /// Loads the names that earlier daemons assigned. If the store can't be read, names are assigned again
    /// and not stored until the daemon restarts: it serves all the same, and the stored names stay.
    pub(crate) async fn load(store: Arc<dyn NameStore>) -> Self {
        let (by_endpoint, is_loaded) = match store.load().await {
            Ok(by_endpoint) => (by_endpoint, true),
            Err(error) => {
                tracing::warn!(
                    target: "mainstay", %error,
                    "published names can't be read; until a restart, names are assigned again and not stored"
                );
                (NamesByEndpoint::new(), false)
            }
        };
        Self { store, is_loaded, by_endpoint: Mutex::new(by_endpoint) }
    }

    /// Returns the names of an endpoint, without those of servers it no longer has.
    pub(crate) fn names_of(
        &self,
        endpoint: &str,
        configured: impl Fn(&str) -> bool,
    ) -> PublishedNames {
        let known = self.by_endpoint.lock().get(endpoint).cloned();
        let mut memory = known.unwrap_or_default();
        for names in &mut memory {
            names.retain(&configured);
        }
        memory
    }

    /// Keeps the names of an endpoint, and stores them if one is new.
    pub(crate) fn save(&self, endpoint: &str, names: &PublishedNames) {
        let mut all = self.by_endpoint.lock();
        if all.get(endpoint) == Some(names) {
            return;
        }
        all.insert(endpoint.to_owned(), names.clone());
        // Saved under the lock, so that the last names saved are the last ones stored.
        if self.is_loaded {
            self.store.save(endpoint, names);
        }
    }

    /// Waits until all saved names are stored, for at most a second. Does not wait for a store that
    /// fails.
    pub(crate) async fn stored(&self) {
        self.store.stored().await;
    }
}

#[cfg(test)]
mod tests {
    use mainstay_session::Names;
    use mainstay_session::catalogue::PublishedNames;
    use mainstay_testkit::MemoryStore;

    use super::NameRegistry;

    fn names(server: &str) -> PublishedNames {
        let tools = format!(r#"{{"published":{{"{server}":{{"echo":"{server}_echo"}}}}}}"#);
        let tools = serde_json::from_str(&tools).unwrap();
        PublishedNames::from([tools, Names::default(), Names::default(), Names::default()])
    }

    #[tokio::test]
    async fn names_are_there_for_the_next_daemon() {
        let store = MemoryStore::default();
        let first = NameRegistry::load(store.open().names).await;
        first.save("work", &names("a"));
        first.save("play", &names("b"));
        first.stored().await;
        store.crash();
        let second = NameRegistry::load(store.open().names).await;
        let known = second.names_of("work", |server| server == "a");
        assert_eq!(known, names("a"));
        let gone = second.names_of("play", |server| server == "a");
        assert_eq!(gone, PublishedNames::default(), "not configured any more");
    }

    #[tokio::test]
    async fn names_that_can_not_be_read_are_given_out_anew_and_not_replaced() {
        let store = MemoryStore::default();
        let first = NameRegistry::load(store.open().names).await;
        first.save("work", &names("a"));
        first.stored().await;
        store.fail(Some("gone"));
        let second = NameRegistry::load(store.open().names).await;
        let known = second.names_of("work", |_| true);
        assert_eq!(known, PublishedNames::default());
        store.fail(None);
        second.save("work", &names("b"));
        second.stored().await;
        let own = second.names_of("work", |_| true);
        assert_eq!(own, names("b"), "what it has given out stays so for it");
        let third = NameRegistry::load(store.open().names).await;
        assert_eq!(third.names_of("work", |_| true), names("a"));
    }
}
