//! The table of all sessions, with reservations for those that are being restored.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use mainstay_model::{Refusal, RefusalCode};
use mainstay_upstream::SessionNo;
use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use crate::session::Session;

/// A slot of the table.
#[derive(Debug)]
pub(crate) enum Slot<'a> {
    Occupied(Arc<Session>),
    /// The slot is empty, and the caller may fill it.
    Reserved(Reservation<'a>),
}

/// An empty slot for a session that is being restored. Dropping it hands the slot to the next
/// request that waits for it.
#[derive(Debug)]
pub(crate) struct Reservation<'a> {
    sessions: &'a SessionTable,
    token: Box<str>,
}

/// Sessions by id. Clients can't choose the ids in the table, so the hash need not resist chosen
/// ones.
type ByToken = HashMap<Box<str>, Arc<Session>, RandomState>;

/// Sessions by id and by number.
#[derive(Debug)]
pub(crate) struct SessionTable {
    by_token: RwLock<ByToken>,
    by_owner: RwLock<HashMap<u64, Arc<Session>, RandomState>>,
    /// Tokens of sessions that are being restored, each with the requests that wait for it. Only
    /// tokens that this daemon's key has sealed come in, each for as long as one request reads the
    /// store.
    reserved: Mutex<HashMap<Box<str>, watch::Sender<()>, RandomState>>,
    max: usize,
}

// === impl SessionTable ===

impl SessionTable {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            by_token: RwLock::default(),
            by_owner: RwLock::default(),
            reserved: Mutex::default(),
            max,
        }
    }

    /// Adds a session.
    ///
    /// # Errors
    /// When the table is full.
    pub(crate) fn insert(&self, session: Arc<Session>) -> Result<(), Refusal> {
        self.insert_into(&mut self.by_token.write(), session)
    }

    /// Reserves the slot of a session that is not in the table. Waits while another request holds
    /// the reservation.
    pub(crate) async fn reserve(&self, token: &str) -> Slot<'_> {
        loop {
            let mut done = {
                let mut reserved = self.reserved.lock();
                // Inserted under the same lock, so that a reservation is returned only after its session is
                // in the table.
                if let Some(session) = self.get(token) {
                    return Slot::Occupied(session);
                }
                match reserved.get(token) {
                    Some(other) => other.subscribe(),
                    None => {
                        let token: Box<str> = token.into();
                        reserved.insert(token.clone(), watch::Sender::new(()));
                        return Slot::Reserved(Reservation { sessions: self, token });
                    }
                }
            };
            // An error means that the reservation was returned.
            let _ = done.changed().await;
        }
    }

    pub(crate) fn get(&self, token: &str) -> Option<Arc<Session>> {
        self.by_token.read().get(token).cloned()
    }

    pub(crate) fn by_number(&self, owner: SessionNo) -> Option<Arc<Session>> {
        self.by_owner.read().get(&owner.0).cloned()
    }

    /// Removes a session. Returns whether it was there.
    pub(crate) fn remove(&self, session: &Session) -> bool {
        let removed = self.by_token.write().remove(session.token.as_str()).is_some();
        self.by_owner.write().remove(&session.number.0);
        removed
    }

    /// Returns the sessions that have been idle for `idle`.
    pub(crate) fn expired(&self, now: Instant, idle: Duration) -> Vec<Arc<Session>> {
        let sessions = self.by_token.read();
        sessions.values().filter(|session| session.idle_for(now) >= idle).cloned().collect()
    }

    pub(crate) fn all(&self) -> Vec<Arc<Session>> {
        self.by_token.read().values().cloned().collect()
    }

    pub(crate) fn len(&self) -> usize {
        self.by_token.read().len()
    }

    pub(crate) fn max(&self) -> usize {
        self.max
    }

    fn insert_into(&self, by_token: &mut ByToken, session: Arc<Session>) -> Result<(), Refusal> {
        if by_token.len() >= self.max {
            return Err(Refusal::new(
                RefusalCode::SessionLimit,
                format!("there are {} sessions already, which is the limit", self.max),
            )
            .limit(format!("max_sessions: {}", self.max))
            .retry_after(Duration::from_secs(30))
            .hint(
                "end sessions that are no longer needed (DELETE), or raise gateway.max_sessions",
            ));
        }
        self.by_owner.write().insert(session.number.0, session.clone());
        by_token.insert(session.token.as_str().into(), session);
        Ok(())
    }
}

// === impl Reservation ===

impl Reservation<'_> {
    /// Puts the session into its slot.
    ///
    /// # Errors
    /// When the table is full.
    pub(crate) fn commit(self, session: Arc<Session>) -> Result<(), Refusal> {
        self.sessions.insert(session)
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        // Waiters notice that the sender is dropped.
        self.sessions.reserved.lock().remove(&self.token);
    }
}
