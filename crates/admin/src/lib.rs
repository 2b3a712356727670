//! Health, metrics and the command socket, and the client the command line speaks with.
//!
//! It looks at the daemon through [`Source`] and holds nothing of its own; it opens no listener
//! (the gateway serves its answers) and decides nothing about servers. What the command line can
//! see and do, anybody can by the same addresses.

pub mod access;
pub mod client;
pub mod health;
pub mod memory;
pub mod routes;
pub mod source;

pub use access::{Access, Peer};
pub use client::{Client, ClientError, Conversation};
pub use routes::answer;
pub use source::Source;

/// The name of the command socket in the state folder.
pub const SOCKET: &str = "control.sock";
