//! All sessions of the daemon.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;
use mainstay_model::{Refusal, RefusalCode};
use mainstay_upstream::SessionNo;
use parking_lot::RwLock;

use crate::session::Session;

/// What became of the attempt to have a session again.
#[derive(Debug)]
pub(crate) enum Again {
    This(Arc<Session>),
    /// Another request was quicker; this is the one it made.
    Other(Arc<Session>),
    /// Somebody ended it meanwhile.
    Ended,
}

/// Clients can't choose the ids that are in it, so it need not withstand chosen ones.
type ByToken = HashMap<Box<str>, Arc<Session>, RandomState>;

/// Sessions by id and by number.
#[derive(Debug)]
pub(crate) struct Sessions {
    by_token: RwLock<ByToken>,
    by_owner: RwLock<HashMap<u64, Arc<Session>, RandomState>>,
    max: usize,
}

impl Sessions {
    pub(crate) fn new(max: usize) -> Self {
        Self { by_token: RwLock::default(), by_owner: RwLock::default(), max }
    }

    /// # Errors
    /// When there are as many as there may be.
    pub(crate) fn insert(&self, session: Arc<Session>) -> Result<(), Refusal> {
        self.insert_into(&mut self.by_token.write(), session)
    }

    /// Inserts a session of an earlier daemon, unless that has happened or `has_ended`. Whoever ends
    /// a session must have said so before it is removed here.
    ///
    /// # Errors
    /// When there are as many as there may be.
    pub(crate) fn again(
        &self,
        session: Arc<Session>,
        has_ended: impl Fn() -> bool,
    ) -> Result<Again, Refusal> {
        let mut by_token = self.by_token.write();
        if let Some(other) = by_token.get(session.token.as_str()) {
            return Ok(Again::Other(other.clone()));
        }
        if has_ended() {
            return Ok(Again::Ended);
        }
        self.insert_into(&mut by_token, session.clone())?;
        Ok(Again::This(session))
    }

    pub(crate) fn find(&self, token: &str) -> Option<Arc<Session>> {
        self.by_token.read().get(token).cloned()
    }

    pub(crate) fn of(&self, owner: SessionNo) -> Option<Arc<Session>> {
        self.by_owner.read().get(&owner.0).cloned()
    }

    /// Whether it was there.
    pub(crate) fn remove(&self, session: &Session) -> bool {
        let removed = self.by_token.write().remove(session.token.as_str()).is_some();
        self.by_owner.write().remove(&session.owner.0);
        removed
    }

    /// Sessions that nobody has used for `idle`.
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
                format!("there are {} sessions, and no more are allowed", self.max),
            )
            .limit(format!("max_sessions: {}", self.max))
            .retry_after(Duration::from_secs(30))
            .hint(
                "end sessions that are no longer needed (DELETE), or raise gateway.max_sessions",
            ));
        }
        self.by_owner.write().insert(session.owner.0, session.clone());
        by_token.insert(session.token.as_str().into(), session);
        Ok(())
    }
}
