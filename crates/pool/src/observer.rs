//! What pools tell the gateway.

use std::fmt::Debug;
use std::sync::Arc;

use mainstay_model::Name;
use mainstay_protocol::list::ListKind;
use mainstay_protocol::{Era, Message};
use mainstay_upstream::{Asker, SessionNo};

use crate::instance::Instance;

/// Hears what instances say outside of calls. Called from readers: must not block.
pub trait PoolObserver: Send + Sync + Debug {
    /// What a server has for clients of one era is there for the first time, is gone, or is
    /// other than before.
    fn lists_changed(&self, server: &Name, era: Era, kinds: &[ListKind]);

    /// A resource changed that these sessions subscribed to on the instance.
    fn resource_updated(&self, server: &Name, owners: &[SessionNo], message: &Message);

    /// Another notification that belongs to no call.
    fn background(&self, server: &Name, instance: &Arc<Instance>, message: &Message);

    /// A request of the server outside of calls, to the one session that holds the instance.
    /// False: it can't be asked.
    fn question(&self, server: &Name, owner: SessionNo, asker: Asker, message: &Message) -> bool;
}
