//! Reads the configuration again, as the daemon was started with it.

#![expect(clippy::disallowed_methods, reason = "on threads that may block, one at a time")]

use std::collections::BTreeSet;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mainstay_config::{Loaded, Problems, Request};
use tokio::sync::Semaphore;

use crate::packages;

/// Longest wait for the disk.
const DEADLINE: Duration = Duration::from_secs(20);
/// The largest part of a file that counts for its fingerprint. Configurations and secrets are smaller.
const BYTES_MAX: u64 = 1 << 20;

/// Where the daemon's configuration comes from: always the same file, flags and environment.
#[derive(Debug, Clone)]
pub(in super::super) struct Origin {
    request: Request,
    hasher: RandomState,
    /// One thread at a time: a file on a mount that hangs must not take more.
    turn: Arc<Semaphore>,
}

/// A configuration that was read, and which state of its files that was.
pub(in super::super) struct Reading {
    pub(in super::super) result: Result<Loaded, Problems>,
    pub(in super::super) print: u64,
    pub(in super::super) files: BTreeSet<PathBuf>,
}

/// Why the configuration could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in super::super) enum Unread {
    #[error("the configuration has not answered for {} s: its disk or mount hangs", DEADLINE.as_secs())]
    Hangs,
    #[error("the configuration is being read already, and its disk or mount hangs")]
    Busy,
}

// === impl Origin ===

impl Origin {
    /// `request`: what the daemon was started with. `file`: the file that was found then.
    pub(in super::super) fn new(mut request: Request, file: Option<&Path>) -> Self {
        if let Some(file) = file {
            request.config = Some(file.to_owned());
        }
        Self { request, hasher: RandomState::new(), turn: Arc::new(Semaphore::new(1)) }
    }

    /// The file, as an absolute path. None: there was none when the daemon started.
    pub(in super::super) fn file(&self) -> Option<PathBuf> {
        self.request.config.clone()
    }

    /// Reads it. `known`: the files with secrets that were read before.
    pub(super) async fn read(&self, known: BTreeSet<PathBuf>) -> Result<Reading, Unread> {
        let turn = self.turn.clone().try_acquire_owned().map_err(|_| Unread::Busy)?;
        let own = self.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            own.read_now(&known)
        });
        match tokio::time::timeout(DEADLINE, reading).await {
            Ok(Ok(reading)) => Ok(reading),
            Ok(Err(failed)) => std::panic::resume_unwind(failed.into_panic()),
            Err(_) => Err(Unread::Hangs),
        }
    }

    /// The same on this thread.
    pub(in super::super) fn read_now(&self, known: &BTreeSet<PathBuf>) -> Reading {
        let file = self.request.config.clone();
        // Before it is read: a change meanwhile is one that was not read.
        let watched: BTreeSet<PathBuf> = file.iter().chain(known).cloned().collect();
        let before = self.print(&watched);
        let mut result = mainstay_config::for_daemon(self.request.clone());
        let mut files: BTreeSet<PathBuf> = file.iter().cloned().collect();
        match &mut result {
            Ok(loaded) => {
                packages::take_fetched(&mut loaded.settings);
                files.extend(loaded.secret_files.iter().cloned());
                files.extend(loaded.file.clone());
            }
            Err(_) => files.extend(known.iter().cloned()),
        }
        let print = if files == watched { before } else { self.print(&files) };
        Reading { result, print, files }
    }

    /// A number that tells one state of these files from another.
    pub(in super::super) fn print(&self, files: &BTreeSet<PathBuf>) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        for path in files {
            hasher.write(path.as_os_str().as_encoded_bytes());
            let mut text = Vec::new();
            // A named pipe would wait for a writer.
            let is_file = path.metadata().is_ok_and(|meta| meta.is_file());
            let opened = if is_file { std::fs::File::open(path).ok() } else { None };
            let read = opened.map(|file| file.take(BYTES_MAX).read_to_end(&mut text));
            hasher.write_u8(u8::from(matches!(read, Some(Ok(_)))));
            hasher.write(&text);
        }
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use mainstay_config::Request;

    use super::Origin;

    #[test]
    fn the_same_file_is_read_again_and_each_change_is_seen() {
        let home = tempfile::tempdir().unwrap();
        let (file, secret) = (home.path().join("mainstay.toml"), home.path().join("key"));
        let state = Some(home.path().join("state"));
        let text = "[servers.one]\ncommand = ['cat']\nenv = { KEY = 'secret:file:key' }\n";
        std::fs::write(&file, text).unwrap();
        std::fs::write(&secret, "first-secret").unwrap();
        let origin = Origin::new(Request { state, ..Request::default() }, Some(&file));
        let first = origin.read_now(&BTreeSet::new());
        assert_eq!(first.files, [secret.clone(), file.clone()].into());
        let again = origin.read_now(&first.files);
        assert_eq!(again.print, first.print);
        assert_eq!(origin.print(&first.files), first.print);

        std::fs::write(&secret, "other-secret").unwrap();
        let other = origin.read_now(&first.files);
        assert_ne!(other.print, first.print);
        assert_ne!(other.result.unwrap().settings, first.result.unwrap().settings);

        // A broken file keeps the files that are watched.
        std::fs::write(&file, "[servers").unwrap();
        let broken = origin.read_now(&first.files);
        assert!(broken.result.is_err());
        assert_eq!(broken.files, first.files);
    }
}
