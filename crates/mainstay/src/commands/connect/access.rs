//! The bearer token of a client, read from a file or the environment.
//!
//! Arguments are visible to every user of the machine, so a token is never one. No message shows a
//! token, not even in part.

#![expect(clippy::disallowed_methods, reason = "a command of its own, which nobody else waits for")]

use std::path::{Path, PathBuf};

use http::HeaderValue;
use parking_lot::Mutex;

#[cfg(test)]
mod tests;

/// The bearer token, and the file it was read from.
#[derive(Debug, Default)]
pub(super) struct Access {
    /// The file of the token, read again when the daemon refuses the token.
    file: Option<PathBuf>,
    /// The value of the `Authorization` header.
    header: Mutex<Option<HeaderValue>>,
}

/// Why the token can't be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoToken {
    #[error("{} can't be read", file.display())]
    File {
        file: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(
        "{0} contains no token: one word of printable ASCII, of at most {TOKEN_BYTES_MAX} bytes"
    )]
    NotAToken(String),
}

/// The environment variable that holds a token.
pub(super) const VARIABLE: &str = "MAINSTAY_TOKEN";
/// Longest token in bytes. It keeps a request's head within common limits.
const TOKEN_BYTES_MAX: usize = 4096;

// === impl Access ===

impl Access {
    /// Reads the token from the file, or else from the environment's `variable`.
    pub(super) fn find(file: Option<&Path>, variable: Option<&str>) -> Result<Self, NoToken> {
        let header = match (file, variable.filter(|text| !text.trim().is_empty())) {
            (Some(file), _) => {
                let read = std::fs::read(file);
                let text = read.map_err(|source| NoToken::File { file: file.into(), source })?;
                Some(header(&text, || file.display().to_string())?)
            }
            (None, Some(text)) => Some(header(text.as_bytes(), || VARIABLE.to_owned())?),
            (None, None) => None,
        };
        Ok(Self { file: file.map(Path::to_owned), header: Mutex::new(header) })
    }

    /// The value of the `Authorization` header. None without a token.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        self.header.lock().clone()
    }

    /// Reads the token's file again. Returns whether the token changed: tokens may expire after an
    /// hour, while clients run for days.
    pub(super) async fn renews(&self) -> bool {
        let Some(file) = &self.file else { return false };
        let Ok(text) = tokio::fs::read(file).await else { return false };
        let Ok(new) = header(&text, String::new) else { return false };
        let mut held = self.header.lock();
        held.replace(new.clone()).is_none_or(|old| old != new)
    }
}

fn header(text: &[u8], whose: impl FnOnce() -> String) -> Result<HeaderValue, NoToken> {
    let token = text.trim_ascii();
    let is_one =
        (1..=TOKEN_BYTES_MAX).contains(&token.len()) && token.iter().all(u8::is_ascii_graphic);
    let whole = [b"Bearer ", token].concat();
    match HeaderValue::from_bytes(&whole) {
        Ok(mut header) if is_one => {
            header.set_sensitive(true);
            Ok(header)
        }
        _ => Err(NoToken::NotAToken(whose())),
    }
}
