//! The calls in flight on one link, keyed by Mainstay's own request ids.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::request::{Incoming, Lost, SessionNo};
use crate::slot::Slot;

/// The calls in flight on one link. Ids start at 1 and are never reused on a link, whatever ids the
/// clients use.
#[derive(Debug)]
pub(crate) struct Calls {
    next: AtomicU64,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    slots: HashMap<u64, Arc<Slot>, foldhash::fast::RandomState>,
    /// Calls of clients ever begun.
    begun: u64,
}

/// Most calls in flight on one link; more are refused. Each costs memory here and in the server.
pub(crate) const CALLS_MAX: usize = 4096;

/// The call that a message of the server without a call's id belongs to.
#[derive(Debug)]
pub(crate) enum Attribution {
    /// All calls in flight have one owner. The slot is that of its latest call.
    One(Arc<Slot>),
    /// No call is in flight.
    Nobody,
    /// Calls of several owners are in flight: the message must not be attributed by guessing.
    Several,
}

impl Calls {
    pub(crate) fn new() -> Self {
        Self { next: AtomicU64::new(1), table: Mutex::default() }
    }

    /// Registers a new call. None when [`CALLS_MAX`] calls are in flight.
    pub(crate) fn insert(&self, owner: SessionNo, listens: bool) -> Option<Arc<Slot>> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let slot = Arc::new(Slot::new(id, owner, listens));
        let mut table = self.table.lock();
        if table.slots.len() >= CALLS_MAX {
            return None;
        }
        table.begun += u64::from(owner != SessionNo(0));
        table.slots.insert(id, slot.clone());
        Some(slot)
    }

    pub(crate) fn get(&self, id: u64) -> Option<Arc<Slot>> {
        self.table.lock().slots.get(&id).cloned()
    }

    pub(crate) fn remove(&self, id: u64) -> Option<Arc<Slot>> {
        self.table.lock().slots.remove(&id)
    }

    /// Forgets the only call in flight, if Mainstay made it and it is no listen.
    pub(crate) fn remove_only_own(&self) -> Option<Arc<Slot>> {
        let table = &mut self.table.lock().slots;
        let only = table.values().next().filter(|_| table.len() == 1)?;
        let id = (only.owner == SessionNo(0) && !only.listens).then_some(only.id)?;
        table.remove(&id)
    }

    /// Calls of clients in flight. Mainstay's own requests are not counted.
    pub(crate) fn len(&self) -> usize {
        self.of_clients()
    }

    /// Whether somebody waits for an answer.
    pub(crate) fn any_is_awaited(&self) -> bool {
        self.table.lock().slots.values().any(|slot| slot.is_awaited())
    }

    /// Calls of clients in flight.
    pub(crate) fn of_clients(&self) -> usize {
        self.table.lock().slots.values().filter(|slot| slot.owner != SessionNo(0)).count()
    }

    /// Calls of clients ever begun, and the number of the next request.
    pub(crate) fn begun(&self) -> (u64, u64) {
        (self.table.lock().begun, self.next.load(Ordering::Relaxed))
    }

    pub(crate) fn attribute(&self) -> Attribution {
        let table = &self.table.lock().slots;
        // Notifications for a listen name its subscription id.
        let mut calls = table.values().filter(|slot| slot.owner != SessionNo(0) && !slot.listens);
        let Some(mut latest) = calls.next() else { return Attribution::Nobody };
        for slot in calls {
            if slot.owner != latest.owner {
                return Attribution::Several;
            }
            if slot.id > latest.id {
                latest = slot;
            }
        }
        Attribution::One(latest.clone())
    }

    /// Ends every call: each owner gets `lost` exactly once.
    pub(crate) fn lose_all(&self, lost: &Lost) {
        let table = std::mem::take(&mut self.table.lock().slots);
        for slot in table.into_values() {
            slot.push(Incoming::Lost(lost.clone()));
        }
    }
}
