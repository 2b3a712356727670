//! The only crate that starts a process or opens a connection to a server. Does not know who the client is.
//!
//! A [`Link`] is the connection to one instance, whatever the transport: requests go out under our
//! own ids, and each answer comes back to the [`Exchange`] that asked for it, exactly once.

mod asker;
mod calls;
mod exchange;
pub mod facts;
pub mod handshake;
pub mod host;
pub mod inline_waker;
mod link;
mod listener;
pub mod process;
pub mod remote;
mod request;
mod slot;
pub mod stdio;
pub mod tls;
mod transport;
pub mod write_coalescing;

pub use asker::Asker;
pub use exchange::Exchange;
pub use host::{Host, HostAbilities};
pub use link::{Link, LinkLimits};
pub use listener::Listener;
pub use request::{Fate, Incoming, Lost, Outgoing, SessionNo};
pub use transport::TransportAbilities;
