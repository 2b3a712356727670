//! The table of all sessions, with reservations for those that are being restored.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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

/// How many sessions a new one may find in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// Fewer than the maximum.
    Clients,
    /// A few more, so that the operator's commands work while clients hold all sessions.
    Operator,
}

/// Sessions of the operator beyond the maximum. Commands hold one each, for moments.
const OPERATOR_SESSIONS: usize = 16;

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
    /// Numbers of sessions that were not used when they were added, oldest first. Some have been used or
    /// have ended since.
    unused: Mutex<VecDeque<u64>>,
    /// Sessions that gave way to others.
    displaced: AtomicU64,
    max: usize,
}

// === impl SessionTable ===

impl SessionTable {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            by_token: RwLock::default(),
            by_owner: RwLock::default(),
            reserved: Mutex::default(),
            unused: Mutex::default(),
            displaced: AtomicU64::new(0),
            max,
        }
    }

    /// Adds a session. In a full table, the oldest session that was never used gives way. It has not
    /// ended: a request that names it restores it.
    ///
    /// # Errors
    /// When the table is full of sessions that were used.
    pub(crate) fn insert(&self, session: Arc<Session>, room: Room) -> Result<(), Refusal> {
        self.insert_into(&mut self.by_token.write(), session, room)
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

    /// Returns how many sessions gave way to others.
    pub(crate) fn displaced(&self) -> u64 {
        self.displaced.load(Ordering::Relaxed)
    }

    pub(crate) fn max(&self) -> usize {
        self.max
    }

    fn insert_into(
        &self,
        by_token: &mut ByToken,
        session: Arc<Session>,
        room: Room,
    ) -> Result<(), Refusal> {
        let most = match room {
            Room::Clients => self.max,
            Room::Operator => self.max.saturating_add(OPERATOR_SESSIONS),
        };
        if by_token.len() >= most && !self.displace_unused(by_token) {
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
        self.note_unused(&session);
        by_token.insert(session.token.as_str().into(), session);
        Ok(())
    }
}

/// Sessions that give way in a full table.
impl SessionTable {
    fn note_unused(&self, session: &Session) {
        let mut unused = self.unused.lock();
        unused.push_back(session.number.0);
        // Bounds the queue by twice the size of the table. The scan of all sessions is rare.
        if unused.len() > 2 * self.max {
            let by_owner = self.by_owner.read();
            unused.retain(|number| by_owner.get(number).is_some_and(|session| !session.was_used()));
        }
    }

    /// Removes the oldest session that was never used. Returns whether there was one.
    fn displace_unused(&self, by_token: &mut ByToken) -> bool {
        let mut unused = self.unused.lock();
        let mut by_owner = self.by_owner.write();
        while let Some(number) = unused.pop_front() {
            if let Some(session) = by_owner.get(&number)
                && !session.was_used()
            {
                by_token.remove(session.token.as_str());
                by_owner.remove(&number);
                self.displaced.fetch_add(1, Ordering::Relaxed);
                return true;
            }
        }
        false
    }
}

// === impl Reservation ===

impl Reservation<'_> {
    /// Puts the session into its slot.
    ///
    /// # Errors
    /// When the table is full.
    pub(crate) fn commit(self, session: Arc<Session>) -> Result<(), Refusal> {
        self.sessions.insert(session, Room::Clients)
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        // Waiters notice that the sender is dropped.
        self.sessions.reserved.lock().remove(&self.token);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use mainstay_model::{Ids, Principal};
    use mainstay_protocol::Revision;
    use mainstay_protocol::capabilities::ClientCapabilities;
    use mainstay_session::{Claims, SealKey, Serial};
    use mainstay_upstream::SessionNo;

    use super::{OPERATOR_SESSIONS, Room, SessionTable};
    use crate::session::Session;

    fn session(number: u64) -> Arc<Session> {
        let claims = Claims {
            principal: String::new(),
            revision: String::new(),
            capabilities: String::new(),
            endpoint: String::new(),
            opened_at: number,
            serial: Serial { run: 0, number },
        };
        let mut nonce = [0; 24];
        nonce[..8].copy_from_slice(&number.to_ne_bytes());
        let token = SealKey::new([7; SealKey::BYTES]).seal(&claims, nonce).unwrap();
        let (revision, endpoint) = (Revision::V2025_11_25, Ids::default().endpoint());
        let can = ClientCapabilities::default();
        let session =
            Session::new(SessionNo(number), token, Principal::anonymous(), revision, can, endpoint);
        Arc::new(session)
    }

    #[test]
    fn sessions_that_were_never_used_give_way_oldest_first() {
        let table = SessionTable::new(4);
        for number in 1..=4 {
            table.insert(session(number), Room::Clients).unwrap();
        }
        let there = |table: &SessionTable| -> Vec<u64> {
            (1..100).filter(|number| table.by_number(SessionNo(*number)).is_some()).collect()
        };
        for used in [1, 3] {
            table.by_number(SessionNo(used)).unwrap().mark_used();
        }
        table.insert(session(5), Room::Clients).unwrap();
        table.insert(session(6), Room::Clients).unwrap();
        assert_eq!(there(&table), [1, 3, 5, 6]);
        table.by_number(SessionNo(5)).unwrap().mark_used();
        table.by_number(SessionNo(6)).unwrap().mark_used();
        assert!(table.insert(session(7), Room::Clients).is_err(), "all are used");
        assert_eq!((there(&table), table.displaced(), table.len()), (vec![1, 3, 5, 6], 2, 4));
        // A session that has ended is skipped.
        let ended = table.by_number(SessionNo(5)).unwrap();
        assert!(table.remove(&ended));
        for number in 8..60 {
            table.insert(session(number), Room::Clients).unwrap();
        }
        assert_eq!(there(&table), [1, 3, 6, 59]);
        assert!(table.unused.lock().len() <= 8);
        // The operator has room beyond that.
        table.by_number(SessionNo(59)).unwrap().mark_used();
        let own = |number| table.insert(session(number), Room::Operator);
        for number in 70..70 + OPERATOR_SESSIONS as u64 {
            own(number).unwrap();
            table.by_number(SessionNo(number)).unwrap().mark_used();
        }
        assert!(own(100).is_err() && table.insert(session(101), Room::Clients).is_err());
    }
}
