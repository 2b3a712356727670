//! The children of this process that have an owner who reaps them.
//!
//! One list for the whole process, because the kernel gives all orphans to the process: the reaper
//! must know which children have an owner.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use rustix::process::{Pid, WaitOptions, waitpid};

static AWAITED: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// Reserves a child for its owner: the reaper leaves it alone until the claim is released.
#[derive(Debug)]
pub(super) struct Claim {
    /// None after the claim was released.
    pid: Option<i32>,
}

/// Whether this child, or the leader of this group, has an owner.
pub(super) fn is_claimed(pid: i32) -> bool {
    AWAITED.lock().contains(&pid)
}

/// Reaps a zombie child unless it has an owner. Looks and reaps under one lock, so that a
/// number can't be claimed in between.
pub(super) fn reap_orphan(pid: i32) {
    let awaited = AWAITED.lock();
    if !awaited.contains(&pid) {
        // Not a child of this process, or still alive: nothing to reap.
        let _ = waitpid(Pid::from_raw(pid), WaitOptions::NOHANG);
    }
}

// === impl Claim ===

impl Claim {
    pub(super) fn new(pid: i32) -> Self {
        AWAITED.lock().insert(pid);
        Self { pid: Some(pid) }
    }

    /// Reaps by `reap`, and gives the claim back before the number can be used again.
    pub(super) fn release(mut self, reap: impl FnOnce()) {
        let mut awaited = AWAITED.lock();
        reap();
        if let Some(pid) = self.pid.take() {
            awaited.remove(&pid);
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(pid) = self.pid {
            AWAITED.lock().remove(&pid);
        }
    }
}
