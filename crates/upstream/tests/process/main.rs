//! Real processes: whatever servers do and whatever ends the daemon, nothing is left behind.
//!
//! Daemons that must be killed, and guards, are this very test program started anew with the
//! name of one of the tests in `roles`.

mod daemons;
mod roles;
mod servers;
mod support;
