//! The way of a request: listeners, client transports, the one pipeline, drain.
//!
//! Read it in this order: [`listener`] accepts, [`edge`] tells what came in, `gate` who may,
//! [`pipeline`] what a message asks for, [`endpoint`] which server it is for, [`call`] takes it
//! there and brings the answer back. How an instance is started is not known here.

mod answer;
mod body;
pub mod call;
mod deliver;
mod discover;
pub mod edge;
pub mod endpoint;
mod forwarded;
mod gate;
mod gateway;
mod handshake;
mod hub;
mod kept;
mod lean;
mod levels;
mod listen;
pub mod listener;
mod lists;
mod memory;
mod more;
mod outlive;
mod patience;
pub mod pipeline;
mod resume;
mod route;
pub mod session;
mod sessions;
mod silence;
mod standing;
mod stateless;
mod stream;
mod subscribe;
mod want;

pub use body::Body;
pub use edge::{Peer, Serves};
pub use gateway::{Aside, Clock, Gateway, Parts};
