//! Decides what people are told about a server, from the states of its instances.
//!
//! Instances are started, lost and tried again many times in a crash loop. Telling each step would bury what
//! matters, so the watch tells only what changes for those who use the server.
//!
//! ```text
//!   Stopped ── Starting ── Ready ⇄ Idle
//!                  │         │ ⇅ Degraded      another instance is in a crash loop, or has failed
//!                  ▼         ▼
//!              NotReady ◀────┘                 lost, and tried again soon: back when it is ready
//!                  │ too often, or hopeless
//!                  ▼
//!         CrashLoop, Failed                    stays while it is tried again: back when it is ready
//! ```

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use mainstay_model::status::InstanceState;
use mainstay_model::{Condition, InstanceId};

use crate::lifecycle::{Lifecycle, RunNo};

/// An instance, as its lifecycle shows it after a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sight {
    pub state: InstanceState,
    pub run_no: RunNo,
    /// Whether the present start became necessary because the instance was lost.
    pub is_retry: bool,
}

/// A change of what is told about a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shift {
    pub from: Condition,
    pub to: Condition,
    /// How long the server was in the condition before.
    pub lasted: Duration,
    /// The instance because of which the server is degraded.
    pub because_of: Option<InstanceId>,
}

/// Watches the instances of one server.
#[derive(Debug)]
pub struct ServerWatch {
    /// The condition of the primary instance alone.
    primary: Condition,
    /// The run of the primary instance that was seen last.
    run_no: Option<RunNo>,
    /// Other instances that are in a crash loop or have failed. Their number is bounded by that of the
    /// instances of the server.
    troubled: BTreeMap<InstanceId, Condition>,
    told: Condition,
    since: Instant,
    /// The trouble that was told last, and since when, until the server is ready again or was stopped.
    trouble: Option<(Condition, Instant)>,
}

// === impl Sight ===

impl Sight {
    /// `finished`: the instance ended itself without an error, which is no loss.
    pub fn of(lifecycle: &Lifecycle, finished: bool) -> Self {
        Self {
            state: lifecycle.state(),
            run_no: lifecycle.run_no(),
            is_retry: lifecycle.reason().is_some() && !finished,
        }
    }
}

// === impl ServerWatch ===

impl ServerWatch {
    /// A server that is not started yet.
    pub fn new(now: Instant) -> Self {
        Self {
            primary: Condition::Stopped,
            run_no: None,
            troubled: BTreeMap::new(),
            told: Condition::Stopped,
            since: now,
            trouble: None,
        }
    }

    /// What was told last.
    pub fn told(&self) -> Condition {
        self.told
    }

    /// Goes on from what was told of the same server before another pool took its place.
    pub fn take_over(&mut self, before: &Self) {
        (self.told, self.since, self.trouble) = (before.told, before.since, before.trouble);
    }

    /// Looks at the primary instance, which decides whether the server is ready.
    pub fn see_primary(&mut self, now: Instant, sight: Sight) -> Option<Shift> {
        let is_new_run = self.run_no.replace(sight.run_no) != Some(sight.run_no);
        self.primary = match sight.state {
            InstanceState::Stopped => Condition::Stopped,
            InstanceState::Waiting | InstanceState::Held => Condition::Waiting,
            InstanceState::Ready | InstanceState::Done => Condition::Ready,
            InstanceState::Degraded => Condition::Degraded,
            InstanceState::Idle => Condition::Idle,
            InstanceState::BackingOff | InstanceState::Unhealthy => Condition::NotReady,
            InstanceState::CrashLooping => Condition::CrashLoop,
            InstanceState::Failed => Condition::Failed,
            // It is told when nothing is left of it.
            InstanceState::Draining => self.primary,
            // One more try does not end the trouble.
            InstanceState::Starting | InstanceState::Handshaking if self.primary.is_trouble() => {
                self.primary
            }
            InstanceState::Starting | InstanceState::Handshaking
                if is_new_run && sight.is_retry =>
            {
                Condition::NotReady
            }
            InstanceState::Starting | InstanceState::Handshaking => Condition::Starting,
        };
        self.tell(now)
    }

    /// Looks at another instance. Only one that is given up for minutes makes the server degraded: the
    /// others come and go with sessions, and are replaced at once.
    pub fn see_other(
        &mut self,
        now: Instant,
        id: InstanceId,
        state: InstanceState,
    ) -> Option<Shift> {
        match state {
            InstanceState::CrashLooping => _ = self.troubled.insert(id, Condition::CrashLoop),
            InstanceState::Failed => _ = self.troubled.insert(id, Condition::Failed),
            InstanceState::Ready
            | InstanceState::Degraded
            | InstanceState::Done
            | InstanceState::Idle
            | InstanceState::Waiting
            | InstanceState::Held
            | InstanceState::Stopped => {
                _ = self.troubled.remove(&id);
            }
            InstanceState::Starting
            | InstanceState::Handshaking
            | InstanceState::BackingOff
            | InstanceState::Unhealthy
            | InstanceState::Draining => {}
        }
        self.tell(now)
    }

    /// Forgets an instance that no longer exists.
    pub fn forget(&mut self, now: Instant, id: InstanceId) -> Option<Shift> {
        self.troubled.remove(&id);
        self.tell(now)
    }

    fn tell(&mut self, now: Instant) -> Option<Shift> {
        let because_of = self.troubled.keys().next().copied();
        let (to, because_of) = match (self.primary, because_of) {
            (Condition::Ready | Condition::Idle, Some(other)) => (Condition::Degraded, Some(other)),
            (primary, _) => (primary, None),
        };
        if to == self.told {
            return None;
        }
        let from = std::mem::replace(&mut self.told, to);
        let since = std::mem::replace(&mut self.since, now);
        let before = self.trouble;
        self.trouble = match to {
            Condition::Ready | Condition::Idle | Condition::Stopped => None,
            trouble if trouble.is_trouble() => Some((trouble, now)),
            _ => before,
        };
        // Trouble that ended by a wait for a need and a new start is told as ended.
        let (from, since) = match (to, before) {
            (Condition::Ready | Condition::Idle, Some(trouble)) if !from.is_trouble() => trouble,
            _ => (from, since),
        };
        Some(Shift { from, to, lasted: now.saturating_duration_since(since), because_of })
    }
}
