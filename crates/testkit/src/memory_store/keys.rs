//! Keys, published names and the audit log.

use mainstay_session::catalogue::PublishedNames;
use mainstay_store::{
    Answer, AuditEntry, AuditLog, KEY_BYTES, KeyName, KeyStore, NameStore, NamesByEndpoint, Stored,
    audit,
};

use super::MemoryStore;

impl KeyStore for MemoryStore {
    fn get_or_create(&self, key: KeyName) -> Answer<'_, [u8; KEY_BYTES]> {
        Box::pin(async move {
            self.answers().await?;
            let mut fresh = [0; KEY_BYTES];
            getrandom::fill(&mut fresh).expect("the system has randomness");
            Ok(self.keep(|data| *data.keys.entry(key).or_insert(fresh)))
        })
    }
}

impl NameStore for MemoryStore {
    fn load(&self) -> Answer<'_, NamesByEndpoint> {
        Box::pin(async {
            self.answers().await?;
            Ok(self.read(|data| data.names.clone()))
        })
    }

    fn save(&self, endpoint: &str, names: &PublishedNames) {
        self.note(|data| {
            data.names.insert(endpoint.to_owned(), names.clone());
        });
    }

    fn stored(&self) -> Stored<'_> {
        Box::pin(self.stored())
    }
}

impl AuditLog for MemoryStore {
    fn record(&self, entry: AuditEntry) {
        self.note(|data| {
            data.audit.push(entry.cut());
            if data.audit.len() as u64 > audit::ENTRIES_MAX {
                data.audit.remove(0);
            }
        });
    }

    fn recent(&self, limit: usize) -> Answer<'_, Vec<AuditEntry>> {
        Box::pin(async move {
            self.answers().await?;
            let limit = limit.min(audit::PAGE_MAX);
            Ok(self.read(|data| data.audit.iter().rev().take(limit).cloned().collect()))
        })
    }

    fn stored(&self) -> Stored<'_> {
        Box::pin(self.stored())
    }
}
