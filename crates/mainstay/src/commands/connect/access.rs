//! What lets a client in: a bearer token, from a file or the environment.
//!
//! Never from an argument: those can be read by everybody on the machine. And never shown, not
//! even in part.

#![expect(clippy::disallowed_methods, reason = "a command of its own, which nobody else waits for")]

use std::path::{Path, PathBuf};

use http::HeaderValue;
use parking_lot::Mutex;

#[cfg(test)]
mod tests;

/// The token, and the file it comes from.
#[derive(Debug, Default)]
pub(super) struct Access {
    /// The file of the token, read again when the daemon refuses the token.
    file: Option<PathBuf>,
    /// The whole value of `Authorization`.
    header: Mutex<Option<HeaderValue>>,
}

/// Why there is no token where there should be one.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoToken {
    #[error("{} can't be read", file.display())]
    File {
        file: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{0} holds no token: one word of printable ASCII, of at most {TOKEN_BYTES_MAX} bytes")]
    NotAToken(String),
}

/// The variable that holds a token.
pub(super) const VARIABLE: &str = "MAINSTAY_TOKEN";
/// Longest token: with it the head of a request stays within common limits.
const TOKEN_BYTES_MAX: usize = 4096;

// === impl Access ===

impl Access {
    /// The token of a file, else that of the environment, if there is one.
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

    /// The value of `Authorization`, if one is sent.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        self.header.lock().clone()
    }

    /// Looks whether the file has another token by now: they may be good for an hour only, and a
    /// client for days.
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
