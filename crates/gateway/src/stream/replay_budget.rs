//! What all streams together keep for clients that may resume them: counted here, and bounded.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use mainstay_model::budget::BudgetState;
use mainstay_model::{Budget, MemoryKind};
use parking_lot::{Mutex, MutexGuard};

/// Counts the bytes that the streams of the daemon hold, and numbers the streams.
#[derive(Debug)]
pub(crate) struct ReplayBudget {
    bytes: AtomicUsize,
    bytes_max: usize,
    memory: Budget,
    next: AtomicU64,
    /// Held by the caller that makes room; others need not.
    making_room: Mutex<()>,
}

/// The share of one stream in the budget. Dropping it gives its bytes back.
#[derive(Debug)]
pub(crate) struct BudgetShare {
    budget: Arc<ReplayBudget>,
    bytes: AtomicUsize,
}

/// Bound of what streams hold; past it the oldest answers are dropped. An answer is mostly a few KiB, so this
/// is room for ten thousand clients that lost their connection at once.
pub(crate) const KEPT_BYTES_MAX: usize = 64 << 20;

/// Bytes that an abandoned stream may keep when memory is short. Most answers fit.
pub(crate) const LEFT_STREAM_BYTES_MAX: usize = 64 << 10;

/// Bytes that an empty stream costs.
pub(crate) const STREAM_BYTES: usize = 512;

// === impl ReplayBudget ===

impl ReplayBudget {
    /// Creates a budget within the memory budget for streams: at most half of it is kept for clients that
    /// may come back. `beginning` should differ between runs of the daemon, so that no stream gets a number that a client
    /// knows from an earlier one.
    pub(crate) fn new(beginning: u32, memory: Budget) -> Arc<Self> {
        let next = AtomicU64::new(u64::from(beginning) << 32);
        let bytes_max = KEPT_BYTES_MAX.min(memory.of(MemoryKind::Streams).bytes_max / 2);
        let (bytes, making_room) = (AtomicUsize::new(0), Mutex::default());
        Arc::new(Self { bytes, bytes_max, memory, next, making_room })
    }

    /// Returns the number and the share of a new stream.
    pub(crate) fn open(self: &Arc<Self>) -> (u64, BudgetShare) {
        let share = BudgetShare { budget: self.clone(), bytes: AtomicUsize::new(0) };
        share.add(STREAM_BYTES);
        (self.next.fetch_add(1, Ordering::Relaxed), share)
    }

    /// What the events are charged to.
    pub(crate) fn memory(&self) -> Budget {
        self.memory
    }

    /// Bound of what all streams hold.
    pub(crate) fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// Whether the memory budget runs out. Then what is kept for clients that may return gives way.
    pub(crate) fn is_memory_scarce(&self) -> bool {
        let is_scarce = |of: BudgetState| of.used_bytes > of.bytes_max / 8 * 7;
        is_scarce(self.memory.whole()) || is_scarce(self.memory.of(MemoryKind::Streams))
    }

    /// Bound of what streams hold that nobody has read for a while. Their clients most likely don't
    /// return.
    pub(crate) fn left_bytes_max(&self) -> usize {
        self.bytes_max / 4
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Returns the right to make room, if streams hold more than this and nobody else makes some.
    pub(crate) fn try_make_room(&self, bytes_max: usize) -> Option<MutexGuard<'_, ()>> {
        (self.bytes() > bytes_max).then(|| self.making_room.try_lock()).flatten()
    }

    /// Whether the streams together hold too much.
    pub(crate) fn is_full(&self) -> bool {
        self.bytes() > self.bytes_max
    }
}

// === impl BudgetShare ===

impl BudgetShare {
    pub(crate) fn add(&self, bytes: usize) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.budget.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn sub(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.budget.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// What the events are charged to.
    pub(crate) fn memory(&self) -> Budget {
        self.budget.memory
    }

    /// Whether all streams together hold too much.
    pub(crate) fn is_budget_full(&self) -> bool {
        self.budget.is_full()
    }
}

impl Drop for BudgetShare {
    fn drop(&mut self) {
        self.budget.bytes.fetch_sub(*self.bytes.get_mut(), Ordering::Relaxed);
    }
}
