//! The children of this process that have an owner who reaps them.
//!
//! One list for the whole process, because the kernel gives all orphans to the process: the reaper
//! must know which children have an owner.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use rustix::process::{Pid, WaitOptions, waitpid};

use super::label::Label;

/// The claimed children, and what they are.
static AWAITED: Mutex<BTreeMap<i32, Kind>> = Mutex::new(BTreeMap::new());

/// The children that are being started and may not be claimed yet.
static STARTING: AtomicUsize = AtomicUsize::new(0);

/// What a claimed child is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The main process of an instance, with its label.
    Main(Label),
    Guard,
}

/// Reserves a child for its owner: the reaper leaves it alone until the claim is released.
#[derive(Debug)]
pub(super) struct Claim {
    /// None after the claim was released.
    pid: Option<i32>,
}

/// A child is being started. Held from before it exists until it is claimed.
#[derive(Debug)]
pub(super) struct Starting(());

/// Whether this child, or the leader of this group, has an owner.
pub(super) fn is_claimed(pid: i32) -> bool {
    AWAITED.lock().contains_key(&pid)
}

/// Whether this child is the main process of an instance.
pub(super) fn is_main(pid: i32) -> bool {
    matches!(AWAITED.lock().get(&pid), Some(Kind::Main(_)))
}

/// Whether the main process with this label has not been reaped, so that its owner still ends its tree.
pub(super) fn is_minded(label: Label) -> bool {
    AWAITED.lock().values().any(|kind| *kind == Kind::Main(label))
}

/// Whether a child is being started. If not, every child that is claimed later was started later.
pub(super) fn is_starting() -> bool {
    STARTING.load(Ordering::SeqCst) > 0
}

/// Reaps a zombie child unless it has an owner. Looks and reaps under one lock, so that a
/// number can't be claimed in between.
pub(super) fn reap_orphan(pid: i32) {
    let awaited = AWAITED.lock();
    if !awaited.contains_key(&pid) {
        // Not a child of this process, or still alive: nothing to reap.
        let _ = waitpid(Pid::from_raw(pid), WaitOptions::NOHANG);
    }
}

// === impl Claim ===

impl Claim {
    pub(super) fn new(pid: i32, kind: Kind) -> Self {
        AWAITED.lock().insert(pid, kind);
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

// === impl Starting ===

impl Starting {
    pub(super) fn begin() -> Self {
        STARTING.fetch_add(1, Ordering::SeqCst);
        Self(())
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        STARTING.fetch_sub(1, Ordering::SeqCst);
    }
}
