//! The order in which waiting tickets are served: fair between users, first come first served within one.
//!
//! Each ticket gets a *turn* when it arrives. The tickets of one user get consecutive turns, so a user with
//! many tickets does not delay a user with one. The earliest turn for new arrivals grows with every ticket
//! that is served, so every ticket is served eventually. This is start-time fair queueing (Goyal, Vin and
//! Cheng, SIGCOMM 1996) with a virtual time that advances with each service.

use std::collections::{BTreeMap, HashMap};

use super::{LeaseRequest, Ticket, UserId};

/// The waiting tickets in the order in which they are served.
#[derive(Debug)]
pub(super) struct Queue<K> {
    waiting: BTreeMap<(u64, Ticket), LeaseRequest<K>>,
    /// The virtual time: the earliest turn for a user without waiting tickets.
    now: u64,
    /// The next turn of each user whose next turn is later than `now`.
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

    /// The places of all tickets in the order of service.
    pub(super) fn places(&self) -> Vec<(u64, Ticket)> {
        self.waiting.keys().copied().collect()
    }

    pub(super) fn at(&self, place: (u64, Ticket)) -> Option<&LeaseRequest<K>> {
        self.waiting.get(&place)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &LeaseRequest<K>> {
        self.waiting.values()
    }

    /// The place of a waiting ticket.
    pub(super) fn place_of(&self, ticket: Ticket) -> Option<(u64, Ticket)> {
        self.waiting.keys().find(|(_, waiting)| *waiting == ticket).copied()
    }

    /// Removes a ticket that is being served, and advances the virtual time.
    pub(super) fn serve(&mut self, place: (u64, Ticket)) -> Option<LeaseRequest<K>> {
        let request = self.remove(place)?;
        self.now = self.now.max(place.0 + 1);
        self.next.retain(|_, next| *next > self.now);
        Some(request)
    }

    /// Removes a ticket that no longer waits.
    pub(super) fn remove(&mut self, place: (u64, Ticket)) -> Option<LeaseRequest<K>> {
        let request = self.waiting.remove(&place)?;
        if self.waiting.is_empty() {
            self.next.clear();
        }
        Some(request)
    }
}
