//! The children of this process that have an owner who will reap them.
//!
//! One list for the whole process and not for each host, because the kernel hands all children
//! and all orphans to the process: whoever reaps orphans must know everybody's children.

use std::collections::BTreeSet;

use parking_lot::Mutex;
use rustix::process::{Pid, WaitOptions, waitpid};

static AWAITED: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// Reserves a child for its owner: nobody else reaps the child until the claim is released.
#[derive(Debug)]
pub(super) struct Claim {
    /// None once the claim was released.
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
        // Not our child, or not dead yet: either way there is nothing to reap.
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
