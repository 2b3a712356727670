//! How much memory a server's processes hold.

#![expect(clippy::disallowed_methods, reason = "no disk is behind the files of /proc")]

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use rustix::param::page_size;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::blocking::blocking;
use super::procfs::Snapshot;

/// Samples memory, one sample at a time, so that a sample which the kernel holds up does not pile
/// up others.
#[derive(Debug)]
pub(super) struct Sampler {
    looks: Arc<Semaphore>,
}

/// Longest wait for a sample. Its thread goes on alone.
const SAMPLE_MAX: Duration = Duration::from_secs(1);

// === impl Sampler ===

impl Sampler {
    pub(super) fn new() -> Self {
        Self { looks: Arc::new(Semaphore::new(1)) }
    }

    /// The resident memory in bytes of each process with its group and descendants. None for a
    /// process that is gone, or when the look took longer than a second.
    pub(super) async fn sample(&self, pids: Vec<u32>) -> Vec<Option<u64>> {
        let unknown = vec![None; pids.len()];
        let look = move || {
            let all = Snapshot::take().ok()?;
            Some(pids.iter().map(|pid| resident(&all, *pid)).collect())
        };
        self.look(look).await.unwrap_or(unknown)
    }

    /// Looks at files of the kernel. None when that took longer than a second.
    pub(super) async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce() -> Option<T> + Send + 'static,
    ) -> Option<T> {
        let look = async {
            let permit = self.looks.clone().acquire_owned().await.ok()?;
            blocking(move || {
                let _permit = permit;
                look()
            })
            .await
        };
        timeout(SAMPLE_MAX, look).await.ok().flatten()
    }
}

/// Resident bytes of a process with its group and descendants; shared pages count for each of them.
fn resident(all: &Snapshot, pid: u32) -> Option<u64> {
    let main = i32::try_from(pid).ok().filter(|pid| all.get(*pid).is_some())?;
    let pages: u64 = all.tree_of(main).into_iter().filter_map(resident_pages).sum();
    Some(pages * page_size() as u64)
}

/// The second number of `/proc/PID/statm`.
fn resident_pages(pid: i32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    text.split_ascii_whitespace().nth(1)?.parse().ok()
}
