//! Records by key.

use mainstay_store::{Answer, Put, Row, Table, table};

use super::MemoryStore;

/// The records of one kind.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) store: MemoryStore,
    pub(super) kind: &'static str,
}

impl Table for Rows {
    fn get(&self, key: &str) -> Answer<'_, Option<Row>> {
        let at = (self.kind, key.to_owned());
        Box::pin(async move {
            self.store.answers().await?;
            Ok(self.store.read(|data| data.rows.get(&at).cloned()))
        })
    }

    fn list(&self, after: &str, limit: usize) -> Answer<'_, Vec<Row>> {
        let after = after.to_owned();
        Box::pin(async move {
            self.store.answers().await?;
            let limit = limit.min(table::PAGE_MAX);
            Ok(self.store.read(|data| {
                let rows =
                    data.rows.iter().filter(|((kind, key), _)| *kind == self.kind && *key > after);
                rows.take(limit).map(|(_, row)| row.clone()).collect()
            }))
        })
    }

    fn put(&self, key: &str, version: u64, value: &[u8]) -> Answer<'_, Put> {
        let (at, value) = ((self.kind, key.to_owned()), value.to_vec());
        Box::pin(async move {
            self.store.answers().await?;
            Ok(self.store.keep(|data| {
                let found = data.rows.get(&at).map_or(0, |row| row.version);
                if found != version {
                    return Put::Conflict { version: found };
                }
                let (key, version) = (at.1.clone(), version + 1);
                data.rows.insert(at.clone(), Row { key, version, value: value.clone() });
                Put::Done { version }
            }))
        })
    }

    fn remove(&self, key: &str) -> Answer<'_, bool> {
        let at = (self.kind, key.to_owned());
        Box::pin(async move {
            self.store.answers().await?;
            Ok(self.store.keep(|data| data.rows.remove(&at).is_some()))
        })
    }
}
