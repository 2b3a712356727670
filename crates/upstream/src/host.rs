//! What starts a server: a program of this machine, or an address where one runs already.
//!
//! Everything above this crate treats all servers alike: it starts one, opens its link, and stops it.
//! What differs is said by [`HostAbilities`].

mod contract;
mod process;
mod remote;

use std::sync::Arc;

use mainstay_model::settings::{Runtime, ServerSpec};

pub use self::contract::{Boxed, Host, HostAbilities, Restarts, Running, StartError};
use crate::process::ProcessHost;

/// The host of a server; processes are those of `processes`.
pub fn of(spec: &ServerSpec, processes: &Arc<ProcessHost>) -> Arc<dyn Host> {
    match &spec.runtime {
        Runtime::Process(command) => {
            Arc::new(process::CommandHost::new(command.clone(), &spec.name, processes))
        }
        Runtime::Remote(address) => Arc::new(remote::AddressHost::new(address.clone())),
    }
}
