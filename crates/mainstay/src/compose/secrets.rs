//! Secrets of a state folder: made once, readable by its owner only.

use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mainstay_model::Redacted;
use mainstay_session::SealKey;

/// The key that session ids are sealed with.
pub(super) fn session_key(state_dir: &Path) -> anyhow::Result<SealKey> {
    Ok(SealKey::new(bytes(state_dir, "session.key")?))
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
    match std::fs::read(&path) {
        Ok(bytes) => bytes.try_into().map_err(|_| {
            anyhow::anyhow!(
                "{} is damaged; remove it, and clients begin new sessions",
                path.display()
            )
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let mut fresh = [0; SealKey::BYTES];
            getrandom::fill(&mut fresh).context("the system has no randomness")?;
            let options =
                std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).to_owned();
            let mut file =
                options.open(&path).with_context(|| format!("can't make {}", path.display()))?;
            file.write_all(&fresh).with_context(|| format!("can't write {}", path.display()))?;
            Ok(fresh)
        }
        Err(error) => Err(error).with_context(|| format!("can't read {}", path.display())),
    }
}
