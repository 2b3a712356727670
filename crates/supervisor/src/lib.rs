//! Pure state machines of supervision: when an instance is started, restarted and stopped, which call
//! gets which instance, whether it hangs, when a server's lists are fetched again, when a target is probed and
//! what that leads to, when a circuit breaker lets calls through, and what people are told.
//!
//! A state machine takes an event and the current time and returns decisions. It reads no clock and
//! starts no process; the drivers in `pool` do that.

pub mod backoff;
pub mod breaker;
pub mod condition;
pub mod deliveries;
pub mod graph;
pub mod hang;
pub mod lifecycle;
pub mod list_refresh;
pub mod notices;
pub mod probe;
pub mod reload;
pub mod retry_budget;
pub mod roster;
