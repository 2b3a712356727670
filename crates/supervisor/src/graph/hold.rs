//! What keeps a node from running, or from running well.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

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

    /// What is waited for, if all that is missing is starting and so may be ready soon.
    fn loading(&self) -> Option<Loading>;

    /// Whether something else takes the node's place as soon as the node has ended, and calls wait for that.
    fn is_handed_over(&self) -> bool {
        false
    }
}

/// A node that starts, and that others wait for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loading {
    /// The node, such as `service:model`.
    pub what: String,
    /// How long its starts usually take, if one was seen.
    pub usual: Option<Duration>,
    /// How long the present start has lasted.
    pub so_far: Duration,
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
