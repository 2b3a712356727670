//! Leases on ready instances by an opaque key; carries out the supervisor's decisions. Does not know who the client is.
//!
//! A [`Pool`] holds the instances of one server. Each [`Instance`] has a driver: it feeds what
//! happens to the pure [`mainstay_supervisor::lifecycle`] and does what that decides.

mod client_lists;
pub mod dialect;
mod driver;
mod gaps;
pub mod instance;
pub mod key;
mod lending;
pub mod observer;
mod panics;
pub mod permit;
pub mod pool;
mod readiness;
mod refresh;
mod run;
mod status;

pub use client_lists::ListFindings;
pub use dialect::EraSupport;
pub use instance::Instance;
pub use key::{LeaseKey, Placement};
pub use mainstay_supervisor::roster::{LeaseMode, Retention};
pub use observer::PoolObserver;
pub use permit::Permit;
pub use pool::{Parts, Pool};
