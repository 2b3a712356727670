//! Who listens at an endpoint: sessions that have a stream for what servers say of their own accord, open
//! or such that its client may go on with it. What is said costs nothing for a session without one.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use mainstay_protocol::list::ListKind;
use parking_lot::Mutex;

/// Somebody who may have a stream.
pub(crate) trait Listen {
    /// Whether it has one now.
    fn listens(&self) -> bool;
}

/// Listeners by their numbers.
///
/// One enters when it opens a stream, under the lock of this index: whoever is told something afterwards
/// finds it. One that has no stream any more leaves when it is told something, at the latest.
#[derive(Debug)]
pub(crate) struct Listeners<T> {
    all: Mutex<HashMap<u64, Arc<T>>>,
}

/// How often each list of an endpoint has changed for clients with sessions. A session that remembers what
/// it was told of needs nobody to walk by in order to learn what it missed.
#[derive(Debug, Default)]
pub(crate) struct ListChanges([AtomicU32; ListKind::ALL.len()]);

/// The changes that somebody was told of.
pub(crate) type Told = [u32; ListKind::ALL.len()];

// === impl Listeners ===

impl<T: Listen> Listeners<T> {
    /// Enters a listener once `open` has given it a stream; false: it has none.
    pub(crate) fn enter(&self, number: u64, listener: &Arc<T>, open: impl FnOnce() -> bool) {
        let mut all = self.all.lock();
        if open() {
            all.insert(number, listener.clone());
        }
    }

    pub(crate) fn leave(&self, number: u64) {
        self.all.lock().remove(&number);
    }

    /// Calls `tell` for each listener; those that turn out to have no stream leave.
    pub(crate) fn tell(&self, mut tell: impl FnMut(&T)) {
        let all: Vec<_> = {
            let all = self.all.lock();
            all.iter().map(|(number, listener)| (*number, listener.clone())).collect()
        };
        let mut silent = Vec::new();
        for (number, listener) in all {
            tell(&listener);
            if !listener.listens() {
                silent.push(number);
            }
        }
        if silent.is_empty() {
            return;
        }
        let mut all = self.all.lock();
        for number in silent {
            // It may have opened one since.
            if all.get(&number).is_some_and(|listener| !listener.listens()) {
                all.remove(&number);
            }
        }
    }
}

impl<T> Default for Listeners<T> {
    fn default() -> Self {
        Self { all: Mutex::default() }
    }
}

// === impl ListChanges ===

impl ListChanges {
    /// Counts a change of these lists. Only then may listeners be told of it.
    pub(crate) fn count(&self, kinds: &[ListKind]) {
        for kind in kinds {
            self.0[*kind as usize].fetch_add(1, Ordering::AcqRel);
        }
    }

    /// What somebody has been told of who knows everything so far.
    pub(crate) fn now(&self) -> Told {
        self.0.each_ref().map(|count| count.load(Ordering::Acquire))
    }

    /// What somebody has been told of who knows nothing for certain.
    pub(crate) fn unknown(&self) -> Told {
        self.now().map(|count| count.wrapping_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use mainstay_protocol::list::ListKind;

    use super::{ListChanges, Listen, Listeners};

    #[derive(Default)]
    struct Client {
        listens: AtomicBool,
        told: AtomicUsize,
    }

    impl Listen for Client {
        fn listens(&self) -> bool {
            self.listens.load(Ordering::Relaxed)
        }
    }

    impl Client {
        fn set(&self, listens: bool) -> bool {
            self.listens.store(listens, Ordering::Relaxed);
            listens
        }
    }

    /// Tells everybody something, and how many were visited for it.
    fn visited(listeners: &Listeners<Client>) -> usize {
        let mut visited = 0;
        listeners.tell(|client| {
            visited += 1;
            client.told.fetch_add(1, Ordering::Relaxed);
        });
        visited
    }

    #[test]
    fn what_is_said_costs_nothing_for_those_who_do_not_listen() {
        let listeners = Listeners::default();
        let clients: Vec<_> = (0..1000).map(|_| Arc::new(Client::default())).collect();
        for (number, client) in clients.iter().enumerate() {
            // Of a session that ended meanwhile no stream was opened.
            listeners.enter(number as u64, client, || client.set(number < 3));
        }
        assert_eq!(visited(&listeners), 3);
        // One lost its stream: it is told once more at most, and comes back with a new one.
        clients[1].set(false);
        assert_eq!(visited(&listeners), 3);
        assert_eq!(visited(&listeners), 2);
        listeners.enter(1, &clients[1], || clients[1].set(true));
        assert_eq!(visited(&listeners), 3);
        listeners.leave(2);
        assert_eq!(visited(&listeners), 2);
        let told = clients[..4].iter().map(|client| client.told.load(Ordering::Relaxed));
        assert_eq!(told.collect::<Vec<_>>(), [5, 4, 4, 0]);
    }

    #[test]
    fn one_that_opens_a_stream_while_it_is_found_silent_stays() {
        let listeners = Listeners::default();
        let client = Arc::new(Client::default());
        listeners.enter(1, &client, || client.set(true));
        client.set(false);
        let mut told = 0;
        listeners.tell(|_| told += 1);
        listeners.enter(1, &client, || client.set(true));
        listeners.tell(|_| told += 1);
        assert_eq!(told, 2);
    }

    #[test]
    fn changes_are_counted_by_list() {
        let changes = ListChanges::default();
        let told = changes.now();
        changes.count(&[ListKind::Tools, ListKind::Prompts]);
        let differs: Vec<_> = ListKind::ALL
            .into_iter()
            .filter(|kind| changes.now()[*kind as usize] != told[*kind as usize])
            .collect();
        assert_eq!(differs, [ListKind::Tools, ListKind::Prompts]);
        let unknown = changes.unknown();
        assert!(changes.now().iter().zip(unknown).all(|(now, told)| *now != told));
    }
}
