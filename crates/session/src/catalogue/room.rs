//! The memory that a merged list may take.

use mainstay_model::Charge;

use super::Entry;

/// What a list may take, and what it has taken.
pub(super) struct Room {
    charge: Charge,
    used: usize,
    /// Whether the charge could not grow. Later items have no room either, so that a list ends where it
    /// first had none.
    is_full: bool,
}

/// What an entry takes beside its texts: itself, its place in the map of names, and what is kept of its name
/// until clients have seen it.
const ENTRY_BYTES: usize = 288;

// === impl Room ===

impl Room {
    pub(super) fn new(charge: Charge) -> Self {
        Self { charge, used: 0, is_full: false }
    }

    /// Takes the memory of an entry, with `copied` bytes of its item. Returns whether there was room.
    pub(super) fn take(&mut self, entry: &Entry, copied: usize) -> bool {
        let bytes = ENTRY_BYTES + entry.name.len() + entry.own.len() + copied;
        let wanted = self.used + bytes;
        if !self.is_full && wanted > self.charge.bytes() {
            self.is_full = self.charge.try_grow(wanted - self.charge.bytes()).is_err();
        }
        if self.is_full {
            return false;
        }
        self.used = wanted;
        true
    }

    /// The charge for what was taken.
    pub(super) fn into_charge(self) -> Charge {
        self.charge.shrink(self.charge.bytes().saturating_sub(self.used));
        self.charge
    }
}
