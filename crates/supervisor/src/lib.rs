//! Decides which instances should live and what comes next. Reads no clock, starts no process.
//!
//! Everything here takes an event and the time and gives back decisions; the drivers that carry
//! them out live in `upstream` and `pool`.

pub mod backoff;
pub mod lifecycle;
pub mod roster;
