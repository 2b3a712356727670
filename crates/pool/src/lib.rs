//! Leases on ready instances by an opaque key; carries out the supervisor's decisions. Does not know who the client is.
//!
//! A [`Pool`] holds the instances of one server. Each [`Instance`] has a driver: it feeds what
//! happens to the pure [`mainstay_supervisor::lifecycle`] and does what that decides.

mod driver;
pub mod face;
mod freshen;
pub mod hub;
pub mod instance;
pub mod key;
pub mod lease;
mod lend;
mod life;
mod patience;
pub mod pool;
mod report;

pub use face::Offer;
pub use hub::Hub;
pub use instance::{Instance, Live};
pub use key::LeaseKey;
pub use lease::{Lease, Want};
pub use pool::{Parts, Pool};
