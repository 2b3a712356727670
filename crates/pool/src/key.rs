//! Which instance a call may be on.

use std::sync::Arc;

use mainstay_protocol::Era;
use mainstay_protocol::capabilities::ClientCapabilities;
use mainstay_supervisor::roster::{LeaseMode, Retention};
use mainstay_upstream::SessionNo;

/// Two calls may meet in one instance only if their keys are equal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LeaseKey {
    /// How it is spoken to.
    pub era: Era,
    /// Who shares it: opaque here. Empty: everybody.
    pub sharing: Arc<str>,
    /// JSON of what the clients can do for the server; `{}` where they can be asked nothing.
    pub capabilities: Arc<str>,
}

/// What instance a call wants, and how.
#[derive(Debug, Clone)]
pub struct Placement {
    pub key: LeaseKey,
    /// Whose call it is: questions of the server go there.
    pub owner: SessionNo,
    /// Whose calls take turns with those of others while they wait. Opaque here.
    pub user: u64,
    pub mode: LeaseMode,
    pub retention: Retention,
}

// === impl LeaseKey ===

impl LeaseKey {
    /// Of the instance that supplies the lists, and that all clients share that can be asked nothing.
    pub fn base(era: Era) -> Self {
        Self { era, sharing: "".into(), capabilities: NOTHING.into() }
    }

    pub fn is_base(&self) -> bool {
        self.sharing.is_empty() && !self.is_interactive()
    }

    /// What its clients can be asked for.
    pub(crate) fn question_kinds(&self) -> Vec<String> {
        let can = ClientCapabilities::from_json(&self.capabilities);
        let kinds = [
            ("roots", can.roots),
            ("sampling", can.sampling),
            ("elicitation", can.elicitation || can.elicitation_url),
        ];
        kinds.into_iter().filter(|(_, is)| *is).map(|(kind, _)| kind.to_owned()).collect()
    }

    /// Whether its clients can be asked something.
    pub fn is_interactive(&self) -> bool {
        &*self.capabilities != NOTHING
    }
}

// === impl Placement ===

impl Placement {
    /// The instance that everybody shares.
    pub fn base(era: Era, owner: SessionNo) -> Self {
        let key = LeaseKey::base(era);
        Self { key, owner, user: owner.0, mode: LeaseMode::Shared, retention: Retention::Pooled }
    }

    /// Whether that is the instance that supplies the lists, which is never lent.
    pub(crate) fn is_base(&self) -> bool {
        self.mode == LeaseMode::Shared && self.key.is_base()
    }
}

/// The JSON of a client that can be asked nothing.
const NOTHING: &str = "{}";
