//! Pools of server instances. This crate carries out the decisions of the supervisor and does not know the
//! clients: who shares an instance is decided by an opaque [`LeaseKey`].
//!
//! A [`Pool`] owns the instances of one server. Each [`Instance`] has a driver, which feeds events to the
//! pure [`mainstay_supervisor::lifecycle`] and carries out its effects.

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
