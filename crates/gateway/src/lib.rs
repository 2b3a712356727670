//! The way of a request through the daemon.
//!
//! The modules in the order in which a request passes them:
//!
//! - [`listener`] accepts connections; [`edge`] takes requests apart, and `admission` decides who is let in;
//! - `pipeline` answers the messages of sessions, and `stateless` requests that stand alone;
//! - [`endpoint`] finds the server of a message, and `session::placement` the instance;
//! - [`call`] brings a request to a server and its answer back, over `stream` where there is more than one
//!   message.
//!
//! What they share is in three contexts, each of which knows those before it: `serving` (settings, metrics,
//! tasks), `directory` (servers and endpoints) and `sessions`. [`Gateway`] joins them.

mod admission;
mod answer;
pub mod call;
mod caller;
mod directory;
pub mod edge;
pub mod endpoint;
mod gateway;
pub mod listener;
mod non_mcp;
pub mod pipeline;
mod server;
mod serving;
pub mod session;
mod sessions;
mod sse_streams;
mod stateless;
mod stream;
mod topology;

pub use admission::allows_host;
pub use answer::body::Body;
pub use caller::{Caller, Peer, Serves};
pub use gateway::{Gateway, Parts};
pub use non_mcp::{BodyError, NonMcp, NonMcpBody, NonMcpService};
pub use server::Server;
pub use serving::Clock;
pub use session::SessionStatus;
pub use topology::{Layout, Topology};
