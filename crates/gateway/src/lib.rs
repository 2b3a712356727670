//! The way of a request: listeners, client transports, the one pipeline, drain.
//!
//! Read it in this order: [`listener`] accepts, [`edge`] tells what came in and who may, [`pipeline`]
//! what a message of a session asks for and `stateless` what one that stands alone does, [`endpoint`]
//! which server it is for, [`call`] takes it there and brings the answer back. How an instance is
//! started is not known here.

mod answer;
pub mod call;
pub mod edge;
pub mod endpoint;
mod gateway;
mod hub;
pub mod listener;
pub mod pipeline;
pub mod session;
mod stateless;
mod stream;
mod topology;

pub use answer::body::Body;
pub use edge::{Caller, Peer, Serves};
pub use gateway::{Aside, Clock, Gateway, Parts};
pub use topology::{Layout, Server, Topology};
