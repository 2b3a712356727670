//! Real processes: whatever servers do and whatever ends the daemon, nothing is left behind.
//!
//! Run by nextest, each test is a process of its own, so it can count its children and descriptors.
//!
//! Daemons that must be killed, and guards, are this very test program started anew with the
//! name of one of the tests in `roles`.

#![expect(clippy::disallowed_methods, reason = "tests may block")]

mod daemons;
mod databases;
mod helper;
mod hosts;
mod limits;
mod probes;
mod roles;
mod servers;
mod support;
