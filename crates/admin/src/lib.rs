//! Health, metrics, the admin API and the command socket, and the client the command line speaks with.
//!
//! It looks at the daemon through [`Source`], changes it through [`Actions`], checks it through [`Verifier`] and holds nothing of its own; it
//! opens no listener (the gateway hands it what is not MCP) and decides nothing about servers. What the
//! command line can see and do, anybody can by the same addresses.

pub mod access;
pub mod action;
pub mod api;
pub mod client;
mod context;
pub mod health;
pub mod memory;
mod page;
pub mod source;
pub mod verify;
pub mod web;

pub use access::{Peer, Tokens};
pub use action::{Action, ActionError, Actions};
pub use client::{Client, ClientError, Conversation};
pub use source::{Source, View};
pub use verify::{NothingCalled, Verification, Verifier, Verifying};
pub use web::{Admin, Asked, Parts, document};

/// The name of the command socket in the state folder.
pub const SOCKET: &str = "control.sock";
