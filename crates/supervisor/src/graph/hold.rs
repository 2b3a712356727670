//! What keeps a node from running, or from running well.

use std::fmt::Debug;
use std::sync::Arc;

use mainstay_model::status::InstanceState;

/// Why a node does not run, although nothing is wrong with the node itself.
#[derive(Debug, Clone)]
pub struct Hold {
    pub kind: HoldKind,
    pub why: Arc<dyn Why>,
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

/// Says why a node is held or degraded. The answers are made when they are asked for, because what happens to a
/// need changes them. Continues a sentence whose subject is the node.
pub trait Why: Debug + Send + Sync {
    /// The reason for the operator.
    fn reason(&self) -> String;

    /// The same without what only the operator may know.
    fn brief(&self) -> String;

    /// Whether all that is missing is starting, so that it may be ready soon.
    fn is_loading(&self) -> bool;
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
