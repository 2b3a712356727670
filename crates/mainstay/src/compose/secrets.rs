//! The daemon's secrets: keys that the store keeps, and random numbers.

use anyhow::Context;
use mainstay_store::{Backend, KEY_BYTES, KeyName};

use crate::exit::{Exit, Failure};

/// Loads a key of the daemon from the store, which creates it the first time.
pub(super) async fn key(backend: &Backend, name: KeyName) -> Result<[u8; KEY_BYTES], Failure> {
    backend.keys.get_or_create(name).await.map_err(|error| {
        Failure::of(Exit::Failed, &error).hint(match name {
            KeyName::Session => {
                "delete the file and the daemon makes another; clients then open new sessions"
            }
            KeyName::Token => {
                "delete the file and the daemon makes another; the token changes then"
            }
        })
    })
}

/// A random number, different in each run of the daemon.
pub(super) fn random() -> anyhow::Result<u64> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).context("the system has no randomness")?;
    Ok(u64::from_ne_bytes(bytes))
}
