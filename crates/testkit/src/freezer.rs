//! Freezes one thread of a process while the others run, like a thread that waits for a disk which
//! does not answer.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A frozen thread. Dropping it lets it go on.
pub struct Freezer {
    group: PathBuf,
}

/// The freezer of cgroups version 1, which can freeze single threads.
const FREEZER: &str = "/sys/fs/cgroup/freezer";
/// The kernel freezes within moments, or waits for the thread to leave it.
const CAP: Duration = Duration::from_secs(10);

impl Freezer {
    /// Freezes the thread with this name. None where there is no freezer that this user may use.
    ///
    /// # Panics
    /// When there is no such thread within ten seconds, or it can't be frozen.
    #[must_use]
    pub fn of_thread(pid: i32, name: &str) -> Option<Self> {
        let until = Instant::now() + CAP;
        // A thread gets its name only once it runs.
        let thread = loop {
            match thread_named(pid, name) {
                Some(thread) => break thread,
                None => assert!(Instant::now() < until, "there is no thread {name}"),
            }
            std::thread::yield_now();
        };
        let group = Path::new(FREEZER).join(format!("mainstay-test-{thread}"));
        fs::create_dir(&group).ok()?;
        let freezer = Self { group };
        fs::write(freezer.group.join("tasks"), thread.to_string()).unwrap();
        freezer.set("FROZEN");
        Some(freezer)
    }

    fn set(&self, state: &str) {
        let (file, until) = (self.group.join("freezer.state"), Instant::now() + CAP);
        fs::write(&file, state).unwrap();
        while fs::read_to_string(&file).unwrap().trim() != state {
            assert!(Instant::now() < until, "the thread does not become {state}");
            std::thread::yield_now();
        }
    }
}

impl Drop for Freezer {
    fn drop(&mut self) {
        self.set("THAWED");
        let tasks = fs::read_to_string(self.group.join("tasks")).unwrap_or_default();
        for task in tasks.lines() {
            let _ = fs::write(Path::new(FREEZER).join("tasks"), task);
        }
        let _ = fs::remove_dir(&self.group);
    }
}

fn thread_named(pid: i32, name: &str) -> Option<i32> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).ok()?;
    let found = threads.flatten().find(|thread| {
        let comm = fs::read_to_string(thread.path().join("comm"));
        comm.is_ok_and(|comm| comm.trim() == name)
    });
    found?.file_name().to_str()?.parse().ok()
}
