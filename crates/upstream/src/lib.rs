//! Starts processes and opens connections to servers; no other crate does. Knows nothing about
//! clients.
//!
//! A [`Link`] is the connection to one instance, over any transport. Requests carry Mainstay's own
//! ids, and each answer comes back exactly once to the [`Exchange`] of its request.

mod asker;
mod calls;
mod descriptors;
mod dial;
mod exchange;
pub mod facts;
pub mod handshake;
pub mod host;
pub mod inline_waker;
mod intake;
mod life;
mod link;
mod listener;
mod members;
pub mod pages;
pub mod probe;
pub mod probing;
pub mod process;
pub mod remote;
mod request;
mod secrets;
mod slot;
pub mod stdio;
pub mod tls;
mod transport;
mod turn;
pub mod write_coalescing;

pub use asker::Asker;
pub use dial::dial;
pub use exchange::Exchange;
pub use host::{Host, HostAbilities};
pub use link::{Link, LinkLimits};
pub use listener::Listener;
pub use members::Members;
pub use remote::words::beginning;
pub use request::{Fate, Incoming, Lost, Outgoing, SessionNo};
pub use secrets::Secrets;
pub use transport::TransportAbilities;
