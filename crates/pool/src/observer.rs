//! The interface through which pools notify the gateway.

use std::fmt::Debug;
use std::sync::Arc;

use mainstay_model::Name;
use mainstay_protocol::list::ListKind;
use mainstay_protocol::{Era, Message};
use mainstay_upstream::{Asker, SessionNo};

use crate::instance::Instance;

/// Receives what happens outside of calls. Implementations must not block, because readers call them.
pub trait PoolObserver: Send + Sync + Debug {
    /// The server's lists for clients of an era are new, gone or changed.
    fn lists_changed(&self, server: &Name, era: Era, kinds: &[ListKind]);

    /// A resource that these sessions have subscribed to has changed.
    fn resource_updated(&self, server: &Name, owners: &[SessionNo], message: &Message);

    /// The instance sent another notification outside of calls.
    fn background(&self, server: &Name, instance: &Arc<Instance>, message: &Message);

    /// The server sent a request outside of calls to the session that holds the instance. Returns false if
    /// that session can't be asked.
    fn question(&self, server: &Name, owner: SessionNo, asker: Asker, message: &Message) -> bool;
}
