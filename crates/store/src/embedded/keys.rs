//! Stores each key in its own file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::answer::{Answer, KEY_DEADLINE, Unavailable};
use crate::keyfile;
use crate::keys::{KEY_BYTES, KeyName, KeyStore};
use crate::lock::Claim;

#[derive(Debug)]
pub(super) struct KeyFiles {
    folder: PathBuf,
    claim: Claim,
    /// Whether an earlier daemon stored sessions in this folder.
    had_sessions: bool,
    /// Locked while a key is created, so that all callers get the same one.
    making: Arc<Mutex<()>>,
}

pub(crate) const SESSION_KEY: &str = "session.key";
pub(crate) const TOKEN_KEY: &str = "token.key";

// === impl KeyFiles ===

impl KeyFiles {
    pub(super) fn new(folder: &Path, claim: Claim, had_sessions: bool) -> Self {
        Self { folder: folder.to_owned(), claim, had_sessions, making: Arc::default() }
    }
}

impl KeyStore for KeyFiles {
    fn get_or_create(&self, key: KeyName) -> Answer<'_, [u8; KEY_BYTES]> {
        let path = self.folder.join(key.file());
        let (making, claim) = (self.making.clone(), self.claim.clone());
        let warns = self.had_sessions && key == KeyName::Session;
        let work = tokio::task::spawn_blocking(move || {
            let _making = making.lock();
            if warns && matches!(crate::file::head(&path, 1), Ok(None)) {
                tracing::warn!(
                    target: "mainstay",
                    "session.key is gone from the state folder: sessions of earlier daemons are unknown"
                );
            }
            let key = claim.check().and_then(|()| keyfile::get_or_create(&path));
            key.map_err(|error| Unavailable::Failed(format!("{}: {error}", path.display())))
        });
        Box::pin(async move {
            match tokio::time::timeout(KEY_DEADLINE, work).await {
                Ok(Ok(key)) => key,
                Ok(Err(ended)) => Err(Unavailable::Failed(ended.to_string())),
                Err(_) => Err(Unavailable::Slow(KEY_DEADLINE)),
            }
        })
    }
}

impl KeyName {
    /// Returns the name of the key's file in the state folder.
    pub(crate) fn file(self) -> &'static str {
        match self {
            Self::Session => SESSION_KEY,
            Self::Token => TOKEN_KEY,
        }
    }
}
