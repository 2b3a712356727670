//! The sender of a request.

use std::net::SocketAddr;

use mainstay_model::Principal;
use mainstay_telemetry::CorrelationId;

/// The other end of a connection.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    /// Address of the client. None: the command socket.
    pub address: Option<SocketAddr>,
    /// Whether the connection came over the command socket, whose file permissions decide who may
    /// connect.
    pub operator: bool,
    /// The user of the process at the other end of the command socket, where the system says it.
    pub uid: Option<u32>,
    pub serves: Serves,
    /// The number of the connection, unique in this daemon.
    pub connection: u64,
}

/// Which of the two remote transports an address serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Serves {
    /// Streamable HTTP, `/mcp`.
    pub http: bool,
    /// HTTP+SSE of 2024-11-05, `/sse`.
    pub sse: bool,
}

/// The sender of a request that was admitted. Limits, audit and logs take the sender from here
/// only.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The address of the client: behind trusted proxies, the one they name. None: the command socket, where
    /// no proxy names one.
    pub address: Option<SocketAddr>,
    /// Whether the sender is the operator, who may do everything.
    pub operator: bool,
    /// The user of the operator's process, where the system says it.
    pub uid: Option<u32>,
    /// Transports that the listening address serves.
    pub serves: Serves,
    /// Number of the connection. Limits count by it where there is neither a login nor a session.
    pub connection: u64,
    /// The user; `anonymous` without a login.
    pub principal: Principal,
    /// Finds the request in logs and refusals.
    pub request_id: CorrelationId,
}

/// What a client accepts as the response to a POST.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Accepts {
    /// Whether the response may be a stream of events.
    pub(crate) event_stream: bool,
}
