//! Lease keys and placements: which instance a call may use.

use std::sync::Arc;

use mainstay_protocol::Era;
use mainstay_protocol::capabilities::ClientCapabilities;
use mainstay_supervisor::roster::{LeaseMode, Retention};
use mainstay_upstream::SessionNo;

/// Identifies the calls that may share an instance: two calls may share one only if their keys are equal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LeaseKey {
    /// The era of the conversation.
    pub era: Era,
    /// Opaque to the pool: who shares the instance. Empty for all clients.
    pub sharing: Arc<str>,
    /// The client capabilities that the instance is started with, as JSON. `{}` for clients without any.
    pub capabilities: Arc<str>,
}

/// Which instance a call may use, and how.
#[derive(Debug, Clone)]
pub struct Placement {
    pub key: LeaseKey,
    /// The session of the call, which gets the server's questions.
    pub owner: SessionNo,
    /// Opaque to the pool: the user for fair queueing of waiting calls.
    pub user: u64,
    pub mode: LeaseMode,
    pub retention: Retention,
}

// === impl LeaseKey ===

impl LeaseKey {
    /// The key of the base instance, which supplies the lists and serves all clients without capabilities.
    pub fn base(era: Era) -> Self {
        Self { era, sharing: "".into(), capabilities: NOTHING.into() }
    }

    /// Whether this is the key of the base instance.
    pub fn is_base(&self) -> bool {
        self.sharing.is_empty() && !self.is_interactive()
    }

    /// The kinds of questions that the clients support.
    pub(crate) fn question_kinds(&self) -> Vec<String> {
        let can = ClientCapabilities::from_json(&self.capabilities);
        let kinds = [
            ("roots", can.roots),
            ("sampling", can.sampling),
            ("elicitation", can.elicitation || can.elicitation_url),
        ];
        kinds.into_iter().filter(|(_, is)| *is).map(|(kind, _)| kind.to_owned()).collect()
    }

    /// Whether the clients support any questions.
    pub fn is_interactive(&self) -> bool {
        &*self.capabilities != NOTHING
    }
}

// === impl Placement ===

impl Placement {
    /// The placement of a call on the base instance.
    pub fn base(era: Era, owner: SessionNo) -> Self {
        let key = LeaseKey::base(era);
        Self { key, owner, user: owner.0, mode: LeaseMode::Shared, retention: Retention::Pooled }
    }

    /// Whether the call uses the base instance, which is never lent.
    pub(crate) fn is_base(&self) -> bool {
        self.mode == LeaseMode::Shared && self.key.is_base()
    }
}

/// The capabilities of a client that supports no questions, as JSON.
const NOTHING: &str = "{}";
