//! Secrets of the daemon: keys that the store keeps, and random numbers.

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mainstay_model::Redacted;
use mainstay_store::{Backend, KEY_BYTES, KeyName};

use crate::exit::{Exit, Failure};

/// A key of the daemon; made when there is none.
pub(super) async fn key(backend: &Backend, name: KeyName) -> Result<[u8; KEY_BYTES], Failure> {
    backend.keys.get_or_create(name).await.map_err(|error| {
        Failure::of(Exit::Failed, &error).hint(match name {
            KeyName::Session => {
                "without the file the daemon makes another, and clients begin new sessions"
            }
            KeyName::Token => {
                "without the file the daemon makes another, and the token is another one"
            }
        })
    })
}

/// What opens the API from another machine, as text.
pub(super) async fn token(backend: &Backend) -> Result<Redacted<String>, Failure> {
    let bytes = key(backend, KeyName::Token).await?;
    Ok(Redacted::new(URL_SAFE_NO_PAD.encode(bytes)))
}

/// A number that no other run of the daemon has.
pub(super) fn random() -> anyhow::Result<u64> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).context("the system has no randomness")?;
    Ok(u64::from_ne_bytes(bytes))
}
