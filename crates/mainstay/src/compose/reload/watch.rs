//! Notices that the configuration file, or a file with a secret, has changed: at once where the kernel tells, and
//! within seconds where it does not (network mounts).

#![expect(clippy::disallowed_methods, reason = "on a thread of its own, which may block")]

use std::collections::{BTreeMap, BTreeSet};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::fs::inotify;
use rustix::io::Errno;
use tokio::sync::watch;

use super::read::Origin;

/// How often the files are looked at, whatever the kernel tells.
const LOOK: Duration = Duration::from_secs(5);
/// A change is looked at once nothing more has changed for this long: editors write in several steps.
const SETTLED: Duration = Duration::from_millis(150);
/// Files that change all the time are looked at all the same after this time.
const SETTLED_MAX: Duration = Duration::from_secs(2);

/// Watches files on a thread of its own. The thread ends when this is dropped, unless a mount hangs.
#[derive(Debug)]
pub(super) struct Watcher {
    shared: Arc<Shared>,
}

/// What the thread shares.
#[derive(Debug)]
struct Shared {
    files: Mutex<BTreeSet<PathBuf>>,
    is_over: std::sync::atomic::AtomicBool,
    wake: OwnedFd,
}

/// What the thread works with.
struct Looking {
    shared: Arc<Shared>,
    origin: Origin,
    prints: watch::Sender<u64>,
    /// The kernel's news about folders; none where it has none.
    news: Option<OwnedFd>,
    /// The folders that are watched, with their numbers.
    folders: BTreeMap<PathBuf, i32>,
}

// === impl Watcher ===

impl Watcher {
    /// Watches these files. The number that tells the newest state of them goes to `prints`, each time they are
    /// looked at.
    pub(super) fn start(
        origin: &Origin,
        files: BTreeSet<PathBuf>,
        prints: watch::Sender<u64>,
    ) -> std::io::Result<Self> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let shared = Arc::new(Shared { files: Mutex::new(files), is_over: false.into(), wake });
        let news = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK);
        if let Err(error) = &news {
            tracing::warn!(
                target: "mainstay", %error,
                "changes of the configuration are noticed only within {} s", LOOK.as_secs()
            );
        }
        let looking = Looking {
            shared: shared.clone(),
            origin: origin.clone(),
            prints,
            news: news.ok(),
            folders: BTreeMap::new(),
        };
        std::thread::Builder::new()
            .name("configuration".to_owned())
            .spawn(move || looking.run())?;
        Ok(Self { shared })
    }

    /// Watches other files from now on.
    pub(super) fn watch(&self, files: BTreeSet<PathBuf>) {
        *self.shared.files.lock() = files;
        self.shared.wake();
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.shared.is_over.store(true, std::sync::atomic::Ordering::Release);
        self.shared.wake();
    }
}

// === impl Shared ===

impl Shared {
    fn wake(&self) {
        // It fails only when it is awake already.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }
}

// === impl Looking ===

impl Looking {
    fn run(mut self) {
        while !self.shared.is_over.load(std::sync::atomic::Ordering::Acquire) {
            let files = self.shared.files.lock().clone();
            self.follow(&files);
            let print = self.origin.print(&files);
            // Also the same again: what could not be read is tried again.
            if self.prints.send(print).is_err() {
                return;
            }
            if !self.wait(LOOK) {
                continue;
            }
            let begun = Instant::now();
            while begun.elapsed() < SETTLED_MAX && self.wait(SETTLED) {}
        }
    }

    /// Watches the folders of the files: editors put a new file in the place of the old one.
    fn follow(&mut self, files: &BTreeSet<PathBuf>) {
        let Some(news) = &self.news else { return };
        let folder = |file: &PathBuf| file.parent().map(Path::to_owned);
        let mut folders: BTreeSet<_> = files.iter().filter_map(folder).collect();
        // A link leads to a file in another folder, which is what changes.
        let real = |file: &PathBuf| folder(&file.canonicalize().ok()?);
        folders.extend(files.iter().filter_map(real));
        self.folders.retain(|folder, number| {
            let is_wanted = folders.contains(folder);
            if !is_wanted {
                let _ = inotify::remove_watch(news, *number);
            }
            is_wanted
        });
        use inotify::WatchFlags as Flags;
        let flags = Flags::CLOSE_WRITE
            | Flags::CREATE
            | Flags::MOVED_TO
            | Flags::MOVED_FROM
            | Flags::DELETE
            | Flags::ATTRIB
            | Flags::ONLYDIR;
        for folder in folders {
            // Again for those that are watched: another folder may be there now.
            if let Ok(number) = inotify::add_watch(news, &folder, flags) {
                self.folders.insert(folder, number);
            }
        }
    }

    /// Waits for news. Returns whether there are any.
    fn wait(&self, most: Duration) -> bool {
        let wake = PollFd::new(&self.shared.wake, PollFlags::IN);
        let mut fds = vec![wake];
        fds.extend(self.news.as_ref().map(|news| PollFd::new(news, PollFlags::IN)));
        let most = Timespec::try_from(most).ok();
        let found = match poll(&mut fds, most.as_ref()) {
            Ok(found) => found > 0,
            Err(Errno::INTR) => false,
            // Without this, it would look all the time.
            Err(_) => {
                std::thread::sleep(LOOK);
                false
            }
        };
        if found {
            let _ = rustix::io::read(&self.shared.wake, &mut [0_u8; 8]);
            self.drain();
        }
        found
    }

    /// Reads what the kernel has told, whatever it is.
    fn drain(&self) {
        let Some(news) = &self.news else { return };
        let mut room = [const { MaybeUninit::uninit() }; 4096];
        let mut reader = inotify::Reader::new(news.as_fd(), &mut room);
        while reader.next().is_ok() {}
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;
    use std::time::Duration;

    use mainstay_config::Request;
    use tokio::sync::watch;

    use super::super::read::Origin;
    use super::Watcher;

    /// Waits until the state of the files is this one, or any but this one.
    async fn until(prints: &mut watch::Receiver<u64>, is_it: impl FnMut(&u64) -> bool) -> u64 {
        let found = tokio::time::timeout(Duration::from_secs(60), prints.wait_for(is_it)).await;
        *found.expect("the change is noticed").expect("it watches")
    }

    fn files(paths: &[&Path]) -> BTreeSet<std::path::PathBuf> {
        paths.iter().map(|path| (*path).to_owned()).collect()
    }

    #[tokio::test]
    async fn each_way_of_changing_a_file_is_noticed() {
        let home = tempfile::tempdir().unwrap();
        let (file, other) = (home.path().join("a.toml"), home.path().join("b.toml"));
        std::fs::write(&file, "one").unwrap();
        let origin = Origin::new(Request::default(), Some(&file));
        let (send, mut prints) = watch::channel(0);
        let watcher = Watcher::start(&origin, files(&[&file]), send).unwrap();
        let first = until(&mut prints, |print| *print != 0).await;

        // In place, as the shell does.
        std::fs::write(&file, "two").unwrap();
        until(&mut prints, |print| *print != first).await;
        // By another file in its place, as editors do.
        std::fs::write(&other, "one").unwrap();
        std::fs::rename(&other, &file).unwrap();
        until(&mut prints, |print| *print == first).await;
        // A file that is gone is another state, too.
        std::fs::remove_file(&file).unwrap();
        until(&mut prints, |print| *print != first).await;
        // Other files.
        std::fs::write(&other, "secret").unwrap();
        std::fs::write(&file, "one").unwrap();
        until(&mut prints, |print| *print == first).await;
        watcher.watch(files(&[&file, &other]));
        until(&mut prints, |print| *print != first).await;
    }
}
