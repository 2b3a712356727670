//! Pools of server instances. This crate carries out the decisions of the supervisor and does not know the
//! clients: who shares an instance is decided by an opaque [`LeaseKey`].
//!
//! A [`Pool`] owns the instances of one server. Each [`Instance`] has a driver, which feeds events to the
//! pure [`mainstay_supervisor::lifecycle`] and carries out its effects.

pub mod breaker;
mod client_lists;
mod condition;
mod dialect;
mod driver;
mod eras;
mod gaps;
mod given_up;
mod hold;
pub mod instance;
mod instances;
pub mod key;
mod lease;
mod lending;
mod list_age;
mod list_probes;
mod list_refreshes;
pub mod needs;
pub mod observer;
mod panics;
mod patience;
pub mod permit;
pub mod pool;
mod readiness;
mod refresh;
mod renewal;
mod retries;
mod run;
mod second_era;
mod start_times;
mod status;
mod terms;
mod turns;

pub use breaker::{AttemptEnd, Breaker, BreakerView};
pub use client_lists::ListFindings;
pub use eras::EraSupport;
pub use hold::{ChangeHook, Holding};
pub use instance::Instance;
pub use key::{LeaseKey, Placement};
pub use mainstay_supervisor::retry_budget::{BudgetSpent, RETRIES_A_SECOND, RetryWish};
pub use mainstay_supervisor::roster::{LeaseMode, Retention};
pub use needs::{NeedBoard, NeedTickets, RefusedTools, Trouble, TroubleTold};
pub use observer::PoolObserver;
pub use permit::Permit;
pub use pool::{Parts, Pool};
pub use readiness::{LOADING_WAIT_MAX, Wait};
pub use retries::RetryPlace;
pub use start_times::StartTimes;
pub use status::Glance;
