//! Reads the configuration again, as the daemon was started with it.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mainstay_config::{Loaded, Problems, Request, open_regular};
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::packages;

/// Longest wait for the disk.
const DEADLINE: Duration = Duration::from_secs(20);
/// A reading that takes longer is slow. Usual ones take milliseconds.
const SLOW: Duration = Duration::from_secs(1);
/// The largest part of a file that counts for its fingerprint. Configurations and secrets are smaller.
const BYTES_MAX: u64 = 1 << 20;

/// Where the daemon's configuration comes from: always the same file, flags and environment.
#[derive(Debug, Clone)]
pub(in super::super) struct Origin {
    request: Request,
    hasher: RandomState,
    /// One thread at a time: a file on a mount that hangs must not take more.
    turn: Arc<Semaphore>,
    /// When the reading that is under way began.
    since: Arc<Mutex<Option<Instant>>>,
}

/// A configuration that was read, and which state of its files that was.
pub(in super::super) struct Reading {
    pub(in super::super) result: Result<Loaded, Problems>,
    pub(in super::super) print: u64,
    pub(in super::super) files: BTreeSet<PathBuf>,
}

/// Ends what is known of a reading when that has returned.
struct Over(Arc<Mutex<Option<Instant>>>);

/// Why the configuration could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in super::super) enum Unread {
    #[error("the configuration has not answered for {} s: its disk or mount hangs", .0.as_secs())]
    Hangs(Duration),
}

// === impl Over ===

impl Drop for Over {
    fn drop(&mut self) {
        *self.0.lock() = None;
    }
}

// === impl Origin ===

impl Origin {
    /// `request`: what the daemon was started with. `file`: the file that was found then.
    pub(in super::super) fn new(mut request: Request, file: Option<&Path>) -> Self {
        if let Some(file) = file {
            request.config = Some(file.to_owned());
        }
        Self {
            request,
            hasher: RandomState::new(),
            turn: Arc::new(Semaphore::new(1)),
            since: Arc::default(),
        }
    }

    /// The file, as an absolute path. None: there was none when the daemon started.
    pub(in super::super) fn file(&self) -> Option<PathBuf> {
        self.request.config.clone()
    }

    /// Reads it, when those who asked before have read it. `known`: the files with secrets that were read before.
    pub(super) async fn read(&self, known: BTreeSet<PathBuf>) -> Result<Reading, Unread> {
        let own = self.clone();
        self.take_turn(move || own.read_now(&known)).await
    }

    /// Whether a reading has been under way for longer than usual.
    pub(super) fn is_slow(&self) -> bool {
        self.since.lock().is_some_and(|since| since.elapsed() >= SLOW)
    }

    /// Reads on a thread that may block. A reading that hangs keeps its turn until it returns: whoever asks
    /// meanwhile is told at once.
    async fn take_turn<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Unread> {
        let hung = self.since.lock().map(|since| since.elapsed());
        if let Some(hung) = hung.filter(|hung| *hung >= DEADLINE) {
            return Err(Unread::Hangs(hung));
        }
        let reading = async {
            let turn = self.turn.clone().acquire_owned().await;
            let since = self.since.clone();
            let reading = tokio::task::spawn_blocking(move || {
                let _turn = turn;
                *since.lock() = Some(Instant::now());
                let _over = Over(since);
                read()
            });
            reading.await
        };
        match tokio::time::timeout(DEADLINE, reading).await {
            Ok(Ok(reading)) => Ok(reading),
            Ok(Err(failed)) => std::panic::resume_unwind(failed.into_panic()),
            Err(_) => Err(Unread::Hangs(DEADLINE)),
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
            let opened = open_regular(path).ok();
            let read = opened.map(|file| file.take(BYTES_MAX).read_to_end(&mut text));
            hasher.write_u8(u8::from(matches!(read, Some(Ok(_)))));
            hasher.write(&text);
        }
        hasher.finish()
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests may wait for a disk")]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;
    use std::sync::mpsc::channel;

    use mainstay_config::Request;
    use tokio::time::{Duration, Instant};

    use super::{DEADLINE, Origin, Unread};

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
    #[tokio::test(start_paused = true)]
    async fn a_reading_that_hangs_is_told_to_all_and_the_next_works_when_it_returns() {
        let origin = Origin::new(Request::default(), None);
        let (release, held) = channel::<()>();
        let (started, has_started) = tokio::sync::oneshot::channel();
        let own = origin.clone();
        let hung = tokio::spawn(async move {
            let hang = move || {
                started.send(()).unwrap();
                held.recv().is_err()
            };
            own.take_turn(hang).await
        });
        has_started.await.unwrap();
        // Whoever came before the deadline waits for the turn.
        let own = origin.clone();
        let waits = tokio::spawn(async move { own.take_turn(|| true).await });
        tokio::task::yield_now().await;
        tokio::time::advance(DEADLINE).await;
        assert_eq!(waits.await.unwrap(), Err(Unread::Hangs(DEADLINE)));
        assert_eq!(hung.await.unwrap(), Err(Unread::Hangs(DEADLINE)));
        assert!(origin.is_slow());
        // Whoever comes later is told at once.
        let begun = Instant::now();
        assert!(matches!(origin.take_turn(|| ()).await, Err(Unread::Hangs(_))));
        assert_eq!(begun.elapsed(), Duration::ZERO);
        drop(release);
        while origin.is_slow() {
            tokio::task::yield_now().await;
        }
        assert_eq!(origin.take_turn(|| 7).await, Ok(7));
    }

    #[tokio::test]
    async fn readings_at_the_same_time_wait_for_each_other() {
        let origin = Origin::new(Request::default(), Some(Path::new("/nowhere/mainstay.toml")));
        let reads = (0..8).map(|_| origin.read(BTreeSet::new()));
        for read in futures_util::future::join_all(reads).await {
            assert!(read.unwrap().result.is_err());
        }
    }

    #[test]
    fn a_named_pipe_in_the_place_of_the_file_is_refused_without_waiting_for_a_writer() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join("mainstay.toml");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &file, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let state = Some(home.path().join("state"));
        let origin = Origin::new(Request { state, ..Request::default() }, Some(&file));
        let problems = origin.read_now(&BTreeSet::new()).result.unwrap_err();
        assert!(problems.to_string().contains("not a regular file"), "{problems}");
    }
}
