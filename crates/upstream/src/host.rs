//! Starts servers: programs of this machine, or connections to servers that run elsewhere.
//!
//! Everything above this crate treats all servers alike: it starts an instance, opens its link, and
//! stops it. [`HostAbilities`] holds the differences.

mod contract;
mod lacking;
mod process;
mod remote;

use std::sync::Arc;

use mainstay_model::settings::{Runtime, ServerSpec};

pub use self::contract::{Boxed, Host, HostAbilities, Restarts, Running, StartError};
pub use self::lacking::lacking;
use crate::process::ProcessHost;

/// The host of a server; processes are those of `processes`.
pub fn of(spec: &ServerSpec, processes: &Arc<ProcessHost>) -> Arc<dyn Host> {
    let host: Arc<dyn Host> = match &spec.runtime {
        Runtime::Process(command) => {
            Arc::new(process::CommandHost::new(command.clone(), spec.stop, &spec.name, processes))
        }
        Runtime::Remote(address) => Arc::new(remote::AddressHost::new(address.clone())),
    };
    if spec.lacks.is_empty() {
        host
    } else {
        Arc::new(lacking::LackingHost::new(host, spec.lacks.clone()))
    }
}
