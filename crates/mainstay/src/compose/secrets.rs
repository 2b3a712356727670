//! Secrets of a state folder: made once, readable by its owner only.

#![expect(
    clippy::disallowed_methods,
    reason = "called on threads that may block, before the daemon serves"
)]

use std::path::Path;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mainstay_model::Redacted;
use mainstay_session::SealKey;
use mainstay_store::file;

const SESSION_KEY: &str = "session.key";
/// More than any key has; one that is longer is damaged.
const FILE_BYTES_MAX: u64 = 4096;

/// The key that session ids are sealed with.
pub(super) fn session_key(state_dir: &Path) -> anyhow::Result<SealKey> {
    let is_new = !state_dir.join(SESSION_KEY).exists();
    if is_new && mainstay_store::Store::is_at(state_dir) {
        tracing::warn!(
            target: "mainstay",
            "{SESSION_KEY} is gone from the state folder: sessions of earlier daemons are unknown"
        );
    }
    Ok(SealKey::new(bytes(state_dir, SESSION_KEY)?))
}

/// What opens the API from another machine, as text.
pub(super) fn token(state_dir: &Path) -> anyhow::Result<Redacted<String>> {
    let bytes = bytes(state_dir, "token.key")?;
    Ok(Redacted::new(URL_SAFE_NO_PAD.encode(bytes)))
}

/// A number that no other run of the daemon has.
pub(super) fn random() -> anyhow::Result<u64> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).context("the system has no randomness")?;
    Ok(u64::from_ne_bytes(bytes))
}

fn bytes(state_dir: &Path, name: &str) -> anyhow::Result<[u8; SealKey::BYTES]> {
    let path = state_dir.join(name);
    match file::read(&path, FILE_BYTES_MAX) {
        Ok(Some(bytes)) => bytes.try_into().map_err(|_| {
            anyhow::anyhow!(
                "{} is damaged; remove it, and clients begin new sessions",
                path.display()
            )
        }),
        Ok(None) => {
            let mut fresh = [0; SealKey::BYTES];
            getrandom::fill(&mut fresh).context("the system has no randomness")?;
            file::replace(&path, &[&fresh])
                .with_context(|| format!("can't make {}", path.display()))?;
            Ok(fresh)
        }
        Err(error) => Err(error).with_context(|| format!("can't read {}", path.display())),
    }
}
