//! Index of the sessions at an endpoint that have a stream for background messages, with a reader
//! or without. A background message costs nothing for other sessions.

use std::collections::HashMap;
use std::sync::Arc;

use mainstay_protocol::list::ListKind;
use parking_lot::Mutex;

use super::Session;
use super::list_changes::ListChanges;
use crate::stream::EventStream;
use crate::stream::replay_budget::ReplayBudget;

/// The audience of background messages at an endpoint.
#[derive(Debug, Default)]
pub(crate) struct Audience {
    listeners: Listeners<Session>,
    changes: ListChanges,
}

/// What the index needs to know of a session.
trait HasBackgroundStream {
    /// Whether the session has a background stream now.
    fn has_background_stream(&self) -> bool;
}

/// Sessions with a background stream, by number.
///
/// A session is added when it opens a stream, under the lock of this index, so that every later
/// message finds it. A session without a stream is removed with the next message at the latest.
#[derive(Debug)]
struct Listeners<T> {
    all: Mutex<HashMap<u64, Arc<T>>>,
}

// === impl Audience ===

impl Audience {
    /// Returns how often each list has changed.
    pub(crate) fn changes(&self) -> &ListChanges {
        &self.changes
    }

    /// Opens a background stream for a session. The stream begins with what the client has missed.
    pub(crate) fn open_stream(
        &self,
        session: &Arc<Session>,
        budget: &Arc<ReplayBudget>,
    ) -> Arc<EventStream> {
        let mut opened = None;
        self.listeners.insert_if_open(session.number.0, session, || {
            let (stream, is_open) = session.open_background_stream(&self.changes, budget);
            opened = Some(stream);
            is_open
        });
        opened.unwrap_or_default()
    }

    /// Uses the single stream of a transport for everything that is sent to a session.
    pub(crate) fn use_only_stream(&self, session: &Arc<Session>, stream: Arc<EventStream>) {
        self.listeners
            .insert_if_open(session.number.0, session, || session.use_only_stream(stream));
    }

    /// Removes a session that has ended.
    pub(crate) fn remove(&self, session: &Session) {
        self.listeners.remove(session.number.0);
    }

    /// Calls `tell` for each session that has a background stream.
    pub(crate) fn for_each(&self, tell: impl FnMut(&Session)) {
        self.listeners.for_each(tell);
    }

    /// Returns the number of sessions that have a background stream.
    pub(crate) fn len(&self) -> usize {
        self.listeners.all.lock().len()
    }

    /// Notifies sessions that lists have changed, now or when their client opens a stream.
    pub(crate) fn lists_changed(&self, kinds: &[ListKind]) {
        self.changes.record(kinds);
        self.for_each(|session| session.notify_lists_changed(&self.changes));
    }
}

impl HasBackgroundStream for Session {
    fn has_background_stream(&self) -> bool {
        Session::has_background_stream(self)
    }
}

// === impl Listeners ===

impl<T: HasBackgroundStream> Listeners<T> {
    /// Adds a listener if `open` returns that it has a stream.
    fn insert_if_open(&self, number: u64, listener: &Arc<T>, open: impl FnOnce() -> bool) {
        let mut all = self.all.lock();
        if open() {
            all.insert(number, listener.clone());
        }
    }

    fn remove(&self, number: u64) {
        self.all.lock().remove(&number);
    }

    /// Calls `tell` for each listener, then removes those without a stream.
    fn for_each(&self, mut tell: impl FnMut(&T)) {
        let all: Vec<_> = {
            let all = self.all.lock();
            all.iter().map(|(number, listener)| (*number, listener.clone())).collect()
        };
        let mut silent = Vec::new();
        for (number, listener) in all {
            tell(&listener);
            if !listener.has_background_stream() {
                silent.push(number);
            }
        }
        if silent.is_empty() {
            return;
        }
        let mut all = self.all.lock();
        for number in silent {
            // The session may have opened a stream meanwhile.
            if all.get(&number).is_some_and(|listener| !listener.has_background_stream()) {
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use super::{HasBackgroundStream, Listeners};

    #[derive(Default)]
    struct Client {
        listens: AtomicBool,
        told: AtomicUsize,
    }

    impl HasBackgroundStream for Client {
        fn has_background_stream(&self) -> bool {
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
        listeners.for_each(|client| {
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
            // A session that ended meanwhile has no stream.
            listeners.insert_if_open(number as u64, client, || client.set(number < 3));
        }
        assert_eq!(visited(&listeners), 3);
        // A session that lost its stream is notified at most once more, and returns with a new stream.
        clients[1].set(false);
        assert_eq!(visited(&listeners), 3);
        assert_eq!(visited(&listeners), 2);
        listeners.insert_if_open(1, &clients[1], || clients[1].set(true));
        assert_eq!(visited(&listeners), 3);
        listeners.remove(2);
        assert_eq!(visited(&listeners), 2);
        let told = clients[..4].iter().map(|client| client.told.load(Ordering::Relaxed));
        assert_eq!(told.collect::<Vec<_>>(), [5, 4, 4, 0]);
    }

    #[test]
    fn one_that_opens_a_stream_while_it_is_found_silent_stays() {
        let listeners = Listeners::default();
        let client = Arc::new(Client::default());
        listeners.insert_if_open(1, &client, || client.set(true));
        client.set(false);
        let mut told = 0;
        listeners.for_each(|_| told += 1);
        listeners.insert_if_open(1, &client, || client.set(true));
        listeners.for_each(|_| told += 1);
        assert_eq!(told, 2);
    }
}
