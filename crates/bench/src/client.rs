//! The measuring client: raw requests over one kept-alive connection, and as little work as
//! possible, because on one machine its cycles are taken from those it measures.

mod connection;
mod response;
mod session;

use std::net::SocketAddr;

pub(crate) use connection::Connection;
pub(crate) use session::{Failure, Session};

/// The server under test and how to reach it.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Target {
    /// Address of the listener.
    #[arg(long)]
    pub(crate) address: SocketAddr,
    /// Path of the endpoint.
    #[arg(long, default_value = "/mcp")]
    pub(crate) path: String,
    /// The prefix of the server's tool names.
    #[arg(long, default_value = "")]
    pub(crate) prefix: String,
}
