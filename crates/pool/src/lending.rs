//! The state of leasing: the [`Roster`] of a pool, its members and the waiting calls.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mainstay_model::settings::PoolSpec;
use mainstay_supervisor::roster::{Counts, MemberId, RefusalReason, Roster, RosterLimits, Ticket};
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};

use crate::instance::Instance;
use crate::key::LeaseKey;

/// The roster of a pool, with its members and the waiting calls.
#[derive(Debug)]
pub(crate) struct Lending {
    pub(crate) inner: Mutex<Inner>,
    /// Notified when the next deadline of the roster may have changed.
    pub(crate) changed: Notify,
}

/// What the lock of [`Lending`] protects.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) roster: Roster<LeaseKey>,
    pub(crate) tickets: u64,
    /// The waiting calls. A call that was answered is removed.
    pub(crate) waiting: HashMap<Ticket, oneshot::Sender<LeaseAnswer>>,
    pub(crate) members: HashMap<MemberId, Arc<Instance>>,
}

/// The answer to a waiting call: an instance, or the reason for a refusal and the instance it concerns.
pub(crate) type LeaseAnswer = Result<Arc<Instance>, (RefusalReason, Option<Arc<Instance>>)>;

/// How long an idle instance is kept that serves clients with certain capabilities only, or was started for
/// detection only.
pub(crate) const BRIEF: Duration = Duration::from_secs(60);
/// The maximum number of waiting calls of a server. Each holds a request and its connection.
pub(crate) const WAITING_MAX: usize = 1024;

// === impl Lending ===

impl Lending {
    pub(crate) fn new(spec: &PoolSpec) -> Self {
        let roster = Roster::new(limits(spec));
        let inner = Inner { roster, tickets: 0, waiting: HashMap::new(), members: HashMap::new() };
        Self { inner: Mutex::new(inner), changed: Notify::new() }
    }

    pub(crate) fn members(&self) -> Vec<Arc<Instance>> {
        self.inner.lock().members.values().cloned().collect()
    }

    pub(crate) fn counts(&self) -> Counts {
        self.inner.lock().roster.counts()
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.inner.lock().roster.next_deadline()
    }
}

/// The limits of the roster that a pool's settings make.
pub(crate) fn limits(spec: &PoolSpec) -> RosterLimits {
    RosterLimits {
        members_max: spec.instances_max,
        idle_min: spec.instances_min,
        idle: spec.idle_timeout,
        idle_brief: BRIEF,
        waiting_max: WAITING_MAX,
    }
}
