//! Which instance a lease may be on.

use std::sync::Arc;

use mainstay_protocol::Generation;

/// Two calls may meet in one instance only if their keys are equal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct LeaseKey {
    /// How it is spoken to.
    pub generation: Generation,
    /// Who shares it: opaque here. Empty: the instance that also supplies the lists.
    pub sharing: Arc<str>,
    /// JSON of what the clients can do for the server; `{}` where they can be asked nothing.
    pub capabilities: Arc<str>,
}

impl LeaseKey {
    /// The instance that supplies the lists and that clients without interactive capabilities share.
    pub fn base(generation: Generation) -> Self {
        Self { generation, sharing: "".into(), capabilities: "{}".into() }
    }

    pub fn is_base(&self) -> bool {
        self.sharing.is_empty() && &*self.capabilities == "{}"
    }
}
