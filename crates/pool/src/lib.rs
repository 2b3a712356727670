//! Leases on ready instances by an opaque key; carries out the supervisor's decisions. Does not know who the client is.
//!
//! A [`Pool`] holds the instances of one server. Each [`Instance`] has a driver: it feeds what
//! happens to the pure [`mainstay_supervisor::lifecycle`] and does what that decides.

pub mod door;
mod driver;
pub mod face;
mod fault;
mod freshen;
mod gaps;
pub mod hub;
pub mod instance;
pub mod key;
mod lending;
mod life;
mod patience;
pub mod pool;
mod report;
mod variants;

pub use door::Permit;
pub use face::Offer;
pub use hub::Hub;
pub use instance::Instance;
pub use key::{LeaseKey, Want};
pub use mainstay_supervisor::roster::{Tenure, Use};
pub use pool::{Parts, Pool};
pub use variants::Verdicts;
