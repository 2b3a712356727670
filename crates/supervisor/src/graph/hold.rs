//! What keeps a node from running, or from running well, in words.

use mainstay_model::status::InstanceState;

/// Why a node does not run, although nothing is wrong with the node itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    pub kind: HoldKind,
    /// The reason for the operator.
    pub reason: String,
    /// The same without what only the operator may know.
    pub brief: String,
    /// Whether all that is missing is starting, so that it may be ready soon.
    pub is_loading: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldKind {
    /// A need is not ready.
    Waiting,
    /// A need was stopped by hand.
    Held,
    /// The node itself was stopped by hand.
    Stopped,
}

/// Why a node that runs is degraded: what it needs and does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shortage {
    /// The reason for the operator.
    pub reason: String,
    /// The same without what only the operator may know.
    pub brief: String,
}

// === impl HoldKind ===

impl HoldKind {
    /// The state of a node that is held for this.
    pub fn state(self) -> InstanceState {
        match self {
            Self::Waiting => InstanceState::Waiting,
            Self::Held => InstanceState::Held,
            Self::Stopped => InstanceState::Stopped,
        }
    }
}
