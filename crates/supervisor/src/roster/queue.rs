//! The order in which waiting tickets are served: first come, first served by user.
//!
//! Each ticket gets a *turn* when it arrives. A user's tickets get turns that follow each other, so
//! a user with many tickets waits behind a user with one. The next turn grows with every ticket
//! that is served, so no ticket waits for ever (start-time fair queueing: Goyal, Vin and Cheng,
//! SIGCOMM 1996, with a virtual time that advances with each service).

use std::collections::{BTreeMap, HashMap};

use super::{LeaseRequest, Ticket, UserId};

/// Waiting tickets in the order in which they are served.
#[derive(Debug)]
pub(super) struct Queue<K> {
    waiting: BTreeMap<(u64, Ticket), LeaseRequest<K>>,
    /// The earliest turn that a user who is not waiting gets.
    now: u64,
    /// The next turn of users who wait for a later one than `now`.
    next: HashMap<UserId, u64>,
}

impl<K> Default for Queue<K> {
    fn default() -> Self {
        Self { waiting: BTreeMap::new(), now: 0, next: HashMap::new() }
    }
}

impl<K> Queue<K> {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn push(&mut self, request: LeaseRequest<K>) {
        let next = self.next.entry(request.user).or_default();
        let turn = self.now.max(*next);
        *next = turn + 1;
        self.waiting.insert((turn, request.ticket), request);
    }

    /// The places of all tickets, the next to be served first.
    pub(super) fn places(&self) -> Vec<(u64, Ticket)> {
        self.waiting.keys().copied().collect()
    }

    pub(super) fn at(&self, place: (u64, Ticket)) -> Option<&LeaseRequest<K>> {
        self.waiting.get(&place)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &LeaseRequest<K>> {
        self.waiting.values()
    }

    /// The place of a ticket that waits.
    pub(super) fn place_of(&self, ticket: Ticket) -> Option<(u64, Ticket)> {
        self.waiting.keys().find(|(_, waiting)| *waiting == ticket).copied()
    }

    /// Removes a ticket that is served.
    pub(super) fn serve(&mut self, place: (u64, Ticket)) -> Option<LeaseRequest<K>> {
        let request = self.remove(place)?;
        self.now = self.now.max(place.0 + 1);
        self.next.retain(|_, next| *next > self.now);
        Some(request)
    }

    /// Removes a ticket that waits no longer.
    pub(super) fn remove(&mut self, place: (u64, Ticket)) -> Option<LeaseRequest<K>> {
        let request = self.waiting.remove(&place)?;
        if self.waiting.is_empty() {
            self.next.clear();
        }
        Some(request)
    }
}
